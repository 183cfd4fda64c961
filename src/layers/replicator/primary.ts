/**
 * The Primary half of the Replicator: one term after the other, each from the arbiter that names this node to the end of
 * its reign. What the term decides stands in `Term.ts`, how batches travel in `writing.ts`, modes in `modes.ts`, who
 * follows in `following.ts`, how a term is given up in `leaving.ts`.
 */
import { Effect, type Scope } from "effect"
import type { Entry } from "../../core/log/record.ts"
import { etcdCatalog } from "../../core/metrics/etcdCatalog.ts"
import { primaryCatalog } from "../../core/metrics/roleCatalog.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Deposed, Hold, Won } from "../../services/Reign.ts"
import type { NextPosition, TakenOver, Waiter } from "../../services/Replicator.ts"
import type { HistoryError } from "../../services/History.ts"
import { makeFollowing } from "./following.ts"
import { makeLeaving } from "./leaving.ts"
import { makeModes } from "./modes.ts"
import { monotonicMillis, type PrimaryParts, timestampOf } from "./parts.ts"
import type { SetAside } from "./setAside.ts"
import { makeTakeover } from "./takeover.ts"
import { Term } from "./Term.ts"
import { makeWriting } from "./writing.ts"

const expiryTickMillis = 250
const pollMillis = 10
/** A batch that is not committed after so long makes the node degraded. */
const slowMillis = 5_000

export interface Primary {
  /** Reigns until it is deposed; the state machine stands at committed again when it ends. */
  readonly reign: (
    won: Won,
    onActive: (begun: TakenOver) => void
  ) => Effect.Effect<Deposed, HistoryError | LocalStoreFailed | SetAside, Scope.Scope>
  /** The term that is begun, from its takeover on. */
  readonly term: () => Term | undefined
  readonly next: () => NextPosition | EtcdError
  readonly append: (entry: Entry, waiter: Waiter) => void
  /** A fence, or the cluster's state, tells of a higher term. */
  readonly deposeBelow: (term: number, by: string) => void
  readonly handOver: (nodeId: string, waiter: Waiter) => void
  /** Stops accepting, waits until what is in flight is committed, stores the buffer, resigns. Bounded in time. */
  readonly drain: Effect.Effect<void>
}

