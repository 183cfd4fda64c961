/**
 * `Reign` over the arbiter object. A renewal is a CAS with the ETag that was seen last; its lease counts from before it
 * was sent and only once it is known to have landed. An unknown outcome is read back and judged as in design 6.2.
 */
import { Clock, Deferred, Effect, Layer, type Scope, Semaphore } from "effect"
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
import { ObjectStore } from "../services/ObjectStore.ts"
import { Deposed, Reign, type Won } from "../services/Reign.ts"
import { Supervisor } from "../services/Supervisor.ts"

/** Above this drift between wall and monotonic clock the machine was suspended and the lease is over. */
const clockDriftMaxMillis = 1_000
const retryMinMillis = 50
const retryMaxMillis = 1_000
const resignTimeoutMillis = 5_000

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
      const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

      let own: Arbiter | undefined
      let etag = ""
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
              Effect.catch((error) => Effect.succeed({ _tag: "Unknown" as const, error }))
            )
            if (outcome._tag === "Landed") {
              landed(next, outcome.etag, sentAt, wall)
              return
            }
            status.setTrouble("arbiter", `the lease could not be renewed: ${outcome.error.message}`)
            log.warn("arbiter_write_failed", { term: own.term, counter: next.counter, error: outcome.error.message })
            const found = yield* readBack
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
          }
        }).pipe(oneAtATime.withPermits(1))

      const landed = (next: Arbiter, newEtag: string, sentAt: number, wall: number): void => {
        own = next
        etag = newEtag
        if (resigning || ended) return
        leaseEnd = sentAt + next.leaseMillis
        wallMinusMonotonic = wall - sentAt
        status.setTrouble("arbiter", undefined)
        onRenewed()
      }

      const readBack: Effect.Effect<{ readonly arbiter: Arbiter; readonly etag: string } | undefined> = store
        .get(arbiterKey)
        .pipe(
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

      /** A renewal that hangs longer than the lease is as good as failed; its outcome is read back by the next one. */
      const renew = write({})

      const begin = (won: Won): Effect.Effect<void, Deposed, Scope.Scope> =>
        Effect.gen(function* () {
          assert(own === undefined || ended, "a term is begun once")
          own = won.arbiter
          etag = won.etag
          yield* renew
          const loop = Effect.gen(function* () {
            for (;;) {
              yield* Effect.sleep(Math.max(10, options.leaseMillis / 3))
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
        const now = nowMillis()
        if (now >= leaseEnd) return false
        return Math.abs(clock.currentTimeMillisUnsafe() - now - wallMinusMonotonic) <= clockDriftMaxMillis
      }

      const resign = Effect.gen(function* () {
        if (own === undefined || ended || resigning) return
        resigning = true
        leaseEnd = Number.NEGATIVE_INFINITY
        const outcome = yield* write({ resigned: true }).pipe(Effect.timeoutOption(resignTimeoutMillis), Effect.result)
        ended = true
        log.info("primary_resigned", { term: own.term, known: outcome._tag === "Success" })
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
