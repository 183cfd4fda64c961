/** What a local store must answer, in the plainest terms: lists that are filtered anew for every question. */
import { type Entry, isInternal, type LogRecord } from "../../src/core/log/record.ts"
import { text } from "./records.ts"

export interface End {
  readonly index: number
  readonly term: number
  readonly revision: number
}

const zero: End = { index: 0, term: 0, revision: 0 }

export class Model {
  rows: ReadonlyArray<LogRecord> = []
  base: End = zero
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

  append(entries: ReadonlyArray<Entry>, commitIndex: number): void {
    this.rows = [...this.rows, ...entries.flatMap((entry) => entry.records)]
    this.commitIndex = Math.max(this.commitIndex, Math.min(commitIndex, this.last.index))
  }

  truncateFrom(index: number): void {
    this.rows = this.rows.filter((row) => row.index < index)
  }

  clear(): void {
    this.rows = []
    this.base = zero
    this.floor = 0
    this.commitIndex = 0
  }

  restore(rows: ReadonlyArray<LogRecord>, end: End, floor: number): void {
    this.rows = [...rows].sort((a, b) => a.index - b.index || a.sub - b.sub)
    this.base = end
    this.floor = floor
    this.commitIndex = end.index
  }

  compact(revision: number): number {
    this.floor = Math.max(this.floor, revision)
    const old = this.history.filter((row) => row.revision <= this.floor)
    const gone = old.filter((row, i) => {
      const superseded = old.slice(i + 1).some((later) => text(later.key) === text(row.key))
      return superseded || (row.deleted && row.revision < this.floor)
    })
    this.rows = this.rows.filter((row) => !gone.includes(row))
    for (const row of gone) if (row.index > this.base.index) this.base = row
    return gone.length
  }
}
