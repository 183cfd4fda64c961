/**
 * Encoding of one `Record` (proto/netsy/record.proto) with its CRC, as data files, the local store and peers hold it.
 * `index` is left out where it equals `revision`, `term` where it equals the term that the context implies.
 */
import { assert } from "../assert.ts"
import { emptyBytes, type LogRecord, type Timestamp } from "../log/record.ts"
import type { Writer } from "../wire/protobuf.ts"
import { CanonicalReader, writeTimestamp } from "./canonical.ts"
import { Crc64 } from "./crc64.ts"
import { append } from "./crc64Join.ts"
import { asDamage, checkLeadingCrc, damaged, halvesLength, isZero, type Place } from "./header.ts"

/** Length prefix (5) and crc field (11), written after the body whose length and CRC they hold. */
const prefixBytesMax = 16

const crc = new Crc64()

const writeBody = (writer: Writer, record: LogRecord, impliedTerm: number): void => {
  if (record.revision !== 0) {
    writer.byte(0x10)
    writer.varint(record.revision)
  }
  if (record.key.length !== 0) {
    writer.byte(0x1a)
    writer.bytes(record.key)
  }
  if (record.created) {
    writer.byte(0x20)
    writer.byte(1)
  }
  if (record.deleted) {
    writer.byte(0x28)
    writer.byte(1)
  }
  if (record.createRevision !== 0) {
    writer.byte(0x30)
    writer.varint(record.createRevision)
  }
  if (record.prevRevision !== 0) {
    writer.byte(0x38)
    writer.varint(record.prevRevision)
  }
  if (record.version !== 0) {
    writer.byte(0x40)
    writer.varint(record.version)
  }
  if (record.lease !== 0n) {
    writer.byte(0x48)
    writer.varint64(record.lease)
  }
  if (record.dek !== 0) {
    writer.byte(0x50)
    writer.varint(record.dek)
  }
  if (record.value.length !== 0) {
    writer.byte(0x5a)
    writer.bytes(record.value)
  }
  writeTimestamp(writer, 12, record.createdAt)
  writeTimestamp(writer, 13, record.compactedAt)
  if (record.leaderId.length !== 0) {
    writer.byte(0x72)
    writer.string(record.leaderId)
  }
  writeTimestamp(writer, 15, record.replicatedAt)
  if (record.index !== record.revision) writer.int64Field(100, record.index)
  if (record.term !== impliedTerm) {
    // Present even when 0: an entry of Netsy 1.x in a file of a later term.
    writer.tag(101, 0)
    writer.varint(record.term)
  }
  if (record.sub !== 0) writer.int64Field(102, record.sub)
  if (record.op !== undefined) {
    assert(record.op.length > 0, "an op is never empty")
    writer.bytesField(103, record.op)
  }
}

/** Bytes that a record takes at most, apart from key, value and op. */
export const recordOverheadBytes = 192

/**
 * Appends the delimited record. `running`, when given, goes on over the record's bytes without its crc: the footer's
 * all-records CRC.
 */
export const writeRecord = (writer: Writer, record: LogRecord, impliedTerm: number, running?: Crc64): void => {
  const start = writer.length
  writer.reserve(prefixBytesMax + recordOverheadBytes + record.key.length + record.value.length)
  const bodyStart = start + prefixBytesMax
  writer.length = bodyStart
  writeBody(writer, record, impliedTerm)
  const bodyEnd = writer.length
  const bodyBytes = bodyEnd - bodyStart
  const buffer = writer.buffer
  crc.reset().update(buffer, bodyStart, bodyEnd)
  if (running !== undefined) append(running, crc, buffer, bodyStart, bodyEnd)
  writer.length = start
  const crcBytes = isZero(crc) ? 0 : 1 + halvesLength(crc.high, crc.low)
  writer.varint(crcBytes + bodyBytes)
  if (crcBytes > 0) {
    writer.byte(0x08)
    writer.varintHalves(crc.high, crc.low)
  }
  buffer.copyWithin(writer.length, bodyStart, bodyEnd)
  writer.length += bodyBytes
}

