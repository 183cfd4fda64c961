/** Everything that only reads. Pages end behind the record that passes the byte limit. */
import Database from "better-sqlite3"
import type { LogState } from "../../core/localstore/logState.ts"
import { decodeWanted } from "../../core/localstore/wanted.ts"
import { type Frame, Kind } from "../../core/localstore/frame.ts"
import { Facts, type StateFact } from "./schema.ts"
import { readStateFact, stateRows } from "./stateFacts.ts"
import { columns, type Row, rowBytes, RowFrame } from "./rows.ts"

export class Reads {
  private readonly fromIndex: Database.Statement<[number], Row>
  private readonly term: Database.Statement<[number], number>
  private readonly byRevision: Database.Statement<[number, number], Row>
  private readonly byKey: Database.Statement<[Uint8Array, number], Row>

  constructor(db: Database.Database) {
    this.fromIndex = db
      .prepare<[number], Row>(`SELECT ${columns} FROM records WHERE idx >= ? ORDER BY idx, sub`)
      .raw(true)
    this.term = db.prepare<[number], number>("SELECT term FROM records WHERE idx = ? LIMIT 1").pluck()
    this.byRevision = db
      .prepare<[number, number], Row>(
        `SELECT ${columns} FROM records WHERE kind < 2 AND revision >= ? AND revision <= ? ORDER BY revision, sub, row`
      )
      .raw(true)
    this.byKey = db
      .prepare<[Uint8Array, number], Row>(
        `SELECT ${columns} FROM records WHERE kind < 2 AND key = ? AND revision = ? ORDER BY sub DESC LIMIT 1`
      )
      .raw(true)
  }

  entries(log: LogState, fromIndex: number, maxEntries: number, maxBytes: number): Frame {
    const frame = new RowFrame()
    if (log.restoring || fromIndex <= log.baseIndex) return frame.take()
    let entries = 0
    let index = 0
    for (const row of this.fromIndex.iterate(fromIndex)) {
      if (row[0] !== index) {
        if (entries > 0 && (entries >= maxEntries || frame.length >= maxBytes)) break
        index = row[0]
        entries++
      }
      frame.add(row)
    }
    return frame.take()
  }

  termAt(log: LogState, index: number): number | undefined {
    if (log.restoring || index < log.baseIndex) return undefined
    return index === log.baseIndex ? log.baseTerm : this.term.get(index)
  }

  changes(fromRevision: number, toRevision: number, maxBytes: number): Frame {
    const frame = new RowFrame()
    let revision = 0
    for (const row of this.byRevision.iterate(fromRevision, toRevision)) {
      if (row[2] !== revision) {
        if (frame.count > 0 && frame.length >= maxBytes) break
        revision = row[2]
      }
      frame.add(row)
    }
    return frame.take()
  }

  /** The frame holds what was found; the numbers say for each wanted one, in order, whether it was (1) or not (0). */
  versions(wanted: Frame): { readonly frame: Frame; readonly found: ReadonlyArray<number> } {
    const frame = new RowFrame()
    const found = decodeWanted(wanted).map(({ key, revision }) => {
      const row = this.byKey.get(Buffer.from(key.buffer, key.byteOffset, key.length), revision)
      if (row === undefined) return 0
      frame.add(row)
      return 1
    })
    return { frame: frame.take(), found }
  }
}

/** Rule C2: what a compaction to the floor removes. */
const compactedAway = (floor: number): string =>
  floor === 0
    ? "FALSE"
    : `(kind < 2 AND revision <= ${floor} AND (
         (kind = ${Kind.tombstone} AND revision < ${floor}) OR EXISTS (
           SELECT 1 FROM records AS newer WHERE newer.kind < 2 AND newer.key = records.key AND newer.revision <= ${floor}
             AND (newer.revision, newer.sub) > (records.revision, records.sub))))`

/**
 * A consistent view: its own connection in a read transaction. First the state's operations, then one statement that is
 * read to its end.
 */
export class View {
  readonly count: number
  readonly opCount: number
  private readonly db: Database.Database
  private readonly rows: Iterator<Row>
  private ahead: IteratorResult<Row>

  constructor(file: string, upToIndex: number, floor: number) {
    this.db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5000 })
    try {
      this.db.exec("BEGIN")
      const facts = new Facts(this.db)
      const stored = readStateFact(facts)
      const replaced = stored?.index ?? 0
      const state = replaced > upToIndex ? undefined : stored
      const count = (from: number, kinds: string): number =>
        this.db
          .prepare<[number, number], number>(`SELECT count(*) FROM records WHERE idx > ? AND idx <= ? AND ${kinds}`)
          .pluck()
          .get(from, upToIndex)!
      const ops = count(replaced, "kind = 2")
      this.opCount = ops + (state?.count ?? 0)
      const removed = compactedAway(floor)
      this.count = this.opCount + count(-1, `NOT ${removed}`) - count(-1, "kind = 2")
      this.rows = this.all(facts, state, replaced, upToIndex, removed)
      this.ahead = this.rows.next()
    } catch (error) {
      this.db.close()
      throw error
    }
  }

  private *all(
    facts: Facts,
    state: StateFact | undefined,
    replaced: number,
    upToIndex: number,
    removed: string
  ): Generator<Row> {
    if (state !== undefined) yield* stateRows(facts, state)
    yield* this.db
      .prepare<[number, number], Row>(
        `SELECT ${columns} FROM records WHERE idx <= ? AND (kind <> 2 OR idx > ?) AND NOT ${removed} ORDER BY idx, sub, row`
      )
      .raw(true)
      .iterate(upToIndex, replaced)
  }

  next(maxRecords: number, maxBytes: number): { readonly frame: Frame; readonly done: boolean } {
    const frame = new RowFrame()
    while (this.ahead.done !== true) {
      if (frame.count > 0 && (frame.count >= maxRecords || frame.length + rowBytes(this.ahead.value) > maxBytes)) break
      frame.add(this.ahead.value)
      this.ahead = this.rows.next()
    }
    return { frame: frame.take(), done: this.ahead.done === true }
  }

  close(): void {
    this.rows.return?.()
    this.db.close()
  }
}
