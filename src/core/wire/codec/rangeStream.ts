/** `RangeStreamResponse`: a RangeResponse as field 1. */
import { WireType, Writer } from "../protobuf.ts"

const headBytes = 8

export const encodeWrapped = (response: Uint8Array): Uint8Array => {
  const writer = new Writer(response.length + headBytes)
  writer.tag(1, WireType.Bytes)
  writer.bytes(response)
  return writer.finish()
}