/** Decodes the records of one buffer. Keys, values and ops of the results are views into it. */
export class RecordReader {
  /** The CRC of the last record's bytes, and where the bytes it covers begin. */
  readonly crc = new Crc64()
  bodyStart = 0
  private readonly reader: CanonicalReader
  private readonly impliedTerm: number
  private leader = ""
  private leaderBytes: Uint8Array = emptyBytes

  constructor(bytes: Uint8Array, impliedTerm: number) {
    this.reader = new CanonicalReader(bytes)
    this.impliedTerm = impliedTerm
  }

  /** Reads the record whose bytes (without the length) lie in `start` … `end`. */
  read(start: number, end: number, place: Place): LogRecord {
    const reader = this.reader.message(start, end)
    checkLeadingCrc(reader, place, "record encoding", "record crc", this.crc)
    this.bodyStart = reader.position
    let record: LogRecord
    try {
      record = this.decode(reader)
    } catch (error) {
      throw asDamage(place, "record encoding", error)
    }
    if (record.revision === 0) throw damaged(place, "record value", "the revision is 0")
    if (record.op === undefined && record.key.length === 0) throw damaged(place, "record value", "the key is empty")
    if (record.op !== undefined && record.key.length > 0) throw damaged(place, "record value", "an op has a key")
    return record
  }

  private decode(reader: CanonicalReader): LogRecord {
    let revision = 0
    let key = emptyBytes
    let created = false
    let deleted = false
    let createRevision = 0
    let prevRevision = 0
    let version = 0
    let lease = 0n
    let dek = 0
    let value = emptyBytes
    let createdAt: Timestamp | undefined
    let compactedAt: Timestamp | undefined
    let leaderId = ""
    let replicatedAt: Timestamp | undefined
    let index = 0
    let term = this.impliedTerm
    let sub = 0
    let op: Uint8Array | undefined
    while (!reader.done()) {
      const tag = reader.field()
      switch (tag) {
        case 16:
          revision = reader.positive()
          break
        case 26:
          key = reader.filledBytes()
          break
        case 32:
          created = reader.isTrue()
          break
        case 40:
          deleted = reader.isTrue()
          break
        case 48:
          createRevision = reader.positive()
          break
        case 56:
          prevRevision = reader.positive()
          break
        case 64:
          version = reader.positive()
          break
        case 72:
          lease = reader.bigint()
          break
        case 80:
          dek = reader.positive()
          break
        case 90:
          value = reader.filledBytes()
          break
        case 98:
          createdAt = reader.timestamp()
          break
        case 106:
          compactedAt = reader.timestamp()
          break
        case 114:
          leaderId = this.leaderOf(reader)
          break
        case 122:
          replicatedAt = reader.timestamp()
          break
        case 800:
          index = reader.positive()
          break
        case 808:
          term = reader.varint()
          break
        case 816:
          sub = reader.positive()
          break
        case 826:
          op = reader.filledBytes()
          break
        default:
          // What a later version adds comes behind; it is covered by the CRC like everything else.
          if (tag < 832) reader.fail(`unknown field ${Math.floor(tag / 8)}, wire type ${tag & 7}`)
          reader.skip(tag)
      }
    }
    return {
      index: index === 0 ? revision : index,
      term,
      sub,
      revision,
      key,
      created,
      deleted,
      createRevision,
      prevRevision,
      version,
      lease,
      dek,
      value,
      createdAt,
      compactedAt,
      leaderId,
      replicatedAt,
      op
    }
  }

  /** Nearly every record of a file names the same leader: its string is made once. */
  private leaderOf(reader: CanonicalReader): string {
    const start = reader.position
    const bytes = reader.filledBytes()
    const known = this.leaderBytes
    let same = bytes.length === known.length
    for (let i = 0; same && i < bytes.length; i++) same = bytes[i] === known[i]
    if (same) return this.leader
    reader.position = start
    this.leader = reader.string()
    this.leaderBytes = bytes
    return this.leader
  }
}
