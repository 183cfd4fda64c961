/** Everything that changes the log or the promises: one transaction each, in the file and fsynced when it returns. */
import type Database from "better-sqlite3"
import { decodeRecords, type Frame, Kind } from "../../core/localstore/frame.ts"
import {
  appended,
  assertAppendable,
  assertCompactable,
  isOutside,
  isReplaced,
  assertFollows,
  assertPromisesGrow,
  assertRestorable,
  assertTruncatable,
  type End,
  type LogState,
  restored,
  truncated,
  zeroLog
} from "../../core/localstore/logState.ts"
import { assertStateFits, stateStored } from "../../core/localstore/state.ts"
import { assert } from "../../core/assert.ts"
import type { OwnFacts } from "./judge.ts"
import { columns, type Row, RowFrame, RowInserter } from "./rows.ts"
import { Facts, formatVersion, type NodeFact, ownFacts, type PromisesFact } from "./schema.ts"
import { StateFacts } from "./stateFacts.ts"

export class Writes {
  log: LogState
  promises: PromisesFact
  node: NodeFact
  private readonly db: Database.Database
  readonly facts: Facts
  readonly state: StateFacts
  private readonly inserter: RowInserter

  constructor(db: Database.Database, found: OwnFacts) {
    this.db = db
    this.log = found.log
    this.promises = found.promises
    this.node = found.node
    this.facts = new Facts(db)
    this.state = new StateFacts(db, this.facts)
    this.inserter = new RowInserter(db)
  }

  append(frame: Frame, commitIndex: number): void {
    assertAppendable(this.log)
    const { lastIndex, lastRevision, lastTerm } = this.log
    const last = { index: lastIndex, term: lastTerm, revision: lastRevision }
    let open = false
    this.change(() => {
      this.inserter.insertAll(frame, (index, term, revision) => {
        // Records of one entry were compared with each other when the frame was made.
        if (open && index === last.index) return
        assertFollows(last, index, term, revision)
        last.index = index
        last.term = term
        last.revision = revision
        open = true
      })
      return appended(this.log, last, commitIndex)
    })
  }

  truncateFrom(index: number): void {
    assertTruncatable(this.log, index)
    if (index > this.log.lastIndex) return
    this.change(() => {
      this.db.prepare("DELETE FROM records WHERE idx >= ?").run(index)
      return truncated(this.log, this.end())
    })
  }

  clear(): void {
    this.change(() => {
      this.db.exec("DELETE FROM records")
      this.state.clear()
      return zeroLog
    })
  }

  restore(frame: Frame, end: End | undefined, floor: number): void {
    assertRestorable(this.log)
    let highest = 0
    this.change(() => {
      this.inserter.insertAll(frame, (index) => {
        if (index > highest) highest = index
      })
      if (end === undefined) return { ...zeroLog, restoring: true }
      const stored = this.db.prepare<[], number>("SELECT max(idx) FROM records").pluck().get() ?? 0
      if (stored > end.index) assert(false, `a snapshot that ends at ${end.index} has a record at ${stored}`)
      this.collectOps(end)
      return restored(end, floor)
    })
  }

  /** Makes the parts that were put the state at `at`, and moves the floor, never back; unless the log was replaced. */
  beginCompaction(revision: number, at: End | undefined, count: number, parts: number): void {
    if (isReplaced(this.log)) return
    if (at !== undefined && (isOutside(this.log, at.index) || !this.state.has(parts))) return
    assertCompactable(this.log, revision)
    if (at !== undefined) assertStateFits(at, this.entryEnd(at.index), this.state.current)
    if (at === undefined && revision <= this.log.floor) return
    this.change(() => {
      const moved = { ...this.log, floor: Math.max(this.log.floor, revision) }
      if (at === undefined) return moved
      this.state.store(at, count, parts)
      return stateStored(moved, at.index)
    })
  }

  /** The operations of a snapshot are a state. */
  private collectOps(end: End): void {
    const frame = new RowFrame()
    const rows = this.db
      .prepare<[], Row>(`SELECT ${columns} FROM records WHERE kind = ${Kind.op} ORDER BY idx, sub, row`)
      .raw(true)
    for (const row of rows.iterate()) frame.add(row)
    const ops = decodeRecords(frame.take()).map((record) => record.op!)
    if (ops.length === 0) return
    this.state.storeOps(end, ops)
    this.db.exec(`DELETE FROM records WHERE kind = ${Kind.op}`)
  }

  private entryEnd(index: number): End | undefined {
    const { baseIndex, baseRevision, baseTerm } = this.log
    if (index === baseIndex) return { index, term: baseTerm, revision: baseRevision }
    if (index < baseIndex) return undefined
    return this.db
      .prepare<[number], End>(`SELECT idx AS "index", term, revision FROM records WHERE idx = ? LIMIT 1`)
      .get(index)
  }

  promise(next: PromisesFact): void {
    assertPromisesGrow(this.promises, next)
    this.db.transaction(() => this.facts.setOwn(ownFacts.promises, next))()
    this.promises = next
  }

  newIncarnation(incarnation: string): void {
    const node = { format: formatVersion, incarnation, starts: 1 }
    this.db.transaction(() => this.facts.setOwn(ownFacts.node, node))()
    this.node = node
  }

  /** Runs `body` in a transaction together with the log's new state, which counts only when the commit has succeeded. */
  change(body: () => LogState): void {
    const next = this.db
      .transaction(() => {
        const changed = body()
        this.facts.setOwn(ownFacts.log, changed)
        return changed
      })
      .immediate()
    this.log = next
  }

  private end(): End {
    const row = this.db
      .prepare<[number], End>(
        `SELECT idx AS "index", term, revision FROM records WHERE idx > ? ORDER BY idx DESC LIMIT 1`
      )
      .get(this.log.baseIndex)
    return row ?? { index: this.log.baseIndex, term: this.log.baseTerm, revision: this.log.baseRevision }
  }
}
