/** The header of answers that another node has made: a client is told the member id of the node that it asked (rule H4). */
import { readHeader, writeHeader, writeNested } from "./codec/common.ts"
import { Reader, Writer } from "./protobuf.ts"

/** Field 1, length-delimited: the header in every response of the API that has one. */
const headerTag = 10
/** A member id may take so many bytes more than the one before. */
const growthMax = 16

/**
 * The response with this member id in its header; as it is, where it has none. Throws MalformedMessage.
 */
export const withMemberId = (response: Uint8Array, memberId: bigint): Uint8Array => {
  const reader = new Reader(response)
  while (!reader.done()) {
    const start = reader.position
    const tag = reader.tag()
    if (tag !== headerTag) {
      reader.skip(tag)
      continue
    }
    const outer = reader.enter()
    const header = readHeader(reader)
    reader.leave(outer)
    if (header.memberId === memberId) return response
    const writer = new Writer(response.length + growthMax)
    writer.raw(response.subarray(0, start))
    writeNested(writer, 1, { ...header, memberId }, writeHeader)
    writer.raw(response.subarray(reader.position))
    return writer.view()
  }
  return response
}
