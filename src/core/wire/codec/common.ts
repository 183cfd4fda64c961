/** What every codec file shares: entry points for whole messages, the response header, KeyValue. */
import { emptyBytes } from "../../log/record.ts"
import type { HeaderResponse, KeyValue, ResponseHeader } from "../messages.ts"
import { int64Length, Reader, varint64Length, varintLength, WireType, Writer } from "../protobuf.ts"

/** Reused for messages whose size is not known beforehand; given back to the collector when it has grown beyond this. */
const scratchKeptBytes = 1 << 20
const scratch = new Writer(4096)

/** Encodes a message whose parts are small. Not to be nested. */
export const encodeMessage = <A>(message: A, write: (writer: Writer, message: A) => void): Uint8Array => {
  scratch.reset()
  write(scratch, message)
  const bytes = scratch.finish()
  if (scratch.buffer.length > scratchKeptBytes) scratch.buffer = new Uint8Array(4096)
  return bytes
}

/** Encodes a message of known size straight into its own buffer. */
export const encodeSized = <A>(size: number, message: A, write: (writer: Writer, message: A) => void): Uint8Array => {
  const writer = new Writer(size)
  write(writer, message)
  return writer.view()
}

/** Decodes a whole message. Byte fields are views into `bytes`. Throws MalformedMessage. */
export const decodeMessage = <A>(bytes: Uint8Array, read: (reader: Reader) => A): A =>
  // A Buffer would make every view a Buffer too, with another shape for all code behind it.
  read(new Reader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)))

/** A message inside a message. */
export const nested = <A>(reader: Reader, read: (reader: Reader) => A): A => {
  const outer = reader.enter()
  const message = read(reader)
  reader.leave(outer)
  return message
}

/** Writes a message-typed field; an undefined one is left out. */
export const writeNested = <A>(
  writer: Writer,
  field: number,
  message: A | undefined,
  write: (writer: Writer, message: A) => void
): void => {
  if (message === undefined) return
  const mark = writer.open(field)
  write(writer, message)
  writer.close(mark)
}

/** Passes over every field of a message that has none. */
export const readEmpty = (reader: Reader): void => {
  while (!reader.done()) reader.skip(reader.tag())
}

export const writeHeader = (writer: Writer, header: ResponseHeader): void => {
  writer.bigintField(1, header.clusterId)
  writer.bigintField(2, header.memberId)
  writer.int64Field(3, header.revision)
  writer.int64Field(4, header.raftTerm)
}

export const readHeader = (reader: Reader): ResponseHeader => {
  let clusterId = 0n
  let memberId = 0n
  let revision = 0
  let raftTerm = 0
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 8:
        clusterId = reader.uint64()
        break
      case 16:
        memberId = reader.uint64()
        break
      case 24:
        revision = reader.int64Clamped()
        break
      case 32:
        raftTerm = reader.uint64Clamped()
        break
      default:
        reader.unknown(tag, 4)
    }
  }
  return { clusterId, memberId, revision, raftTerm }
}

const headerOnly = (writer: Writer, message: HeaderResponse): void =>
  writeNested(writer, 1, message.header, writeHeader)

export const encodeHeaderResponse = (message: HeaderResponse): Uint8Array => encodeMessage(message, headerOnly)

export const decodeHeaderResponse = (bytes: Uint8Array): HeaderResponse =>
  decodeMessage(bytes, (reader) => {
    let header: ResponseHeader | undefined
    while (!reader.done()) {
      const tag = reader.tag()
      if (tag === 10) header = nested(reader, readHeader)
      else reader.unknown(tag, 1)
    }
    return { header }
  })

/** Bytes of a field with tag and length in front; 0 when it is empty and left out. */
const bytesSize = (length: number): number => (length === 0 ? 0 : 1 + varintLength(length) + length)

/** Bytes of an int64 field with a number below 16, tag included. */
export const int64Size = (value: number): number => (value === 0 ? 0 : 1 + int64Length(value))

const keyValueSize = (kv: KeyValue): number =>
  bytesSize(kv.key.length) +
  int64Size(kv.createRevision) +
  int64Size(kv.modRevision) +
  int64Size(kv.version) +
  bytesSize(kv.value.length) +
  (kv.lease === 0n ? 0 : 1 + varint64Length(kv.lease))

/** Bytes of a KeyValue as a field of another message. */
export const keyValueFieldSize = (kv: KeyValue): number => {
  const size = keyValueSize(kv)
  return 1 + varintLength(size) + size
}

export const writeKeyValue = (writer: Writer, kv: KeyValue): void => {
  writer.bytesField(1, kv.key)
  writer.int64Field(2, kv.createRevision)
  writer.int64Field(3, kv.modRevision)
  writer.int64Field(4, kv.version)
  writer.bytesField(5, kv.value)
  writer.bigintField(6, kv.lease)
}

/** As `writeNested`, but with the size computed first, so that nothing is moved afterwards. */
export const writeKeyValueField = (writer: Writer, field: number, kv: KeyValue): void => {
  writer.tag(field, WireType.Bytes)
  writer.varint(keyValueSize(kv))
  writeKeyValue(writer, kv)
}

export const readKeyValue = (reader: Reader): KeyValue => {
  let key = emptyBytes
  let createRevision = 0
  let modRevision = 0
  let version = 0
  let value = emptyBytes
  let lease = 0n
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        key = reader.bytes()
        break
      case 16:
        createRevision = reader.int64Clamped()
        break
      case 24:
        modRevision = reader.int64Clamped()
        break
      case 32:
        version = reader.int64Clamped()
        break
      case 42:
        value = reader.bytes()
        break
      case 48:
        lease = reader.int64()
        break
      default:
        reader.unknown(tag, 6)
    }
  }
  return { key, createRevision, modRevision, version, value, lease }
}

/** Bytes of a header as field 1 of a response. */
export const headerFieldSize = (header: ResponseHeader | undefined): number => {
  if (header === undefined) return 0
  const size =
    (header.clusterId === 0n ? 0 : 1 + varint64Length(header.clusterId)) +
    (header.memberId === 0n ? 0 : 1 + varint64Length(header.memberId)) +
    int64Size(header.revision) +
    int64Size(header.raftTerm)
  return 1 + varintLength(size) + size
}
