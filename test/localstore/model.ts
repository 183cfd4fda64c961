/** What a local store must answer, in the plainest terms: lists that are filtered anew for every question. */
import { type Entry, isInternal, type LogRecord } from "../../src/core/log/record.ts"
import { stateRecords, text } from "./records.ts"

export interface End {
  readonly index: number
  readonly term: number
  readonly revision: number
}

export interface State extends End {
  readonly ops: ReadonlyArray<Uint8Array>
}

const zero: End = { index: 0, term: 0, revision: 0 }

export class Model {
  rows: ReadonlyArray<LogRecord> = []
  base: End = zero
  /** In the place of the operations up to its index. */
  state: State | undefined
  floor = 0
  commitIndex = 0

  get log(): ReadonlyArray<LogRecord> {
    return this.rows.filter((row) => row.index > this.base.index)
  }

  get last(): End {
    return this.log[this.log.length - 1] ?? this.base
  }

  get history(): ReadonlyArray<LogRecord> {
    return this.rows
      .filter((row) => row.op === undefined && !isInternal(row))
      .sort((a, b) => a.revision - b.revision || a.sub - b.sub)
  }

  /** What a view up to the index gives. */
  view(upToIndex: number): ReadonlyArray<LogRecord> {
    const { state } = this
    const rows = this.rows.filter((row) => row.index <= upToIndex)
    if (state === undefined) return rows
    const stateSeen = state.index <= upToIndex ? stateRecords(state) : []
    return [...stateSeen, ...rows.filter((row) => row.op === undefined || row.index > state.index)]
  }

  /** The log's entry at the index, which may be where it begins. */
  entryAt(index: number): End | undefined {
    return index === this.base.index ? this.base : this.log.find((row) => row.index === index)
  }

  append(entries: ReadonlyArray<Entry>, commitIndex: number): void {
    this.rows = [...this.rows, ...entries.flatMap((entry) => entry.records)]
    this.commitIndex = Math.max(this.commitIndex, Math.min(commitIndex, this.last.index))
  }

  truncateFrom(index: number): void {
    this.rows = this.rows.filter((row) => row.index < index)
  }

  clear(): void {
    this.rows = []
    this.state = undefined
    this.base = zero
    this.floor = 0
    this.commitIndex = 0
  }

  restore(rows: ReadonlyArray<LogRecord>, end: End, floor: number): void {
    const sorted = [...rows].sort((a, b) => a.index - b.index || a.sub - b.sub)
    const ops = sorted.flatMap((row) => (row.op === undefined ? [] : [row.op]))
    this.rows = sorted.filter((row) => row.op === undefined)
    this.state = ops.length === 0 ? undefined : { ...end, ops }
    this.base = end
    this.floor = floor
    this.commitIndex = end.index
  }

  compact(revision: number, given: State | undefined): number {
    this.floor = Math.max(this.floor, revision)
    if (given !== undefined) {
      this.state = given
      this.commitIndex = Math.max(this.commitIndex, given.index)
    }
    const old = this.history.filter((row) => row.revision <= this.floor)
    const gone = old.filter((row, i) => {
      const superseded = old.slice(i + 1).some((later) => text(later.key) === text(row.key))
      return superseded || (row.deleted && row.revision < this.floor)
    })
    // Entries above the floor's stay whole.
    const goneOps = this.rows.filter(
      (row) =>
        row.op !== undefined &&
        row.index <= (this.state?.index ?? 0) &&
        (row.index <= this.base.index || row.revision <= this.floor)
    )
    const all = [...gone, ...goneOps]
    this.rows = this.rows.filter((row) => !all.includes(row))
    for (const row of all) if (row.index > this.base.index) this.base = row
    return all.length
  }
}
