/** What the walk of the bucket's history needs of a data file, gathered while its records pass by. */
import type { ChunkInfo, SnapshotInfo, TermRun } from "../log/history.ts"
import { millisOf } from "../log/moment.ts"
import { decodeOp } from "../log/op.ts"
import type { LogRecord } from "../log/record.ts"
import { MalformedMessage, Writer } from "../wire/protobuf.ts"
import { Crc64 } from "./crc64.ts"
import { writeRecord } from "./record.ts"
import type { FileHeader } from "./types.ts"

/** A chunk of the bucket; `size` and revisions for who reads it, `old` for files of Netsy 1.x. */
export interface ChunkFile extends ChunkInfo {
  readonly size: number
  readonly firstRevision: number
  readonly lastRevision: number
  /** Of the times that its records state; Infinity when none does. */
  readonly earliestMillis: number
  readonly old: boolean
}

export interface SnapshotFile extends SnapshotInfo {
  readonly size: number
  readonly lastModified: number
  /** By the clock of the Primary that took it. */
  readonly createdMillis: number | undefined
  readonly revision: number
  readonly floor: number
  readonly old: boolean
}

/** Gathers a chunk's parts without gaps: one, or in a chunk of Netsy 1.x perhaps several. */
export class ChunkSummary {
  private readonly parts: Array<{ firstIndex: number; lastIndex: number; runs: Array<TermRun> }> = []
  private firstRevision = 0
  private lastRevision = 0
  private earliestMillis = Infinity

  add(records: ReadonlyArray<LogRecord>): void {
    for (const { createdAt, index, term, revision } of records) {
      const part = this.parts[this.parts.length - 1]
      if (part === undefined || index > part.lastIndex + 1) {
        this.parts.push({ firstIndex: index, lastIndex: index, runs: [{ fromIndex: index, term }] })
      } else {
        part.lastIndex = index
        if (part.runs[part.runs.length - 1]!.term !== term) part.runs.push({ fromIndex: index, term })
      }
      if (this.firstRevision === 0) this.firstRevision = revision
      this.lastRevision = revision
      this.earliestMillis = Math.min(this.earliestMillis, millisOf(createdAt) ?? Infinity)
    }
  }

  finish(key: string, size: number, header: FileHeader): Array<ChunkFile> {
    return this.parts.map((part) => ({
      key,
      size,
      ...part,
      prevTerm: header.prevTerm,
      stored: header.stored,
      firstRevision: this.firstRevision,
      earliestMillis: this.earliestMillis,
      lastRevision: header.term === 0 ? part.lastIndex : this.lastRevision,
      old: header.term === 0
    }))
  }
}

/** Floor and revision of one of our snapshots, out of its first record. */
export const snapshotState = (record: LogRecord): { readonly revision: number; readonly floor: number } | undefined => {
  if (record.op === undefined) return undefined
  try {
    const op = decodeOp(record.op)
    return op.kind === "compaction" ? { revision: record.revision, floor: op.revision } : undefined
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined
    throw error
  }
}

/**
 * The floor of a snapshot of Netsy 1.x, which does not state it: values of superseded rows are emptied there, so nothing
 * below the row that superseded the last emptied one can be read rightly.
 */
export class OldFloor {
  floor = 0
  private readonly emptied = new Set<number>()

  add(records: ReadonlyArray<LogRecord>): void {
    for (const { revision, prevRevision, deleted, compactedAt } of records) {
      if (prevRevision !== 0 && this.emptied.delete(prevRevision)) this.floor = Math.max(this.floor, revision)
      if (compactedAt === undefined) continue
      this.floor = Math.max(this.floor, revision)
      if (!deleted) this.emptied.add(revision)
    }
  }
}

/** Identity of a record of Netsy 1.x: what two copies of a revision must agree in. */
export interface OldIdentity {
  readonly compacted: boolean
  readonly withValue: bigint
  readonly withoutValue: bigint
}

const writer = new Writer()
const crc = new Crc64()
const noBytes = new Uint8Array(0)

export const oldIdentity = (record: LogRecord): OldIdentity => {
  const digest = (value: Uint8Array): bigint => {
    writer.reset()
    writeRecord(writer, { ...record, value, replicatedAt: undefined, compactedAt: undefined }, 0)
    return crc.reset().update(writer.buffer, 0, writer.length).value
  }
  const withoutValue = digest(noBytes)
  return {
    compacted: record.compactedAt !== undefined,
    withValue: record.value.length === 0 ? withoutValue : digest(record.value),
    withoutValue
  }
}

/** Equal ignoring crc, replicated_at, compacted_at, and a value that one side has compacted. */
export const sameOld = (a: OldIdentity, b: OldIdentity): boolean =>
  a.compacted || b.compacted ? a.withoutValue === b.withoutValue : a.withValue === b.withValue
