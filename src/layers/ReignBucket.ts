/**
 * `Reign` over the arbiter object. A renewal is a CAS with the ETag that was seen last; its lease counts from before it
 * was sent and only once it is known to have landed. An unknown outcome is read back and judged as in design 6.2.
 */
import { Clock, Deferred, Effect, Layer, Option, type Scope, Semaphore } from "effect"
import { assert } from "../core/assert.ts"
import {
  type Arbiter,
  arbiterKey,
  decodeArbiter,
  encodeArbiter,
  judgeUnknownCas,
  showNode
} from "../core/election/arbiter.ts"
import { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { ObjectStore, Unavailable } from "../services/ObjectStore.ts"
import { Deposed, Reign, type Won } from "../services/Reign.ts"
import { Supervisor } from "../services/Supervisor.ts"

/**
 * Above this drift between wall and monotonic clock the machine was suspended and the lease is over: a second (design
 * 6.3), or less for a short lease, so that what goes unnoticed stays within the margin of those who wait.
 */
const clockDriftMaxMillis = (leaseMillis: number): number => Math.max(50, Math.min(1_000, leaseMillis / 20))
const retryMinMillis = 50
const retryMaxMillis = 1_000
const resignTimeoutMillis = 4_000
/** An attempt that has not answered after a third of the lease is given up; each further one may take twice as long. */
const attemptMinMillis = 100
const attemptMaxMillis = 10_000
/** How often the clocks are compared: after a suspension the lease is renewed at once, not when its third is over. */
const driftCheckMillis = 1_000

export interface ReignOptions {
  readonly leaseMillis: number
}

export const layer = (options: ReignOptions): Layer.Layer<Reign, never, ObjectStore | Supervisor | Log | NodeStatus> =>
  Layer.effect(
    Reign,
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const supervisor = yield* Supervisor
      const log = yield* Log
      const status = yield* NodeStatus
      const clock = yield* Clock.Clock
      const over = yield* Deferred.make<never, Deposed>()
      /** One CAS at a time (design 6.2). */
      const oneAtATime = yield* Semaphore.make(1)
      /** A renewal that is under way does not hold up the resignation: its outcome no longer matters. */
      const resignAsked = yield* Deferred.make<void>()
      const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

      let own: Arbiter | undefined
      let etag = ""
      const driftMaxMillis = clockDriftMaxMillis(options.leaseMillis)
      let leaseEnd = Number.NEGATIVE_INFINITY
      let wallMinusMonotonic = 0
      let ended = false
      let resigning = false
      let onRenewed: () => void = () => {}

      const end = (by: string): Deposed => {
        const reason = new Deposed({ term: own?.term ?? 0, by })
        ended = true
        leaseEnd = Number.NEGATIVE_INFINITY
        Deferred.doneUnsafe(over, Effect.fail(reason))
        return reason
      }

      /** One CAS and, when its outcome is unknown, reads until it is known that this process is deposed, landed, or must write again. */
      const write = (change: Partial<Arbiter>): Effect.Effect<void, Deposed> =>
        Effect.gen(function* () {
          let delay = retryMinMillis
          let attemptMillis = Math.max(attemptMinMillis, options.leaseMillis / 3)
          for (;;) {
            assert(own !== undefined, "a term must be begun before it is renewed")
            if (ended || (resigning && change.resigned !== true)) {
              return yield* new Deposed({ term: own.term, by: "the term is over" })
            }
            const next: Arbiter = { ...own, ...change, leaseMillis: options.leaseMillis, counter: own.counter + 1 }
            // Whatever happens to this request, its counter is used up.
            own = { ...own, counter: next.counter }
            const sentAt = nowMillis()
            const wall = clock.currentTimeMillisUnsafe()
            // A shorter lease binds from its sending on: whoever sees it waits only that long.
            if (options.leaseMillis < own.leaseMillis) leaseEnd = Math.min(leaseEnd, sentAt + options.leaseMillis)
            const outcome = yield* store.put(arbiterKey, encodeArbiter(next), { ifMatch: etag }).pipe(
              Effect.map((put) => ({ _tag: "Landed" as const, etag: put.etag })),
              inTime("PUT", attemptMillis),
              Effect.catch((error) => Effect.succeed({ _tag: "Unknown" as const, error }))
            )
            if (outcome._tag === "Landed") {
              landed(next, outcome.etag, sentAt, wall)
              return
            }
            status.setTrouble("arbiter", `the lease could not be renewed: ${outcome.error.message}`)
            log.warn("arbiter_write_failed", { term: own.term, counter: next.counter, error: outcome.error.message })
            const found = yield* readBack(attemptMillis)
            if (found !== undefined) {
              const verdict = judgeUnknownCas(found.arbiter, { term: own.term, counter: next.counter })
              if (verdict === "deposed") {
                if (found.arbiter.resigned && found.arbiter.term === own.term)
                  return yield* end("this process has resigned")
                return yield* end(`${showNode(found.arbiter.primary)} reigns in term ${found.arbiter.term}`)
              }
              etag = found.etag
              if (verdict === "landed") {
                landed(next, found.etag, sentAt, wall)
                return
              }
            }
            yield* Effect.sleep(delay)
            delay = Math.min(delay * 2, retryMaxMillis)
            attemptMillis = Math.min(attemptMillis * 2, attemptMaxMillis)
          }
        })

      /** A request that hangs is a request whose outcome is unknown. */
      const inTime =
        (operation: string, millis: number) =>
        <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | Unavailable> =>
          effect.pipe(
            Effect.timeoutOption(millis),
            Effect.flatMap((found) =>
              Option.isSome(found)
                ? Effect.succeed(found.value)
                : Effect.fail(
                    new Unavailable({ operation, key: arbiterKey, reason: `no answer within ${Math.round(millis)} ms` })
                  )
            )
          )

      const landed = (next: Arbiter, newEtag: string, sentAt: number, wall: number): void => {
        own = next
        etag = newEtag
        if (resigning || ended) return
        leaseEnd = sentAt + next.leaseMillis
        wallMinusMonotonic = wall - sentAt
        status.setTrouble("arbiter", undefined)
        onRenewed()
      }

      const readBack = (
        timeoutMillis: number
      ): Effect.Effect<{ readonly arbiter: Arbiter; readonly etag: string } | undefined> =>
        store.get(arbiterKey).pipe(
          inTime("GET", timeoutMillis),
          Effect.map((object) => {
            const arbiter = decodeArbiter(object.body)
            if (typeof arbiter !== "string") return { arbiter, etag: object.etag }
            log.error("arbiter_unreadable", { key: arbiterKey, error: arbiter })
            return undefined
          }),
          Effect.catch((error) =>
            Effect.sync(() => {
              log.warn("arbiter_read_failed", { error: error.message })
              return undefined
            })
          )
        )

      const renew = write({}).pipe(
        Effect.raceFirst(
          Effect.andThen(
            Deferred.await(resignAsked),
            Effect.suspend(() => Effect.fail(new Deposed({ term: own?.term ?? 0, by: "this process resigns" })))
          )
        ),
        oneAtATime.withPermits(1)
      )

      const begin = (won: Won): Effect.Effect<void, Deposed, Scope.Scope> =>
        Effect.gen(function* () {
          assert(own === undefined || ended, "a term is begun once")
          own = won.arbiter
          etag = won.etag
          yield* renew
          const loop = Effect.gen(function* () {
            for (;;) {
              const dueAt = nowMillis() + Math.max(10, options.leaseMillis / 3)
              for (let left = dueAt - nowMillis(); left > 0 && !drifted(); left = dueAt - nowMillis()) {
                yield* Effect.sleep(Math.min(driftCheckMillis, left))
              }
              if (ended || resigning) return yield* Effect.never
              yield* renew
              log.debug("lease_renewed", { term: won.arbiter.term, lease_ms: options.leaseMillis })
            }
          })
          // Being deposed is not this task's failure: `over` tells whoever reigns.
          yield* supervisor.spawn("reign", loop.pipe(Effect.catchTag("Deposed", () => Effect.never)))
        })

      const mayAcknowledge = (): boolean => {
        if (ended || resigning) return false
        return nowMillis() < leaseEnd && !drifted()
      }

      /** Wall and monotonic clock have moved apart since the last renewal: the machine was suspended (design 6.3). */
      const drifted = (): boolean =>
        Math.abs(clock.currentTimeMillisUnsafe() - nowMillis() - wallMinusMonotonic) > driftMaxMillis

      const resign = Effect.gen(function* () {
        if (own === undefined || ended || resigning) return
        resigning = true
        leaseEnd = Number.NEGATIVE_INFINITY
        yield* Deferred.succeed(resignAsked, undefined)
        const known = yield* write({ resigned: true }).pipe(
          oneAtATime.withPermits(1),
          Effect.as(true),
          Effect.timeoutOption(resignTimeoutMillis),
          Effect.map(Option.isSome),
          // Somebody else reigns: there is nothing left to resign.
          Effect.catchTag("Deposed", () => Effect.succeed(true))
        )
        ended = true
        log.info("primary_resigned", { term: own.term, known })
      })

      return Reign.of({
        begin,
        mayAcknowledge,
        term: () => own?.term ?? 0,
        onRenewed: (listener) => {
          onRenewed = listener
        },
        over: Deferred.await(over),
        resign
      })
    })
  )
