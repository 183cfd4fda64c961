/**
 * The state of a moment as a snapshot file: the history up to it goes into a local store of its own, as in a node that
 * starts without a disk, and out of it again as a Primary writes its snapshots.
 */
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { Clock, Effect, Stream } from "effect"
import { type Moment, standingOf } from "../../core/log/moment.ts"
import type { LogRecord } from "../../core/log/record.ts"
import { LoggedState } from "../../core/state/LoggedState.ts"
import * as LocalStoreSqlite from "../../layers/LocalStoreSqlite.ts"
import { fillFromSnapshot } from "../../layers/localstore/fill.ts"
import { loadState } from "../../layers/replicatedstate/loadState.ts"
import { failedOn, writeSnapshotFile } from "../../layers/snapshotter/snapshotFile.ts"
import { type BucketHistory, History, type ReadOptions } from "../../services/History.ts"
import { LocalStore } from "../../services/LocalStore.ts"

export interface Restored {
  readonly index: number
  readonly term: number
  readonly revision: number
  readonly floor: number
  /** When the newest change of a key that is kept was made. */
  readonly lastWriteMillis: number | undefined
  readonly keys: number
  readonly leases: number
  readonly users: number
  readonly bytes: number
}

const rowsTogether = 4_096

/** Notes the newest change of a key that passes by. */
class LastWrite {
  #index = 0
  millis: number | undefined

  note(records: ReadonlyArray<LogRecord>): void {
    for (const record of records) {
      if (record.op !== undefined || record.index < this.#index) continue
      this.#index = record.index
      this.millis = standingOf(record).millis
    }
  }
}

const fill = (local: LocalStore["Service"], history: BucketHistory, lastWrite: LastWrite) =>
  Effect.gen(function* () {
    const noted = (records: ReadonlyArray<LogRecord>) => Effect.sync(() => lastWrite.note(records))
    const snapshotRecords = () => Stream.tap(history.snapshotRecords(), noted)
    yield* fillFromSnapshot(local, { ...history, snapshotRecords })
    yield* history.entriesAfter(history.snapshot?.last.index ?? 0).pipe(
      Stream.runForEach((entries) =>
        Effect.gen(function* () {
          for (let at = 0; at < entries.length; at += rowsTogether) {
            const batch = entries.slice(at, at + rowsTogether)
            yield* local.append(batch, batch[batch.length - 1]!.index)
            for (const { records } of batch) lastWrite.note(records)
          }
        })
      )
    )
  })

/**
 * Writes `file`, and whatever is needed on the way into `scratch`. The file ends in `newTerm`, above all terms there were:
 * what came behind the moment is then a branch that lost, and a disk that still has it cannot bring it back.
 */
export const writeState = (moment: Moment, options: ReadOptions, newTerm: number, scratch: string, file: string) =>
  Effect.gen(function* () {
    const history = yield* (yield* History).readTo(moment, options)
    const local = yield* LocalStore
    const clock = yield* Clock.Clock
    const lastWrite = new LastWrite()
    yield* fill(local, history, lastWrite)
    const state = new LoggedState()
    state.become(yield* loadState(local, history.last.index))
    const source = state.source()
    const { floor, index, revision, term } = source
    // A compaction that is committed at the moment has removed nothing from this store.
    const compacted = { ...local, view: (upTo: number) => local.view(upTo, floor) }
    const end = { ...source, term: newTerm }
    yield* writeSnapshotFile({ local: compacted, clock, nodeId: "restore" }, file, end, () => end)
    const { size } = yield* Effect.tryPromise({ try: () => stat(file), catch: failedOn(file) })
    return {
      ...{ index, term, revision, floor, bytes: size },
      lastWriteMillis: lastWrite.millis,
      keys: state.store.countAll(revision),
      leases: state.leases.size,
      users: state.auth.users.size
    } satisfies Restored
  }).pipe(Effect.provide(LocalStoreSqlite.layer({ path: join(scratch, "db.sqlite3") })), Effect.scoped)
