/** Makes data files: a chunk at once in memory, a snapshot page by page. Compression is left to the caller. */
import { assert } from "../assert.ts"
import type { Entry, LogRecord, Timestamp } from "../log/record.ts"
import { opRecord } from "../log/entry.ts"
import { encodeOp } from "../log/op.ts"
import { Writer } from "../wire/protobuf.ts"
import { Crc64 } from "./crc64.ts"
import { writeFooter, writeHeader } from "./header.ts"
import { checkOrder, type Expected } from "./order.ts"
import { recordOverheadBytes, writeRecord } from "./record.ts"
import { compressAboveBytes, FileCompression, type FileHeader, FileKind } from "./types.ts"

/** What a chunk's header says beyond its entries. */
export interface ChunkFacts {
  readonly leaderId: string
  readonly createdAt: Timestamp
  /** The writing Primary's term. 0 makes the exact form of Netsy 1.x, without any extension in the header. */
  readonly term: number
  /** Term of the entry before the first one. */
  readonly prevTerm: number
  /** Every index ≤ this is known to be in the bucket. */
  readonly stored: number
  readonly compactionRevision: number
}

/**
 * An encoded chunk. Without compression `bytes` is the object's body; otherwise the body is the first `headerBytes` of
 * it followed by one zstd frame with the rest.
 */
export interface EncodedChunk {
  readonly compress: boolean
  readonly bytes: Uint8Array
  readonly headerBytes: number
}

/** `compress` overrides the rule of Netsy 1.x: several records with more than 4096 bytes of keys and values. */
export const encodeChunk = (entries: ReadonlyArray<Entry>, facts: ChunkFacts, compress?: boolean): EncodedChunk => {
  assert(entries.length > 0, "a chunk has at least one entry")
  let recordsCount = 0
  let payloadBytes = 0
  let opBytes = 0
  let expected = entries[0]!.index
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!
    assert(entry.index === expected, `chunk: entry ${entry.index} where ${expected} was expected`)
    assert(entry.records.length > 0, `entry ${entry.index} has no records`)
    expected++
    recordsCount += entry.records.length
    for (let j = 0; j < entry.records.length; j++) {
      const record = entry.records[j]!
      payloadBytes += record.key.length + record.value.length
      if (record.op !== undefined) opBytes += record.op.length
    }
  }
  const zstd = compress ?? (recordsCount > 1 && payloadBytes > compressAboveBytes)
  const writer = new Writer(256 + payloadBytes + opBytes + (recordsCount + 1) * recordOverheadBytes)
  const header: FileHeader = {
    schemaVersion: 0,
    kind: FileKind.Chunk,
    compression: zstd ? FileCompression.Zstd : FileCompression.None,
    recordsCount,
    leaderId: facts.leaderId,
    createdAt: facts.createdAt,
    term: facts.term,
    firstIndex: facts.term === 0 ? 0 : entries[0]!.index,
    compactionRevision: facts.compactionRevision,
    prevTerm: facts.prevTerm,
    stored: facts.stored,
    lastIndex: 0,
    lastTerm: 0
  }
  writeHeader(writer, header)
  const headerBytes = writer.length
  const running = new Crc64()
  let last: LogRecord | undefined
  for (let i = 0; i < entries.length; i++) {
    const records = entries[i]!.records
    for (let j = 0; j < records.length; j++) {
      const record = records[j]!
      assertOrder(header, inChunk, last, record)
      writeRecord(writer, record, facts.term, running)
      last = record
    }
  }
  writeFooter(writer, {
    recordsCrcHigh: running.high,
    recordsCrcLow: running.low,
    firstRevision: entries[0]!.revision,
    lastRevision: entries[entries.length - 1]!.revision
  })
  return { compress: zstd, bytes: writer.view(), headerBytes }
}

const inChunk: Expected = { snapshot: false, inKeys: false }

