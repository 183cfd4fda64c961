/**
 * Compaction by rule C2: at the floor, every key keeps its newest version at or below it, unless that is a tombstone older
 * than the floor. A walk over the revisions since the last compaction removes what each version supersedes, and
 * tombstones passed; then the operations go that the stored state stands for. All in steps, each its own transaction, so
 * that appends come in between. A step that was done twice changes nothing, so a crash in the middle only means that the
 * walk starts over at `compactedTo`.
 */
import type Database from "better-sqlite3"
import { Kind } from "../../core/localstore/frame.ts"
import { compacted, type End } from "../../core/localstore/logState.ts"
import { forgettable, type OpsRemoval, removableOps } from "../../core/localstore/state.ts"
import type { Writes } from "./writes.ts"

/** A step ends behind the row with which it has removed so much: freeing the pages of large values takes time. */
const stepBytesMax = 1024 * 1024

type Walked = [row: number, idx: number, term: number, revision: number, sub: number, kind: number, key: Uint8Array]
type Removed = [idx: number, term: number, revision: number, bytes: number]

export interface Step {
  readonly removed: number
  readonly done: boolean
}

export class Compaction {
  private readonly writes: Writes
  private readonly walk: Database.Statement<[number, number, number, number, number, number], Walked>
  private readonly removeOlder: Database.Statement<[Uint8Array, number, number, number], Removed>
  private readonly removeRow: Database.Statement<[number], Removed>
  private readonly removeOps: Database.Statement<[number, number, number, number], Removed>
  private readonly firstAbove: Database.Statement<[number], number>
  private cursor = { revision: 0, sub: -1, row: -1 }
  private walkDone = true
  private opsUpTo = 0
  private forgetUpTo = 0

  constructor(db: Database.Database, writes: Writes) {
    this.writes = writes
    this.walk = db
      .prepare<[number, number, number, number, number, number], Walked>(
        `SELECT row, idx, term, revision, sub, kind, key FROM records
         WHERE kind < 2 AND revision >= ? AND revision <= ? AND (revision, sub, row) > (?, ?, ?)
         ORDER BY revision, sub, row LIMIT ?`
      )
      .raw(true)
    const removed = "RETURNING idx, term, revision, length(body)"
    this.removeOlder = db
      .prepare<[Uint8Array, number, number, number], Removed>(
        `DELETE FROM records WHERE kind < 2 AND key = ? AND revision <= ? AND (revision, sub) < (?, ?) ${removed}`
      )
      .raw(true)
    this.removeRow = db.prepare<[number], Removed>(`DELETE FROM records WHERE row = ? ${removed}`).raw(true)
    this.removeOps = db
      .prepare<[number, number, number, number], Removed>(
        `DELETE FROM records WHERE row IN
           (SELECT row FROM records WHERE kind = ${Kind.op} AND idx <= ? AND (idx <= ? OR revision <= ?)
            ORDER BY idx LIMIT ?) ${removed}`
      )
      .raw(true)
    this.firstAbove = db
      .prepare<[number], number>(
        "SELECT idx FROM records WHERE kind < 2 AND revision > ? ORDER BY revision, sub LIMIT 1"
      )
      .pluck()
  }

  /** Moves the floor, never back, and goes to where the last compaction ended. */
  begin(revision: number, at: End | undefined, count: number, parts: number, ops: OpsRemoval): void {
    const { writes } = this
    writes.beginCompaction(revision, at, count, parts)
    this.cursor = { revision: writes.log.compactedTo, sub: -1, row: -1 }
    this.walkDone = false
    this.opsUpTo = removableOps(writes.log, writes.state.current, this.firstAbove.get(writes.log.floor), ops)
    this.forgetUpTo = ops.forgetUpTo ?? 0
  }

  /** The log is gone: what was begun has nothing left to do. */
  abort(): void {
    this.walkDone = true
    this.opsUpTo = 0
  }

  step(rowsMax: number): Step {
    const gone = new Gone()
    if (!this.walkDone) this.walkOn(rowsMax, gone)
    else {
      this.writes.change(() => {
        const { log } = this.writes
        const forgotten = forgettable(log, { forgetUpTo: this.forgetUpTo })
        for (const row of this.removeOps.all(this.opsUpTo, forgotten, log.floor, rowsMax)) gone.add(row)
        return compacted(log, gone.newest, 0)
      })
      return { removed: gone.count, done: gone.count < rowsMax }
    }
    return { removed: gone.count, done: false }
  }

  private walkOn(rowsMax: number, gone: Gone): void {
    const { floor } = this.writes.log
    const from = this.cursor
    const walked = this.walk.all(from.revision, floor, from.revision, from.sub, from.row, rowsMax)
    let last: Walked | undefined
    this.writes.change(() => {
      for (const next of walked) {
        if (gone.bytes >= stepBytesMax) break
        const [row, , , revision, sub, kind, key] = next
        for (const older of this.removeOlder.all(key, revision, revision, sub)) gone.add(older)
        if (kind === Kind.tombstone && revision < floor) for (const itself of this.removeRow.all(row)) gone.add(itself)
        last = next
      }
      this.walkDone = walked.length < rowsMax && last === walked[walked.length - 1]
      return compacted(this.writes.log, gone.newest, this.walkDone ? floor : last![3])
    })
    if (last !== undefined) this.cursor = { revision: last[3], sub: last[4], row: last[0] }
  }
}

/** What a step has removed. */
class Gone {
  count = 0
  bytes = 0
  newest: End | undefined

  add([index, term, revision, bytes]: Removed): void {
    this.count++
    this.bytes += bytes
    if (this.newest === undefined || index > this.newest.index) this.newest = { index, term, revision }
  }
}
