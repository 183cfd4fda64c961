/**
 * The form in which records cross between the main thread and the database's thread, and rest in the database: one after
 * another in one buffer, each a fixed head, the key, and a body with everything else.
 *
 * Head, little endian: f64 index, f64 term, f64 revision, u32 sub, u32 key bytes, u32 body bytes.
 * Body: u8 flags; varints create revision, previous revision, version, dek; i64 lease if flagged; flagged times as zigzag
 * seconds and nanos; leader id and flagged op with their lengths; the rest is the value. Bodies are stored: flag bits,
 * order and widths must never change within one `user_version`.
 */
import { assert } from "../assert.ts"
import { emptyBytes, type Entry, internalKey, type LogRecord, type Timestamp } from "../log/record.ts"
import { Cursor } from "./cursor.ts"

export const headBytes = 36

const created = 1
const deleted = 2
const hasCreatedAt = 4
const hasCompactedAt = 8
const hasReplicatedAt = 16
const hasOp = 32
const hasLease = 64

/** Head, flags, four varints, lease, three times and two lengths, each at its longest. */
const fixedBytesMax = headBytes + 1 + 4 * 8 + 8 + 3 * (8 + 5) + 2 * 5

/** Bytes in use at the front of a buffer that may be longer. */
export interface Frame {
  readonly buffer: ArrayBuffer
  readonly length: number
}

export const emptyFrame: Frame = { buffer: new ArrayBuffer(0), length: 0 }

/** How a stored record takes part in the key history: those below `op` do. `internal` is the record `_netsy`. */
export const Kind = { live: 0, tombstone: 1, op: 2, internal: 3 } as const

/** No UTF-16 unit takes more than three bytes of UTF-8. */
const recordBytesMax = (record: LogRecord): number =>
  fixedBytesMax + record.key.length + record.value.length + 3 * record.leaderId.length + (record.op?.length ?? 0)

export const entriesBytesMax = (entries: ReadonlyArray<Entry>): number => {
  let total = 0
  for (const entry of entries) for (const record of entry.records) total += recordBytesMax(record)
  return total
}

export const recordsBytesMax = (records: ReadonlyArray<LogRecord>): number => {
  let total = 0
  for (const record of records) total += recordBytesMax(record)
  return total
}

export const encodeEntries = (entries: ReadonlyArray<Entry>, bytesMax: number): Frame => {
  const cursor = new Cursor(new ArrayBuffer(bytesMax), bytesMax)
  for (const entry of entries) {
    assert(entry.records.length > 0, "an entry has at least one record")
    for (let sub = 0; sub < entry.records.length; sub++) {
      const record = entry.records[sub]!
      assert(
        record.index === entry.index && record.term === entry.term && record.revision === entry.revision,
        "a record carries its entry's index, term and revision"
      )
      assert(record.sub === sub, "the records of an entry are numbered from 0")
      writeRecord(cursor, record)
    }
  }
  return { buffer: cursor.buffer, length: cursor.at }
}

export const encodeRecords = (records: ReadonlyArray<LogRecord>): Frame => {
  const bytesMax = recordsBytesMax(records)
  const cursor = new Cursor(new ArrayBuffer(bytesMax), bytesMax)
  for (const record of records) writeRecord(cursor, record)
  return { buffer: cursor.buffer, length: cursor.at }
}

/** Keys and values are views of the frame's buffer: whoever keeps one for long should copy it. */
export const decodeRecords = (frame: Frame): ReadonlyArray<LogRecord> => {
  const cursor = new Cursor(frame.buffer, frame.length)
  const records: Array<LogRecord> = []
  while (cursor.at < frame.length) records.push(readRecord(cursor))
  return records
}

/** Neighbouring records of one index are one entry. */
export const toEntries = (records: ReadonlyArray<LogRecord>): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  for (let from = 0; from < records.length;) {
    const { index, revision, term } = records[from]!
    let to = from + 1
    while (to < records.length && records[to]!.index === index) to++
    entries.push({ index, revision, term, records: records.slice(from, to) })
    from = to
  }
  return entries
}

