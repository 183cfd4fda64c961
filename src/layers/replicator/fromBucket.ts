/**
 * A replica that is too far behind: what its Primary cannot send any more comes from the bucket, if the bucket's history
 * is higher in log order than the own log and reaches far enough (design 6.6). It then shows up to the snapshot's end,
 * until a Primary says more.
 */
import { type Clock, Effect } from "effect"
import { bucketHelps } from "../../core/log/follow.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import { type History, type HistoryError, HistoryMoved } from "../../services/History.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { Unavailable } from "../../services/ObjectStore.ts"
import type { StateMachine } from "../../services/Replicator.ts"
import type { NodeLog } from "./NodeLog.ts"
import { settle } from "./restoreFromBucket.ts"
import type { Conflict } from "./setAside.ts"

export interface FromBucketParts {
  readonly local: LocalStore["Service"]
  readonly log: NodeLog
  readonly history: History["Service"]
  readonly view: ClusterView["Service"]
  readonly status: NodeStatus["Service"]
  readonly journal: Log["Service"]
  readonly clock: Clock.Clock
  readonly machine: StateMachine
  readonly advance: (index: number) => Effect.Effect<void>
  readonly waitFor: (what: string) => void
}

export type FromBucket =
  | { readonly kind: "restored" }
  /** The bucket is out of reach or not far enough: try again later. */
  | { readonly kind: "wait" }
  | { readonly kind: "conflict"; readonly term: number; readonly conflict: Conflict }

export const fromBucket = (
  parts: FromBucketParts,
  primary: string,
  firstIndex: number
): Effect.Effect<FromBucket, HistoryError | LocalStoreFailed> => {
  const { advance, history, journal, log, machine, view, waitFor } = parts
  const reload = Effect.suspend(() => machine.load(log.commitIndex))
  const restore = Effect.gen(function* () {
    waitFor(`the bucket's history to be read: the log of ${primary} begins at index ${firstIndex}`)
    const { arbiter } = view.current()
    const recoveredTerm = arbiter === undefined ? "unknown" : arbiter.recovered?.term
    const found = yield* history.read({ recoveredTerm })
    if (!bucketHelps(log.last, found.last, firstIndex)) {
      waitFor(
        `the bucket to hold what ${primary} does not have any more: its log begins at index ${firstIndex}, the bucket ends at ${found.last.index}, this node's log at ${log.last.index}`
      )
      return { kind: "wait" } as const
    }
    const shown = log.commitIndex
    // A restore that was broken off leaves less than the state machine has seen.
    const shorter = Effect.suspend(() => (log.commitIndex === shown ? Effect.void : Effect.ignore(reload)))
    const verdict = yield* Effect.uninterruptibleMask((interruptible) =>
      interruptible(settle(parts, found)).pipe(
        Effect.onError(() => shorter),
        Effect.tap((done) => {
          if (done.kind === "restore") return reload
          return done.kind === "append" ? advance(found.snapshot?.last.index ?? 0) : Effect.void
        })
      )
    )
    if (verdict.kind !== "conflict") return { kind: "restored" } as const
    const conflict = { index: verdict.index, commitIndex: log.commitIndex, other: "the bucket's history" }
    return { kind: "conflict", term: found.highestTerm, conflict } as const
  })
  return Effect.catchIf(
    restore,
    (error) => error instanceof Unavailable || error instanceof HistoryMoved,
    (error) =>
      Effect.sync(() => {
        journal.warn("bucket_unavailable", { error: error.message })
        waitFor(`the bucket: ${error.message}`)
        return { kind: "wait" } as const
      })
  )
}
