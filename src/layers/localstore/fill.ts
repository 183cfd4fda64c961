/** An empty local store takes over what the bucket's history holds. */
import { Effect, Stream } from "effect"
import type { BucketHistory, HistoryError } from "../../services/History.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"

type Local = LocalStore["Service"]

/** The snapshot on which the history begins; nothing where it begins at index 1. */
export const fillFromSnapshot = (
  local: Local,
  { snapshot, snapshotRecords }: BucketHistory
): Effect.Effect<void, HistoryError | LocalStoreFailed> =>
  Effect.gen(function* () {
    if (snapshot === undefined) return
    yield* snapshotRecords().pipe(Stream.runForEach((page) => local.restore(page, undefined)))
    yield* local.restore([], { position: snapshot.last, revision: snapshot.revision, floor: snapshot.floor })
  })
