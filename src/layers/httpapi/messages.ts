/** JSON requests to message bytes, with the limit that gRPC messages have. */
import type { MessageType } from "../../core/json/descriptor.ts"
import { BadJson } from "../../core/json/reader.ts"
import { toProtobuf } from "../../core/json/toProtobuf.ts"
import { Code, type EtcdError, etcdError } from "../../core/wire/errors.ts"

/** Bytes that own their memory: what is decoded keeps views of them. */
export const requestBytes = (type: MessageType, body: Uint8Array, bytesMax: number): Uint8Array | EtcdError => {
  let bytes: Uint8Array
  try {
    bytes = toProtobuf(type, body)
  } catch (error) {
    if (error instanceof BadJson) return etcdError(Code.InvalidArgument, `netsy: ${error.message}`)
    throw error
  }
  if (bytes.length > bytesMax) {
    const text = `grpc: received message larger than max (${bytes.length} vs. ${bytesMax})`
    return etcdError(Code.ResourceExhausted, text)
  }
  return bytes
}
