/** How a term ends on purpose: handed over to another node, or because the process stops. Both are bounded in time. */
import { Effect } from "effect"
import { errors } from "../../core/wire/errors.ts"
import { encodeHandOverRequest } from "../../core/wire/peer/codecs.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { Waiter } from "../../services/Replicator.ts"
import type { Modes } from "./modes.ts"
import { monotonicMillis, type PrimaryParts } from "./parts.ts"
import type { Term } from "./Term.ts"

/** With the limits of both resignations a stop takes 15 s at the most. */
const drainTimeoutMillis = 9_000
const pollMillis = 10
const handOverMillis = 5_000

export interface LeavingParts extends PrimaryParts {
  readonly modes: Modes
  readonly current: () => Term | undefined
  readonly isDraining: () => boolean
  readonly run: (effect: Effect.Effect<void>) => void
}

export interface Leaving {
  /** Stops accepting, waits until the other node has everything, names it to the Elector and resigns; or goes on. */
  readonly handOver: (nodeId: string, waiter: Waiter) => void
  /** Stops accepting, waits until what is in flight is committed, stores the buffer and resigns. */
  readonly drain: (term: Term) => Effect.Effect<void>
}

export const makeLeaving = (parts: LeavingParts): Leaving => {
  const { clock, current, isDraining, journal, modes, peers, run, settings, status, supervisor, view } = parts
  const nowMillis = (): number => monotonicMillis(clock)

  /** Everything appended is committed; false: not in time, or deposed. */
  const quiet = (term: Term, limitMillis: number) =>
    Effect.gen(function* () {
      const startedAt = nowMillis()
      while (!term.stopped && term.pipeline.commitIndex < term.pipeline.headIndex) {
        if (nowMillis() - startedAt >= limitMillis) return false
        yield* Effect.sleep(pollMillis)
      }
      return !term.stopped
    })

  const tellElector = (term: number, to: string) =>
    Effect.sync(() => {
      const { elector: electorId, nodes } = view.current()
      const elector = view.node(electorId)
      if (elector === undefined || nodes.length < 2) return
      const address = { nodeId: elector.name.nodeId, address: elector.peerAddress }
      peers.call(address, peerMethods.handOver, encodeHandOverRequest({ term, to }), 1_000, {
        succeed: () => {},
        fail: (error) => journal.warn("hand_over_not_told", { error: error.message })
      })
    })

  const handOver = (nodeId: string, waiter: Waiter): void => {
    const term = current()
    if (term === undefined || !term.accepting) return waiter.failed(errors.noLeader)
    if (nodeId === settings.nodeId) return waiter.done()
    const follower = term.followers.get(nodeId)
    if (follower === undefined || !follower.matched) return waiter.failed(errors.unhealthy)
    const ready = Effect.gen(function* () {
      if (!(yield* quiet(term, handOverMillis))) return false
      const startedAt = nowMillis()
      while ((term.receipts.match(follower.name) ?? 0) < term.pipeline.headIndex) {
        if (term.stopped || nowMillis() - startedAt >= handOverMillis) return false
        yield* Effect.sleep(pollMillis)
      }
      // Without the bucket nobody can be elected.
      return yield* modes.flush(term, handOverMillis)
    })
    term.accepting = false
    status.setPrimary("draining")
    const effect = Effect.gen(function* () {
      if (!(yield* ready)) {
        if (current() === term && !term.stopped && !isDraining()) {
          term.accepting = true
          status.setPrimary("active")
        }
        return waiter.failed(errors.leaderTransferTimedOut)
      }
      // Named before the resignation lands, so that whoever elects next knows it.
      yield* tellElector(term.number, nodeId)
      yield* term.hold.resign
      yield* tellElector(term.number, nodeId)
      waiter.done()
    })
    run(effect.pipe(Effect.tapCause((cause) => Effect.sync(() => supervisor.fail("hand-over", cause)))))
  }

  /** What is in flight is committed, and what is committed is in the bucket, as far as that comes to be in time. */
  const settled = (term: Term) =>
    Effect.gen(function* () {
      const startedAt = nowMillis()
      // What is committed goes to the bucket at once: the voters that the rest waits for may have gone for good.
      const [clean] = yield* Effect.all([quiet(term, drainTimeoutMillis), modes.flush(term, drainTimeoutMillis)], {
        concurrency: 2
      })
      const stored = yield* modes.flush(term, Math.max(0, drainTimeoutMillis - (nowMillis() - startedAt)))
      return { whole: true, clean, stored }
    })

  /** A task of this process has ended: there is nothing to wait for, and no relying on what was counted. */
  const broken = supervisor.ended.pipe(
    Effect.catch(() => Effect.succeed({ whole: false, clean: false, stored: false }))
  )

  const drain = (term: Term) =>
    Effect.gen(function* () {
      term.accepting = false
      status.setPrimary("draining")
      const startedAt = nowMillis()
      journal.info("drain_started", {})
      const { whole, clean, stored } = yield* Effect.raceFirst(broken, settled(term))
      term.stop(clean ? errors.serverStopped : errors.requestTimedOut)
      journal.info("drain_completed", {
        result: clean && stored ? "success" : "error",
        duration_ms: nowMillis() - startedAt
      })
      // Stopped, it commits nothing any more. What it had not committed was never acknowledged.
      const allStored = whole && term.pipeline.storedIndex >= term.pipeline.commitIndex
      yield* allStored ? term.hold.resignStored : term.hold.resign
      yield* tellElector(term.number, "")
    })

  return { handOver, drain }
}