export const makePrimary = (parts: PrimaryParts): Effect.Effect<Primary> =>
  Effect.gen(function* () {
    const { clock, journal, log, machine, metrics, self, settings, status, supervisor, view } = parts
    const nowMillis = (): number => monotonicMillis(clock)
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const writing = yield* makeWriting(parts)
    const takeOver = makeTakeover(parts)
    const modes = makeModes(parts, writing.work)
    const writes = metrics.counter(primaryCatalog.writes)
    const writeSeconds = metrics.histogram(primaryCatalog.writeDuration)
    const notCommitted = metrics.counter(etcdCatalog.proposalsFailed)
    const labels = {
      store: Object.freeze({ path: "sync", result: "success" }),
      quorum: Object.freeze({ path: "quorum", result: "success" })
    }

    let held: Hold | undefined
    /** Everything committed was in the bucket when the term began. */
    let beganStored = false
    let current: Term | undefined
    /** This process is about to stop: nothing is accepted any more. */
    let draining = false

    /** An invariant that breaks here ends the process: what was counted can no longer be trusted. */
    const guarded = (body: () => void): void => {
      try {
        body()
      } catch (cause) {
        supervisor.fail("primary", cause)
      }
    }

    const shared = { ...parts, current: () => current, guarded }
    const following = makeFollowing({
      ...shared,
      isElected: () => held !== undefined,
      resign: (term) => void run(term.hold.resign)
    })
    const leaving = makeLeaving({ ...shared, modes, isDraining: () => draining, run: (effect) => void run(effect) })

    const expirer = (term: Term) =>
      Effect.gen(function* () {
        for (;;) {
          yield* Effect.sleep(expiryTickMillis)
          const now = nowMillis()
          const expired = term.expire(now)
          const { pipeline } = term
          if (expired > 0) {
            notCommitted.inc(undefined, expired)
            journal.warn("requests_timed_out", {
              count: expired,
              head: pipeline.headIndex,
              commit: pipeline.commitIndex
            })
          }
          const oldest = term.oldestMillis()
          const waited = oldest === undefined ? 0 : now - oldest
          const what = term.rule.mode === "store" ? "the bucket" : "a quorum of replicas"
          status.setTrouble(
            "commit",
            waited > slowMillis
              ? `entries wait for ${what} for ${Math.round(waited / 1000)} s; nothing is acknowledged meanwhile`
              : undefined
          )
        }
      })

    const heartbeats = (term: Term) =>
      Effect.gen(function* () {
        const interval = settings.heartbeatIntervalMillis
        for (;;) {
          yield* Effect.sleep(Math.max(5, interval / 2))
          guarded(() => {
            for (const follower of term.followers.values()) follower.tick(interval / 2)
          })
        }
      })

    const begin = (won: Won, onActive: (begun: TakenOver) => void) =>
      Effect.gen(function* () {
        const number = won.arbiter.term
        yield* log.promise({ fenced: Math.max(number, log.fenced), reigned: number })
        status.setPrimary("starting")
        const hold = yield* parts.reign.begin(won)
        held = hold
        beganStored = won.arbiter.allStored
        // What was heard while nothing was held yet.
        if (log.fenced > number) hold.depose(`this node is fenced at term ${log.fenced}`)
        const known = view.current().arbiter?.term ?? 0
        if (known > number) hold.depose(`the arbiter is at term ${known}`)
        yield* becomeActive(hold, onActive).pipe(Effect.raceFirst(hold.over))
        return yield* hold.over
      }).pipe(
        // At once: whoever waits is told before the term's fibers have come to their end.
        Effect.ensuring(end)
      )

    const becomeActive = (hold: Hold, onActive: (begun: TakenOver) => void) =>
      Effect.gen(function* () {
        const begun = yield* takeOver(hold)
        yield* hold.renewed
        yield* log.load
        if (begun.restored) yield* machine.load(log.commitIndex)
        const committedTerm = yield* log.termAt(log.commitIndex)
        machine.adopt(log.pending())
        const term = new Term({
          hold,
          log,
          self,
          head: begun.head,
          committed: { index: log.commitIndex, term: committedTerm ?? 0 },
          storedIndex: begun.head.index,
          nowMillis,
          onCommitted: machine.committed,
          onBatch: (closedAt, entries) => {
            const by = labels[hold.arbiter().mode]
            writes.inc(by, entries)
            writeSeconds.observe((nowMillis() - closedAt) / 1000, by)
          },
          onStored: (index) => {
            log.stored(index)
            machine.stored(index)
          },
          work: writing.work
        })
        log.stored(begun.head.index)
        machine.stored(begun.head.index)
        hold.onRenewed(() => guarded(() => term.advance()))
        current = term
        yield* writing.start(term)
        yield* following.begin(term)
        yield* supervisor.spawn("request-expiry", expirer(term))
        yield* supervisor.spawn("follower-heartbeats", heartbeats(term))
        // Being deposed is not this task's failure: `over` tells whoever waits for the end.
        yield* supervisor.spawn("modes", modes.watch(term).pipe(Effect.catchTag("Deposed", () => Effect.never)))
        status.setWaiting({ what: "this term's first entry to be committed", until: undefined })
        guarded(() => term.advance())
        while (term.pipeline.commitIndex < begun.head.index && !term.stopped) yield* Effect.sleep(pollMillis)
        // Too late to become Active: who drains resigns, and that ends the term.
        if (draining || term.stopped) return yield* hold.over
        status.setWaiting(undefined)
        term.accepting = true
        machine.active(begun, () => term.mayAcknowledge())
        status.setPrimary("active")
        onActive(begun)
      })

    const end = Effect.sync(() => {
      const term = current
      current = undefined
      held = undefined
      following.end()
      term?.stop(errors.requestTimedOut)
      status.setWaiting(undefined)
      status.setTrouble("commit", undefined)
      status.setTrouble("buffer", undefined)
    })

    const reign = (won: Won, onActive: (begun: TakenOver) => void) =>
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => end)
        return yield* begin(won, onActive).pipe(Effect.catchTag("Deposed", (deposed) => Effect.succeed(deposed)))
      })

    const next = (): NextPosition | EtcdError => {
      const term = current
      if (term === undefined || !term.accepting) return errors.noLeader
      if (!term.pipeline.hasRoom()) return errors.tooManyRequests
      return {
        index: term.pipeline.headIndex + 1,
        term: term.number,
        leaderId: settings.nodeId,
        createdAt: timestampOf(clock)
      }
    }

    const append = (entry: Entry, waiter: Waiter): void => {
      const term = current!
      term.append(entry, waiter)
      writing.appended(term)
    }

    const deposeBelow = (number: number, by: string): void => {
      if (held !== undefined && held.term < number) held.depose(by)
    }

    const drain = Effect.suspend(() => {
      draining = true
      if (current !== undefined) return leaving.drain(current)
      if (held === undefined) return Effect.void
      // Nothing is committed before the takeover is done.
      return beganStored ? held.resignStored : held.resign
    })

    return {
      reign,
      term: () => current,
      next,
      append,
      deposeBelow,
      handOver: leaving.handOver,
      drain
    }
  })
