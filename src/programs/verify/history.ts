/** Follows the history as a starting node does, and replays it for the answers that every node must give. */
import { Effect, Stream } from "effect"
import type { LogRecord } from "../../core/log/record.ts"
import { HistoryCheck } from "../../core/verify/HistoryCheck.ts"
import { LastVersions } from "../../core/verify/LastVersions.ts"
import { isChange, Replay } from "../../core/verify/Replay.ts"
import { type BucketHistory, History, type HistoryError } from "../../services/History.ts"

/** Snapshot and chunks, each record once, in order. */
const everyRecord = (history: BucketHistory, take: (record: LogRecord) => void): Effect.Effect<void, HistoryError> =>
  Effect.gen(function* () {
    yield* history.snapshotRecords().pipe(
      Stream.runForEach((page) =>
        Effect.sync(() => {
          for (const record of page) take(record)
        })
      )
    )
    yield* history.entriesAfter(history.snapshot?.last.index ?? 0).pipe(
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          for (const { records } of batch) for (const record of records) take(record)
        })
      )
    )
  })

export interface Walked {
  readonly history: BucketHistory
  readonly check: HistoryCheck
  readonly snapshotRecords: number
}

/** `tellsAll`: the path's snapshot holds every change above its floor. */
export const walk = (tellsAll: boolean) =>
  Effect.gen(function* () {
    const history = yield* (yield* History).read({ recoveredTerm: "unknown" })
    const { snapshot } = history
    const check = new HistoryCheck(
      snapshot && { ...snapshot, lastIndex: snapshot.last.index, lastTerm: snapshot.last.term }
    )
    let snapshotRecords = 0
    yield* history.snapshotRecords().pipe(
      Stream.runForEach((page) =>
        Effect.sync(() => {
          snapshotRecords += page.length
          for (const record of page) check.snapshotRecord(record)
        })
      )
    )
    if (snapshot !== undefined) check.snapshotEnd(tellsAll)
    yield* history.entriesAfter(snapshot?.last.index ?? 0).pipe(
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          for (const entry of batch) check.entry(entry)
        })
      )
    )
    return { history, check, snapshotRecords } satisfies Walked
  })

/** HashKV and contents at the revision, for a node that was compacted at `compactRevision` (−1: never). */
export const replay = (history: BucketHistory, revision: number, compactRevision: number) =>
  Effect.gen(function* () {
    const currentAt = (limit: number) =>
      Effect.gen(function* () {
        const current = new LastVersions()
        yield* everyRecord(history, (record) => {
          if (isChange(record, limit)) current.note(record)
        })
        return current
      })
    const current = yield* currentAt(revision)
    const showsAny = current.live > 0
    const counted = showsAny || compactRevision < 0 ? current : yield* currentAt(compactRevision)
    const result = new Replay(counted, showsAny, revision, compactRevision)
    yield* everyRecord(history, (record) => result.add(record))
    return result
  })