/** The kind of the record whose head starts at `at`, from its own bytes. */
export const kindAt = (bytes: Uint8Array, view: DataView, at: number): number => {
  const keyLength = view.getUint32(at + 28, true)
  const flags = bytes[at + headBytes + keyLength]!
  if ((flags & hasOp) !== 0) return Kind.op
  if (view.getFloat64(at + 16, true) === 1 && isInternalKey(bytes, at + headBytes, keyLength)) return Kind.internal
  return (flags & deleted) !== 0 ? Kind.tombstone : Kind.live
}

const isInternalKey = (bytes: Uint8Array, at: number, length: number): boolean => {
  if (length !== internalKey.length) return false
  for (let i = 0; i < length; i++) if (bytes[at + i] !== internalKey[i]) return false
  return true
}

const writeRecord = (cursor: Cursor, record: LogRecord): void => {
  assert(isCount(record.index) && isCount(record.term), "index and term are safe integers")
  assert(isCount(record.revision) && isCount(record.sub), "revision and sub are safe integers")
  const head = cursor.at
  cursor.view.setFloat64(head, record.index, true)
  cursor.view.setFloat64(head + 8, record.term, true)
  cursor.view.setFloat64(head + 16, record.revision, true)
  cursor.view.setUint32(head + 24, record.sub, true)
  cursor.view.setUint32(head + 28, record.key.length, true)
  cursor.at += headBytes
  cursor.bytesRaw(record.key)
  const body = cursor.at
  writeBody(cursor, record)
  cursor.view.setUint32(head + 32, cursor.at - body, true)
}

const writeBody = (cursor: Cursor, record: LogRecord): void => {
  cursor.byte(
    (record.created ? created : 0) |
      (record.deleted ? deleted : 0) |
      (record.createdAt === undefined ? 0 : hasCreatedAt) |
      (record.compactedAt === undefined ? 0 : hasCompactedAt) |
      (record.replicatedAt === undefined ? 0 : hasReplicatedAt) |
      (record.op === undefined ? 0 : hasOp) |
      (record.lease === 0n ? 0 : hasLease)
  )
  cursor.varint(record.createRevision)
  cursor.varint(record.prevRevision)
  cursor.varint(record.version)
  cursor.varint(record.dek)
  if (record.lease !== 0n) cursor.int64(record.lease)
  if (record.createdAt !== undefined) writeTime(cursor, record.createdAt)
  if (record.compactedAt !== undefined) writeTime(cursor, record.compactedAt)
  if (record.replicatedAt !== undefined) writeTime(cursor, record.replicatedAt)
  cursor.text(record.leaderId)
  if (record.op !== undefined) {
    cursor.varint(record.op.length)
    cursor.bytesRaw(record.op)
  }
  cursor.bytesRaw(record.value)
}

const readRecord = (cursor: Cursor): LogRecord => {
  const head = cursor.at
  const view = cursor.view
  cursor.at += headBytes
  const key = cursor.take(view.getUint32(head + 28, true))
  const end = cursor.at + view.getUint32(head + 32, true)
  const flags = cursor.takeByte()
  return {
    index: view.getFloat64(head, true),
    term: view.getFloat64(head + 8, true),
    revision: view.getFloat64(head + 16, true),
    sub: view.getUint32(head + 24, true),
    key,
    created: (flags & created) !== 0,
    deleted: (flags & deleted) !== 0,
    createRevision: cursor.takeVarint(),
    prevRevision: cursor.takeVarint(),
    version: cursor.takeVarint(),
    dek: cursor.takeVarint(),
    lease: (flags & hasLease) === 0 ? 0n : cursor.takeInt64(),
    createdAt: (flags & hasCreatedAt) === 0 ? undefined : readTime(cursor),
    compactedAt: (flags & hasCompactedAt) === 0 ? undefined : readTime(cursor),
    replicatedAt: (flags & hasReplicatedAt) === 0 ? undefined : readTime(cursor),
    leaderId: cursor.takeText(),
    op: (flags & hasOp) === 0 ? undefined : cursor.take(cursor.takeVarint()),
    value: end === cursor.at ? emptyBytes : cursor.take(end - cursor.at)
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const writeTime = (cursor: Cursor, time: Timestamp): void => {
  const zigzag = time.seconds < 0 ? -2 * time.seconds - 1 : 2 * time.seconds
  cursor.varint(zigzag)
  cursor.varint(time.nanos)
}

const readTime = (cursor: Cursor): Timestamp => {
  const zigzag = cursor.takeVarint()
  return { seconds: zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2, nanos: cursor.takeVarint() }
}
