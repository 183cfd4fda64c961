/** Makes data files: a chunk at once in memory, a snapshot page by page. Compression is left to the caller. */
import { assert } from "../assert.ts"
import type { Entry, LogRecord, Timestamp } from "../log/record.ts"
import { Writer } from "../wire/protobuf.ts"
import { Crc64 } from "./crc64.ts"
import { writeFooter, writeHeader } from "./header.ts"
import { recordOverheadBytes, writeRecord } from "./record.ts"
import { compressAboveBytes, FileCompression, FileKind } from "./types.ts"

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
  writeHeader(writer, {
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
  })
  const headerBytes = writer.length
  const running = new Crc64()
  for (let i = 0; i < entries.length; i++) {
    const records = entries[i]!.records
    for (let j = 0; j < records.length; j++) writeRecord(writer, records[j]!, facts.term, running)
  }
  writeFooter(writer, {
    recordsCrcHigh: running.high,
    recordsCrcLow: running.low,
    firstRevision: entries[0]!.revision,
    lastRevision: entries[entries.length - 1]!.revision
  })
  return { compress: zstd, bytes: writer.view(), headerBytes }
}

/** What a snapshot's header says. The count of records must be known before the first one. */
export interface SnapshotFacts {
  readonly leaderId: string
  readonly createdAt: Timestamp
  /** The writing Primary's term; 0 with no other extension makes the form of Netsy 1.x. */
  readonly term: number
  readonly compactionRevision: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly recordsCount: number
  /** Netsy always compresses snapshots; other tools do not. */
  readonly compress: boolean
}

/** Encodes a snapshot: `header` once, `records` for each page, `footer` at the end. Everything after the header goes through zstd. */
export class SnapshotWriter {
  private readonly facts: SnapshotFacts
  private readonly running = new Crc64()
  private count = 0
  private firstRevision = 0
  private lastRevision = 0

  constructor(facts: SnapshotFacts) {
    this.facts = facts
  }

  header(): Uint8Array {
    const { facts } = this
    const writer = new Writer(256)
    writeHeader(writer, {
      schemaVersion: 0,
      kind: FileKind.Snapshot,
      compression: facts.compress ? FileCompression.Zstd : FileCompression.None,
      recordsCount: facts.recordsCount,
      leaderId: facts.leaderId,
      createdAt: facts.createdAt,
      term: facts.term,
      firstIndex: 0,
      compactionRevision: facts.compactionRevision,
      prevTerm: 0,
      stored: 0,
      lastIndex: facts.lastIndex,
      lastTerm: facts.lastTerm
    })
    return writer.finish()
  }

  records(page: ReadonlyArray<LogRecord>): Uint8Array {
    let bytes = 64
    for (const record of page) bytes += recordOverheadBytes + record.key.length + record.value.length
    const writer = new Writer(bytes)
    for (const record of page) writeRecord(writer, record, this.facts.term, this.running)
    if (page.length > 0) {
      if (this.count === 0) this.firstRevision = page[0]!.revision
      this.lastRevision = page[page.length - 1]!.revision
      this.count += page.length
    }
    assert(
      this.count <= this.facts.recordsCount,
      `snapshot: ${this.count} records where ${this.facts.recordsCount} were announced`
    )
    return writer.view()
  }

  footer(): Uint8Array {
    assert(
      this.count === this.facts.recordsCount,
      `snapshot: ${this.count} records where ${this.facts.recordsCount} were announced`
    )
    const writer = new Writer(64)
    writeFooter(writer, {
      recordsCrcHigh: this.running.high,
      recordsCrcLow: this.running.low,
      firstRevision: this.firstRevision,
      lastRevision: this.lastRevision
    })
    return writer.finish()
  }
}
