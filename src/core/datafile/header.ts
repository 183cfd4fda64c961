/** Encoding of `FileHeader` and `FileFooter` with their CRCs. A crc of 0 is left out, as proto3 does, and still checked. */
import { MalformedMessage, varintLength, Writer } from "../wire/protobuf.ts"
import { CanonicalReader, writeTimestamp } from "./canonical.ts"
import { Crc64 } from "./crc64.ts"
import { type Check, DataFileDamaged, type FileFooter, type FileHeader } from "./types.ts"

const crc = new Crc64()

export const isZero = (value: Crc64): boolean => value.low === 0 && value.high === 0

/** Bytes of a varint of 64 bits given in halves. */
export const halvesLength = (high: number, low: number): number => {
  if (high === 0) return varintLength(low)
  return varintLength(high * 16) + 4
}

/** Writes one length-delimited message whose crc is field 1. */
const writeWithLeadingCrc = (writer: Writer, body: Uint8Array): void => {
  crc.reset().update(body)
  const crcBytes = isZero(crc) ? 0 : 1 + halvesLength(crc.high, crc.low)
  writer.varint(crcBytes + body.length)
  if (crcBytes > 0) {
    writer.byte(0x08)
    writer.varintHalves(crc.high, crc.low)
  }
  writer.raw(body)
}

export const writeHeader = (writer: Writer, header: FileHeader): void => {
  const body = new Writer(128)
  body.int64Field(2, header.schemaVersion)
  body.int64Field(3, header.kind)
  body.int64Field(4, header.compression)
  body.int64Field(5, header.recordsCount)
  body.stringField(6, header.leaderId)
  writeTimestamp(body, 7, header.createdAt)
  body.int64Field(100, header.term)
  body.int64Field(101, header.firstIndex)
  body.int64Field(102, header.compactionRevision)
  body.int64Field(103, header.prevTerm)
  body.int64Field(104, header.stored)
  body.int64Field(105, header.lastIndex)
  body.int64Field(106, header.lastTerm)
  writeWithLeadingCrc(writer, body.view())
}

export const writeFooter = (writer: Writer, footer: FileFooter): void => {
  const body = new Writer(64)
  if (footer.recordsCrcHigh !== 0 || footer.recordsCrcLow !== 0) {
    body.byte(0x10)
    body.varintHalves(footer.recordsCrcHigh, footer.recordsCrcLow)
  }
  body.int64Field(3, footer.firstRevision)
  body.int64Field(4, footer.lastRevision)
  crc.reset().update(body.view())
  if (!isZero(crc)) {
    body.byte(0x40)
    body.varintHalves(crc.high, crc.low)
  }
  writer.bytes(body.view())
}

/** Where a message lies: `start` and `end` in `bytes`, `offset` of `start` in the file or in the decompressed body. */
export interface Place {
  readonly source: string
  readonly offset: number
  readonly decompressed: boolean
}

export const damaged = (place: Place, check: Check, detail: string): DataFileDamaged =>
  new DataFileDamaged(place.source, check, place.offset, place.decompressed, detail)

export const hex64 = (high: number, low: number): string =>
  `0x${high.toString(16).padStart(8, "0")}${low.toString(16).padStart(8, "0")}`

/** The same for what a canonical reader throws. */
export const asDamage = (place: Place, check: Check, error: unknown): unknown =>
  error instanceof MalformedMessage ? damaged(place, check, error.reason) : error

/** Reads the crc in front of a message and compares it; the reader is then at the first byte it covers. */
export const checkLeadingCrc = (
  reader: CanonicalReader,
  place: Place,
  encoding: Check,
  check: Check,
  computed: Crc64
): void => {
  let low = 0
  let high = 0
  if (reader.position < reader.end && reader.buffer[reader.position] === 0x08) {
    reader.position++
    try {
      reader.halves()
    } catch (error) {
      throw asDamage(place, encoding, error)
    }
    low = reader.low
    high = reader.high
  }
  computed.reset().update(reader.buffer, reader.position, reader.end)
  if (computed.low !== low || computed.high !== high) {
    throw damaged(place, check, `stored ${hex64(high, low)}, computed ${hex64(computed.high, computed.low)}`)
  }
}

export const readHeader = (bytes: Uint8Array, start: number, end: number, place: Place): FileHeader => {
  const reader = new CanonicalReader(bytes).message(start, end)
  checkLeadingCrc(reader, place, "header encoding", "header crc", crc)
  const header = {
    schemaVersion: 0,
    kind: 0,
    compression: 0,
    recordsCount: 0,
    leaderId: "",
    createdAt: undefined as FileHeader["createdAt"],
    term: 0,
    firstIndex: 0,
    compactionRevision: 0,
    prevTerm: 0,
    stored: 0,
    lastIndex: 0,
    lastTerm: 0
  }
  try {
    while (!reader.done()) {
      const tag = reader.field()
      if (tag === 16) header.schemaVersion = reader.positive()
      else if (tag === 24) header.kind = reader.positive()
      else if (tag === 32) header.compression = reader.positive()
      else if (tag === 40) header.recordsCount = reader.positive()
      else if (tag === 50) header.leaderId = reader.filledString()
      else if (tag === 58) header.createdAt = reader.timestamp()
      else if (tag === 800) header.term = reader.positive()
      else if (tag === 808) header.firstIndex = reader.positive()
      else if (tag === 816) header.compactionRevision = reader.positive()
      else if (tag === 824) header.prevTerm = reader.positive()
      else if (tag === 832) header.stored = reader.positive()
      else if (tag === 840) header.lastIndex = reader.positive()
      else if (tag === 848) header.lastTerm = reader.positive()
      else if (tag > 856) reader.skip(tag)
      else reader.fail(`unknown field ${Math.floor(tag / 8)}, wire type ${tag & 7}`)
    }
  } catch (error) {
    throw asDamage(place, "header encoding", error)
  }
  return header
}

export const readFooter = (bytes: Uint8Array, start: number, end: number, place: Place): FileFooter => {
  const reader = new CanonicalReader(bytes).message(start, end)
  const footer = { recordsCrcHigh: 0, recordsCrcLow: 0, firstRevision: 0, lastRevision: 0 }
  let low = 0
  let high = 0
  let covered = end
  try {
    while (!reader.done()) {
      const before = reader.position
      const tag = reader.field()
      if (tag === 16) {
        reader.halves()
        footer.recordsCrcLow = reader.low
        footer.recordsCrcHigh = reader.high
      } else if (tag === 24) footer.firstRevision = reader.positive()
      else if (tag === 32) footer.lastRevision = reader.positive()
      else if (tag === 64) {
        reader.halves()
        low = reader.low
        high = reader.high
        covered = before
        if (!reader.done()) reader.fail("something follows the crc")
      } else reader.fail(`unknown field ${Math.floor(tag / 8)}, wire type ${tag & 7}`)
    }
  } catch (error) {
    throw asDamage(place, "footer encoding", error)
  }
  crc.reset().update(bytes, start, covered)
  if (crc.low !== low || crc.high !== high) {
    throw damaged(place, "footer crc", `stored ${hex64(high, low)}, computed ${hex64(crc.high, crc.low)}`)
  }
  return footer
}
