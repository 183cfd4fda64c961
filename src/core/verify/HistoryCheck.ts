/**
 * The walk along the bucket's history, entry by entry: indexes without a gap, terms that never fall, dense revisions
 * (I4), a floor that never moves back nor passes the revision (I7). Keeps what each revision changed.
 */
import type { SnapshotFile } from "../datafile/summary.ts"
import { decodeOp } from "../log/op.ts"
import { type Entry, isInternal, type LogRecord } from "../log/record.ts"
import { MalformedMessage } from "../wire/protobuf.ts"
import { Revisions } from "./Revisions.ts"

/** Where the walk begins: (0, 0) without a snapshot. */
export type WalkStart = Pick<SnapshotFile, "key" | "lastIndex" | "lastTerm" | "revision" | "floor">

export class HistoryCheck {
  /** From the first revision on that the history still tells whole. */
  readonly revisions = new Revisions()
  #index: number
  #term: number
  #revision: number
  #floor: number
  #snapshotRevision = 0
  #problem: string | undefined
  readonly #start: WalkStart | undefined

  constructor(start: WalkStart | undefined) {
    this.#start = start
    this.#index = start?.lastIndex ?? 0
    this.#term = start?.lastTerm ?? 0
    this.#revision = start?.revision ?? 0
    this.#floor = start?.floor ?? 0
  }

  get index(): number {
    return this.#index
  }

  get term(): number {
    return this.#term
  }

  get revision(): number {
    return this.#revision
  }

  get floor(): number {
    return this.#floor
  }

  get problem(): string | undefined {
    return this.#problem
  }

  /** The snapshot's records in their order; those above its floor are whole revisions. */
  snapshotRecord(record: LogRecord): void {
    if (record.op !== undefined || isInternal(record)) return
    const { floor, key, revision } = this.#start!
    if (record.revision > revision)
      this.#problem ??= `${key}: revision ${record.revision} is above the snapshot's last, ${revision}`
    if (record.revision < this.#snapshotRevision)
      this.#problem ??= `${key}: revision ${record.revision} comes after ${this.#snapshotRevision}`
    this.#snapshotRevision = record.revision
    if (record.revision > floor) this.revisions.add(record.revision, record)
  }

  /** All records of the snapshot have passed. `tellsAll`: it holds every change above its floor (ours do). */
  snapshotEnd(tellsAll: boolean): void {
    const { floor, key, revision } = this.#start!
    const hole = tellsAll ? this.revisions.hole(Math.max(2, floor + 1), revision) : undefined
    if (hole !== undefined) this.#problem ??= `${key}: nothing at revision ${hole} of ${floor + 1} … ${revision}`
  }

  entry(entry: Entry): void {
    const { index, records, revision, term } = entry
    if (index !== this.#index + 1) this.#problem ??= `index ${index} follows ${this.#index}`
    if (term < this.#term) this.#problem ??= `term ${term} at index ${index} follows term ${this.#term}`
    const writes = records.some((record) => record.op === undefined)
    const expected = this.#revision + (writes ? 1 : 0)
    if (this.#index > 0 && revision !== expected)
      this.#problem ??= `revision ${revision} at index ${index} comes where ${expected} should`
    this.#index = index
    this.#term = term
    this.#revision = revision
    for (const record of records) {
      if (record.op !== undefined) this.#operation(record)
      else if (!isInternal(record)) this.revisions.add(revision, record)
    }
  }

  #operation({ index, op, revision }: LogRecord): void {
    try {
      const decoded = decodeOp(op!)
      if (decoded.kind !== "compaction") return
      if (decoded.revision <= this.#floor)
        this.#problem ??= `the floor moves back from ${this.#floor} to ${decoded.revision} at index ${index}`
      if (decoded.revision > revision)
        this.#problem ??= `the floor moves to ${decoded.revision} at index ${index}, above the revision ${revision}`
      this.#floor = Math.max(this.#floor, decoded.revision)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      this.#problem ??= `the operation at index ${index} cannot be read: ${error.message}`
    }
  }
}
