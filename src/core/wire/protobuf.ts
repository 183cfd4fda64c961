/**
 * The protobuf wire format: one growable Writer, one Reader over a piece of a buffer. Plain and synchronous; a Writer
 * is meant to be kept and reused. 64-bit numbers come in two shapes: `number` for values that are safe integers by
 * design 3 (revisions, counts), `bigint` for ids that use all 64 bits.
 */
export { MalformedMessage, maxDepth, Reader } from "./protobufReader.ts"
export { int64Length, varint64Length, varintLength, Writer } from "./protobufWriter.ts"
export { WireType } from "./wireType.ts"