/** What a reader would refuse must not be written. */
const assertOrder = (header: FileHeader, expected: Expected, last: LogRecord | undefined, record: LogRecord): void => {
  const wrong = checkOrder(header, expected, last, record)
  assert(wrong === undefined, wrong === undefined ? "" : `${wrong.check}: ${wrong.detail}`)
}

/** What a snapshot says beyond its records. The count of records must be known before the first one. */
export interface SnapshotFacts {
  readonly leaderId: string
  readonly createdAt: Timestamp
  /** The writing Primary's term; 0 with no other extension makes the form of Netsy 1.x. */
  readonly term: number
  /** The floor. */
  readonly compactionRevision: number
  readonly lastIndex: number
  readonly lastTerm: number
  /** The store's revision after (lastIndex, lastTerm). */
  readonly revision: number
  /** Of the records given to `records`. */
  readonly recordsCount: number
  /** Netsy always compresses snapshots; other tools do not. */
  readonly compress: boolean
}

/**
 * Encodes a snapshot: `header` once, `records` for each page (ops first, then key versions by (index, sub)), `footer` at
 * the end. Everything after the header goes through zstd. With a term, one op that states floor and revision comes first.
 */
export class SnapshotWriter {
  private readonly facts: SnapshotFacts
  private readonly fileHeader: FileHeader
  private readonly running = new Crc64()
  private readonly expected: Expected = { snapshot: true, inKeys: false }
  private count = 0
  private first: LogRecord | undefined
  private last: LogRecord | undefined

  constructor(facts: SnapshotFacts) {
    this.facts = facts
    this.fileHeader = {
      schemaVersion: 0,
      kind: FileKind.Snapshot,
      compression: facts.compress ? FileCompression.Zstd : FileCompression.None,
      recordsCount: facts.recordsCount + (facts.term === 0 ? 0 : 1),
      leaderId: facts.leaderId,
      createdAt: facts.createdAt,
      term: facts.term,
      firstIndex: 0,
      compactionRevision: facts.compactionRevision,
      prevTerm: 0,
      stored: 0,
      lastIndex: facts.term === 0 ? 0 : facts.lastIndex,
      lastTerm: facts.lastTerm
    }
  }

  header(): Uint8Array {
    const writer = new Writer(256)
    writeHeader(writer, this.fileHeader)
    return writer.finish()
  }

  records(page: ReadonlyArray<LogRecord>): Uint8Array {
    let bytes = 2 * recordOverheadBytes
    for (const record of page) {
      bytes += recordOverheadBytes + record.key.length + record.value.length + (record.op?.length ?? 0)
    }
    const writer = new Writer(bytes)
    this.writeStateOnce(writer)
    for (const record of page) this.write(writer, record)
    return writer.view()
  }

  footer(): Uint8Array {
    const writer = new Writer(2 * recordOverheadBytes)
    this.writeStateOnce(writer)
    const announced = this.fileHeader.recordsCount
    assert(this.count === announced, `snapshot: ${this.count} records where ${announced} were announced`)
    writeFooter(writer, {
      recordsCrcHigh: this.running.high,
      recordsCrcLow: this.running.low,
      firstRevision: this.first?.revision ?? 0,
      lastRevision: this.last?.revision ?? 0
    })
    return writer.finish()
  }

  private writeStateOnce(writer: Writer): void {
    const { facts } = this
    if (facts.term === 0 || this.first !== undefined) return
    const position = { ...facts, index: facts.lastIndex, term: facts.lastTerm }
    const state = encodeOp({ kind: "compaction", revision: facts.compactionRevision, physical: false })
    this.write(writer, opRecord(position, state))
  }

  private write(writer: Writer, record: LogRecord): void {
    const announced = this.fileHeader.recordsCount
    assert(this.count < announced, `snapshot: more than the ${announced} records that were announced`)
    assertOrder(this.fileHeader, this.expected, this.last, record)
    writeRecord(writer, record, this.facts.term, this.running)
    this.first ??= record
    this.last = record
    this.count++
  }
}
