/** Leases of a whole node in virtual time, as effects. */
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type {
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse
} from "../../src/core/wire/codec/lease.ts"
import type { EtcdError } from "../../src/core/wire/errors.ts"
import type { PutResponse } from "../../src/core/wire/messages.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Leases } from "../../src/services/Leases.ts"
import { asEffect, bytes } from "../node/world.ts"

/** Runs the effect while time passes in small steps. */
export const running = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(10)
    return yield* Fiber.join(fiber)
  })

/** The same for work on real files: virtual time must not run away meanwhile. */
export const working = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) {
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
      yield* TestClock.adjust(1)
    }
    return yield* Fiber.join(fiber)
  })

export const grant = (ttl: number, id = 0n) =>
  Leases.use((leases) => asEffect<LeaseGrantResponse>((reply) => leases.grant({ ttl, id }, reply)))

export const revoke = (id: bigint) =>
  Leases.use((leases) => asEffect<LeaseRevokeResponse>((reply) => leases.revoke({ id }, reply)))

export const timeToLive = (id: bigint, keys = true) =>
  Leases.use((leases) => asEffect<LeaseTimeToLiveResponse>((reply) => leases.timeToLive({ id, keys }, reply)))

export const list = Leases.use((leases) =>
  asEffect<LeaseLeasesResponse>((reply) => leases.list(reply)).pipe(
    Effect.map((response) => response.leases.map(({ id }) => id))
  )
)

export interface Recorded {
  readonly answers: Array<LeaseKeepAliveResponse>
  readonly ends: Array<EtcdError | undefined>
}

/** A stream whose receiver takes everything. */
export const keepAlives = Leases.use((leases) =>
  Effect.sync(() => {
    const answers: Recorded["answers"] = []
    const ends: Recorded["ends"] = []
    const stream = leases.keepAlives({
      send: (response) => {
        answers.push(response)
        return true
      },
      ended: (error) => ends.push(error)
    })
    return { stream, answers, ends }
  })
)

/** One keep-alive's TTL. */
export const keepAlive = (id: bigint): Effect.Effect<number, EtcdError, Leases> =>
  Leases.use((leases) =>
    Effect.callback<number, EtcdError>((resume) => {
      const stream = leases.keepAlives({
        send: ({ ttl }) => {
          resume(Effect.succeed(ttl))
          stream.close()
          return true
        },
        ended: (error) => resume(Effect.fail(error!))
      })
      stream.renew(id)
    })
  )

export const attach = (key: string, lease: bigint) =>
  Kv.use((kv) =>
    asEffect<PutResponse>((reply) =>
      kv.put(
        { key: bytes(key), value: bytes("v"), lease, prevKv: false, ignoreValue: false, ignoreLease: false },
        reply
      )
    )
  )
