/**
 * Compaction by rule C2: at the floor, every key keeps its newest version at or below it, unless that is a tombstone older
 * than the floor. A walk over the revisions since the last compaction removes what each version supersedes, and
 * tombstones passed; it goes in steps, each its own transaction, so that appends come in between. A step that was done
 * twice changes nothing, so a crash in the middle only means that the walk starts over at `compactedTo`.
 */
import type Database from "better-sqlite3"
import { Kind } from "../../core/localstore/frame.ts"
import { assertCompactable, compacted, type End } from "../../core/localstore/logState.ts"
import type { Writes } from "./writes.ts"

const stepRows = 512

type Walked = [row: number, idx: number, term: number, revision: number, sub: number, kind: number, key: Uint8Array]
type Removed = [idx: number, term: number, revision: number]

export interface Step {
  readonly removed: number
  readonly done: boolean
}

export class Compaction {
  private readonly writes: Writes
  private readonly walk: Database.Statement<[number, number, number, number, number], Walked>
  private readonly removeOlder: Database.Statement<[Uint8Array, number, number, number], Removed>
  private readonly removeRow: Database.Statement<[number], unknown>
  private cursor = { revision: 0, sub: -1, row: -1 }

  constructor(db: Database.Database, writes: Writes) {
    this.writes = writes
    this.walk = db
      .prepare<[number, number, number, number, number], Walked>(
        `SELECT row, idx, term, revision, sub, kind, key FROM records
         WHERE kind < 2 AND revision >= ? AND revision <= ? AND (revision, sub, row) > (?, ?, ?)
         ORDER BY revision, sub, row LIMIT ${stepRows}`
      )
      .raw(true)
    this.removeOlder = db
      .prepare<[Uint8Array, number, number, number], Removed>(
        `DELETE FROM records WHERE kind < 2 AND key = ? AND revision <= ? AND (revision, sub) < (?, ?)
         RETURNING idx, term, revision`
      )
      .raw(true)
    this.removeRow = db.prepare("DELETE FROM records WHERE row = ?")
  }

  /** Moves the floor, never back, and goes to where the last compaction ended. */
  begin(revision: number): void {
    const log = this.writes.log
    assertCompactable(log, revision)
    if (revision > log.floor) this.writes.change(() => ({ ...log, floor: revision }))
    this.cursor = { revision: log.compactedTo, sub: -1, row: -1 }
  }

  step(): Step {
    const { floor } = this.writes.log
    const { revision, row, sub } = this.cursor
    const walked = this.walk.all(revision, floor, revision, sub, row)
    const done = walked.length < stepRows
    let removed = 0
    let newest: End | undefined
    const note = (index: number, term: number, revision: number): void => {
      removed++
      if (newest === undefined || index > newest.index) newest = { index, term, revision }
    }
    this.writes.change(() => {
      for (const [row, idx, term, revision, sub, kind, key] of walked) {
        for (const gone of this.removeOlder.all(key, revision, revision, sub)) note(gone[0], gone[1], gone[2])
        if (kind === Kind.tombstone && revision < floor && this.removeRow.run(row).changes > 0)
          note(idx, term, revision)
      }
      return compacted(this.writes.log, newest, done ? floor : walked[walked.length - 1]![3])
    })
    const last = walked[walked.length - 1]
    if (last !== undefined) this.cursor = { revision: last[3], sub: last[4], row: last[0] }
    return { removed, done }
  }
}
