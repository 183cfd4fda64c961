/**
 * Leases that are kept alive, and what stands on them: locks and elections. A lease counts as lost as soon as nobody has
 * confirmed it for its whole time to live, counted from before the last question: never later than the store may end it.
 */
import { Clock, Deferred, Duration, Effect, Exit, type Scope } from "effect"
import { Entry } from "../../core/client/Entry.ts"
import { type Bytes, toBytes } from "../../core/client/text.ts"
import { sessionTtlSeconds } from "../../core/locks/recipe.ts"
import type { Lease, LeaseInfo, LeaseOptions, Leadership, Lock } from "../../services/Client.ts"
import { type ClientError, EtcdNotFound, EtcdUnknown, LeaseLost } from "../../services/ClientError.ts"
import type { Supervisor } from "../../services/Supervisor.ts"
import type { Caller } from "./Caller.ts"
import * as methods from "./methods.ts"

/** A lease is renewed when a third of its time is over, as etcd's clients do. */
const renewalsInTtl = 3
/** After a renewal that failed. */
const retryMillisMax = 500
/** A lease that cannot be revoked ends by itself. */
const revokeMillis = 5_000

const seconds = (ttl: Duration.Input): number => Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(ttl)) / 1_000)

/** What etcd's recipes say when the lease of whoever waits has run out. */
const sessionTexts = new Set(["mutex: session is expired", "election: not leader"])

export interface Leasing {
  readonly grant: (ttl: Duration.Input, id: bigint) => Effect.Effect<{ id: bigint; ttlSeconds: number }, ClientError>
  readonly keepAlive: (id: bigint) => Effect.Effect<number, ClientError | LeaseLost>
  readonly revoke: (id: bigint) => Effect.Effect<void, ClientError>
  readonly timeToLive: (id: bigint) => Effect.Effect<LeaseInfo | undefined, ClientError>
  readonly lease: (options?: LeaseOptions) => Effect.Effect<Lease, ClientError, Scope.Scope>
  readonly lock: (name: Bytes, options?: LeaseOptions) => Effect.Effect<Lock, ClientError | LeaseLost, Scope.Scope>
  readonly campaign: (
    name: Bytes,
    value: Bytes,
    options?: LeaseOptions
  ) => Effect.Effect<Leadership, ClientError | LeaseLost, Scope.Scope>
  readonly leader: (name: Bytes) => Effect.Effect<Entry | undefined, ClientError>
}

export const makeLeasing = (caller: Caller, supervisor: Supervisor["Service"]): Leasing => {
  const grant: Leasing["grant"] = (ttl, id) =>
    Effect.map(caller.unary(methods.grant, { ttl: seconds(ttl), id }), (granted) => ({
      id: granted.id,
      ttlSeconds: granted.ttl
    }))

  const keepAlive: Leasing["keepAlive"] = (id) =>
    Effect.flatMap(caller.first(methods.keepAlive, { id }), (answer) =>
      answer === undefined || answer.ttl <= 0 ? Effect.fail(new LeaseLost({ id })) : Effect.succeed(answer.ttl)
    )

  const revoke: Leasing["revoke"] = (id) => Effect.asVoid(caller.unary(methods.revoke, { id }))

  const timeToLive: Leasing["timeToLive"] = (id) =>
    Effect.map(caller.unary(methods.timeToLive, { id, keys: true }), ({ grantedTtl, keys, ttl }) =>
      ttl < 0 ? undefined : { id, ttlSeconds: ttl, grantedTtlSeconds: grantedTtl, keys }
    )

  const lease: Leasing["lease"] = (options = {}) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const now = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
        const askedAt = now()
        const { id, ttlSeconds } = yield* restore(grant(options.ttl ?? Duration.seconds(sessionTtlSeconds), 0n))
        yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeoutOption(revoke(id), revokeMillis)))
        const lost = yield* Deferred.make<never, LeaseLost>()
        const lose = Effect.sync(() => Deferred.doneUnsafe(lost, Exit.fail(new LeaseLost({ id }))))
        const ttlMillis = ttlSeconds * 1_000
        let until = askedAt + ttlMillis

        const renew = Effect.gen(function* () {
          yield* Effect.sleep(ttlMillis / renewalsInTtl)
          for (;;) {
            const from = now()
            if (from >= until) return
            const renewed = yield* keepAlive(id).pipe(
              Effect.as("renewed" as const),
              Effect.catchTag("LeaseLost", () => Effect.succeed("lost" as const)),
              // What went wrong may pass; the time that is left decides.
              Effect.catch(() => Effect.succeed("failed" as const)),
              Effect.timeoutOrElse({ duration: until - from, orElse: () => Effect.succeed("lost" as const) })
            )
            if (renewed === "lost") return
            if (renewed === "renewed") {
              until = from + ttlMillis
              yield* Effect.sleep(ttlMillis / renewalsInTtl)
            } else yield* Effect.sleep(Math.min(retryMillisMax, ttlMillis / 10))
          }
        })
        yield* supervisor.spawn(
          "lease keep-alive",
          renew.pipe(Effect.andThen(lose), Effect.andThen(Effect.never), Effect.interruptible)
        )
        return { id, ttlSeconds, lost: Deferred.await(lost) }
      })
    )

  /** Waits for one's turn with a lease of one's own; whoever is given up or loses it leaves the line. */
  const standingIn = <A, E>(
    options: LeaseOptions | undefined,
    wait: (lease: Lease) => Effect.Effect<A, E>
  ): Effect.Effect<readonly [Lease, A], E | ClientError | LeaseLost, Scope.Scope> =>
    Effect.gen(function* () {
      const own = yield* lease(options)
      const answer = yield* Effect.raceFirst(wait(own), own.lost).pipe(
        Effect.catchIf(
          (error): error is EtcdUnknown & E => error instanceof EtcdUnknown && sessionTexts.has(error.message),
          () => Effect.fail(new LeaseLost({ id: own.id }))
        )
      )
      return [own, answer] as const
    })

  return {
    grant,
    keepAlive,
    revoke,
    timeToLive,
    lease,
    lock: (name, options) =>
      Effect.map(
        standingIn(options, ({ id }) => caller.unary(methods.lock, { name: toBytes(name), lease: id })),
        ([own, { key }]): Lock => ({ ...own, key })
      ),
    campaign: (name, value, options) =>
      Effect.map(
        standingIn(options, ({ id }) =>
          Effect.flatMap(
            caller.unary(methods.campaign, { name: toBytes(name), lease: id, value: toBytes(value) }),
            ({ leader }) =>
              leader === undefined
                ? Effect.fail(new EtcdNotFound({ message: "the answer names no leader" }))
                : Effect.succeed(leader)
          )
        ),
        ([own, leader]): Leadership => ({
          ...own,
          key: leader.key,
          proclaim: (text) => Effect.asVoid(caller.unary(methods.proclaim, { leader, value: toBytes(text) }))
        })
      ),
    leader: (name) =>
      caller.unary(methods.leader, { name: toBytes(name) }).pipe(
        Effect.map(({ kv }) => (kv === undefined ? undefined : new Entry(kv))),
        Effect.catchIf(
          (error) => error.message === "election: no leader",
          () => Effect.succeed(undefined)
        )
      )
  }
}
