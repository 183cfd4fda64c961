/**
 * Makes this node's log the bucket's history where that is higher in log order (design 6.4, 6.6): for a new Primary and
 * for a replica that is too far behind. Whoever takes entries of a term is fenced at it first. Nothing that is committed
 * here is dropped.
 */
import { type Clock, Effect, Schedule, Stream } from "effect"
import { adopt, type Adoption } from "../../core/log/adopt.ts"
import { positionZero } from "../../core/log/record.ts"
import type { BucketHistory, HistoryError } from "../../services/History.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { Unavailable } from "../../services/ObjectStore.ts"
import { fillFromSnapshot } from "../localstore/fill.ts"
import type { NodeLog } from "./NodeLog.ts"

const retryMillis = 500

export interface RestoreParts {
  readonly local: LocalStore["Service"]
  readonly log: NodeLog
  readonly status: NodeStatus["Service"]
  readonly journal: Log["Service"]
  readonly clock: Clock.Clock
}

/** A bucket out of reach is waited for, loudly. */
export const untilReachable =
  ({ journal, status }: Pick<RestoreParts, "status" | "journal">) =>
  <A, E>(effect: Effect.Effect<A, E | Unavailable>): Effect.Effect<A, E | Unavailable> =>
    Effect.suspend(() => {
      let waited = false
      const retried = Effect.retry(effect, {
        while: (error) => {
          if (!(error instanceof Unavailable)) return false
          waited = true
          status.setWaiting({ what: `the bucket: ${error.message}`, until: undefined })
          journal.warn("bucket_unavailable", { error: error.message, retry_ms: retryMillis })
          return true
        },
        schedule: Schedule.spaced(retryMillis)
      })
      const over = Effect.sync(() => {
        if (waited) status.setWaiting(undefined)
      })
      return Effect.ensuring(retried, over)
    })

/**
 * Carries out what `adopt` decides, except a conflict, which changes nothing: the caller judges it. After "append" and
 * "restore" the log ends where the bucket's does; after "restore" the commit index is the snapshot's end, and the state
 * machine has to load again. Interrupted in the middle it leaves a log that is whole, but shorter: the same holds then.
 */
export const settle = (
  parts: RestoreParts,
  found: BucketHistory
): Effect.Effect<Adoption, HistoryError | LocalStoreFailed> =>
  Effect.gen(function* () {
    const { log } = parts
    const verdict = yield* judge(parts, found)
    if (verdict.kind === "own" || verdict.kind === "conflict") return verdict
    const fenced = Math.max(log.fenced, found.highestTerm)
    if (fenced > log.fencedDurable) yield* log.promise({ fenced, reigned: log.reigned })
    if (verdict.kind === "restore") yield* restore(parts, found)
    else {
      if (verdict.common < log.last.index) yield* Effect.uninterruptible(log.truncateFrom(verdict.common + 1))
      yield* appendRest(parts, found)
    }
    return verdict
  })

const judge = ({ local, log }: RestoreParts, found: BucketHistory) =>
  Effect.gen(function* () {
    for (;;) {
      // As it is now: compactions move it.
      const { firstIndex } = yield* local.bounds
      const questions = adopt(
        { last: log.last, firstIndex, commitIndex: log.commitIndex },
        { last: found.last, base: found.snapshot?.last ?? positionZero },
        found.termAt
      )
      let step = questions.next()
      while (step.done !== true) step = questions.next(yield* log.termAt(step.value))
      if ((yield* local.bounds).firstIndex === firstIndex) return step.value
    }
  })

const restore = (parts: RestoreParts, found: BucketHistory) =>
  Effect.gen(function* () {
    const { clock, journal, local, log } = parts
    const { snapshot } = found
    const startedAt = clock.currentTimeMillisUnsafe()
    journal.info("local_db_rebuild_started", { reason: "restore", snapshot: snapshot?.key ?? "none" })
    const fill = Effect.gen(function* () {
      yield* log.clear
      yield* fillFromSnapshot(local, found)
    })
    yield* Effect.uninterruptibleMask((interruptible) =>
      interruptible(untilReachable(parts)(fill)).pipe(
        // Broken off, or an object was deleted meanwhile: half a snapshot is nothing.
        Effect.onError(() => Effect.ignore(Effect.andThen(log.clear, log.load))),
        Effect.andThen(log.load)
      )
    )
    yield* appendRest(parts, found)
    journal.info("local_db_rebuild_completed", {
      reason: "restore",
      last_index: found.last.index,
      duration_ms: clock.currentTimeMillisUnsafe() - startedAt
    })
  })

/** What was appended before the bucket went away stays. */
const appendRest = (parts: RestoreParts, found: BucketHistory) =>
  untilReachable(parts)(
    Effect.suspend(() =>
      Stream.runForEach(found.entriesAfter(parts.log.last.index), (entries) =>
        Effect.uninterruptible(Effect.suspend(() => parts.log.append(entries)))
      )
    )
  )
