/**
 * `Leases` over the replicated state: grants and revocations are log entries. Time counts on the Active Primary alone, by
 * the monotonic clock of its process, and starts anew with each reign (rule L8); nobody else renews a lease, tells what
 * is left of it or lets it end. Deadlines follow what is committed; `ReplicatedState.leases` is head.
 */
import { Clock, Effect, Layer, Random } from "effect"
import { isActive } from "../core/alarm/alarms.ts"
import { Deadlines, type Timed } from "../core/lease/Deadlines.ts"
import type { Lease } from "../core/lease/LeaseTable.ts"
import type { Op } from "../core/log/op.ts"
import type { LogRecord } from "../core/log/record.ts"
import { etcdCatalog } from "../core/metrics/etcdCatalog.ts"
import { keyBytes } from "../core/mvcc/keys.ts"
import { tombstone } from "../core/txn/evaluate.ts"
import { type EtcdError, errors, isEtcdError } from "../core/wire/errors.ts"
import { AlarmType } from "../core/wire/messages.ts"
import { assert } from "../core/assert.ts"
import type { Reply } from "../services/Kv.ts"
import { Leases } from "../services/Leases.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus, type PrimaryState } from "../services/NodeStatus.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { Replicator, type Waiter } from "../services/Replicator.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { expiry } from "./leases/expiry.ts"
import { KeepAlives, type Renewal } from "./leases/KeepAlives.ts"

/** Rule L1. */
const ttlSecondsMax = 9_000_000_000

const unheard: Waiter = { done: () => {}, failed: () => {} }

export const layer: Layer.Layer<
  Leases,
  never,
  ReplicatedState | Replicator | NodeStatus | Settings | Supervisor | Metrics
> = Layer.effect(
  Leases,
  Effect.gen(function* () {
    const state = yield* ReplicatedState
    const replicator = yield* Replicator
    const status = yield* NodeStatus
    const { minTtlSeconds } = (yield* Settings).lease
    const supervisor = yield* Supervisor
    const metrics = yield* Metrics
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const granted = metrics.counter(etcdCatalog.leasesGranted)
    const revoked = metrics.counter(etcdCatalog.leasesRevoked)
    const renewed = metrics.counter(etcdCatalog.leasesRenewed)
    const ran = metrics.counter(etcdCatalog.leasesExpired)
    const ttls = metrics.histogram(etcdCatalog.leaseTtl)

    const now = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const header = () => status.header(state.store.committedRevision)

    /** While this node is Active. */
    let deadlines: Deadlines | undefined
    const begin = (to: Deadlines, { id, remainingTtlSeconds, ttlSeconds }: Lease): void => {
      if (to.get(id) !== undefined) return
      to.add(id, ttlSeconds, now() + (remainingTtlSeconds > 0 ? remainingTtlSeconds : ttlSeconds) * 1000)
    }

    /** Keep-alives that wait until their lease is gone, or lives after all. */
    const leaving = new Map<bigint, Set<() => void>>()
    const askAgain = (id: bigint): void => {
      const listeners = leaving.get(id)
      leaving.delete(id)
      if (listeners !== undefined) for (const again of listeners) again()
    }
    const extended = (): void => {
      const at = now()
      const alive = [...leaving.keys()].filter((id) => (deadlines?.get(id)?.deadlineMillis ?? at) > at)
      for (const id of alive) askAgain(id)
    }

    const follow = (role: PrimaryState): void => {
      // A Primary that drains still reigns.
      if (role === "draining") return
      if (role === "active") {
        const fresh = new Deadlines(now())
        for (const lease of state.leases.all()) begin(fresh, lease)
        deadlines = fresh
      } else deadlines = undefined
      // Whoever waits for a lease to end is told what is so now.
      for (const id of [...leaving.keys()]) askAgain(id)
    }
    replicator.onRole(follow)
    follow(replicator.role())

    state.onCommittedOp((op) => {
      if (op.kind === "leaseGrant") {
        if (deadlines !== undefined) begin(deadlines, op)
        granted.inc()
        ttls.observe(op.ttlSeconds)
      } else if (op.kind === "leaseRevoke") {
        deadlines?.remove(op.id)
        revoked.inc()
        askAgain(op.id)
      }
    })

    const corrupt = (): EtcdError | undefined =>
      isActive(state.alarms(), AlarmType.Corrupt) ? errors.corrupt : undefined

    /** A refusal that depends on the state at head waits until that state is committed. */
    const refuse = <A>(reply: Reply<A>, error: EtcdError): void =>
      state.whenHeadReadable({ done: () => reply.fail(error), failed: reply.fail })

    const newId = (): bigint => {
      for (;;) {
        const high = BigInt(Math.floor(random.nextDoubleUnsafe() * 2 ** 31))
        const low = BigInt(Math.floor(random.nextDoubleUnsafe() * 2 ** 32))
        const id = (high << 32n) | low
        if (id !== 0n && !state.leases.has(id)) return id
      }
    }

    /** Rule L3: everything attached dies in one revision. */
    const appendRevoke = (id: bigint, waiter: Waiter): EtcdError | undefined => {
      const next = state.next()
      if (isEtcdError(next)) return next
      const { store } = state
      const context = state.writeContext(next)
      const records: Array<LogRecord> = []
      for (const key of state.leases.keys(id)) {
        const current = store.liveAt(key, store.headRevision)
        assert(current?.lease === id, `lease ${id} holds a key that does not have it`)
        records.push(tombstone(current, records.length, context))
      }
      state.append(next, records, { kind: "leaseRevoke", id }, waiter)
      return undefined
    }

    const expire = (lease: Timed): boolean => {
      // A client was faster, or the entry is in the log already and its outcome is not known yet.
      if (!state.leases.has(lease.id)) return true
      if (corrupt() !== undefined) return false
      if (appendRevoke(lease.id, unheard) !== undefined) return false
      ran.inc()
      return true
    }

    const renew = (id: bigint, gone: () => void): Renewal => {
      const refused = corrupt()
      if (refused !== undefined) return refused
      if (deadlines === undefined) return errors.noLeader
      // Filled before the renewal (rule L4).
      const before = header()
      const lease = deadlines.get(id)
      if (lease === undefined) return { header: before, id, ttl: 0 }
      const at = now()
      if (lease.deadlineMillis > at) {
        deadlines.renew(lease, at)
        renewed.inc()
        return { header: before, id, ttl: lease.ttlSeconds }
      }
      const listeners = leaving.get(id)
      if (listeners === undefined) leaving.set(id, new Set([gone]))
      else listeners.add(gone)
      return "leaving"
    }

    const forget = (id: bigint, gone: () => void): void => {
      const listeners = leaving.get(id)
      listeners?.delete(gone)
      if (listeners?.size === 0) leaving.delete(id)
    }

    const whenReadable = (waiter: Waiter): void => state.whenReadable(state.commitIndex(), waiter)

    yield* supervisor.spawn(
      "leases",
      expiry({ deadlines: () => deadlines, now, whenReadable, revoke: expire, extended })
    )

    return Leases.of({
      grant: (request, reply) =>
        state.guarded(reply, () => {
          const full = isActive(state.alarms(), AlarmType.NoSpace) ? errors.noSpace : undefined
          const next = state.next()
          if (isEtcdError(next)) return reply.fail(next)
          const refused = corrupt() ?? full
          if (refused !== undefined) return refuse(reply, refused)
          if (request.ttl > ttlSecondsMax) return reply.fail(errors.leaseTtlTooLarge)
          if (state.leases.has(request.id)) return refuse(reply, errors.leaseExists)
          const id = request.id === 0n ? newId() : request.id
          const ttl = Math.max(request.ttl, minTtlSeconds)
          const op: Op = { kind: "leaseGrant", id, ttlSeconds: ttl, remainingTtlSeconds: 0 }
          const done = (): void => reply.succeed({ header: header(), id, ttl, error: "" })
          state.append(next, [], op, { done, failed: reply.fail })
        }),
      revoke: ({ id }, reply) =>
        state.guarded(reply, () => {
          const next = state.next()
          if (isEtcdError(next)) return reply.fail(next)
          const refused = corrupt() ?? (state.leases.has(id) ? undefined : errors.leaseNotFound)
          if (refused !== undefined) return refuse(reply, refused)
          const done = (): void => reply.succeed({ header: header() })
          const failed = appendRevoke(id, { done, failed: reply.fail })
          if (failed !== undefined) reply.fail(failed)
        }),
      keepAlives: (sink) => new KeepAlives({ whenReadable, renew, forget }, sink),
      timeToLive: ({ id, keys: wanted }, reply) =>
        state.guarded(reply, () => {
          if (deadlines === undefined) return reply.fail(errors.noLeader)
          const refused = corrupt()
          if (refused !== undefined) return refuse(reply, refused)
          const keys = wanted ? state.leases.keys(id).map(keyBytes) : []
          state.whenHeadReadable({
            done: () => {
              if (deadlines === undefined) return reply.fail(errors.noLeader)
              const lease = deadlines.get(id)
              if (lease === undefined) return reply.succeed({ header: header(), id, ttl: -1, grantedTtl: 0, keys: [] })
              const ttl = Math.trunc((lease.deadlineMillis - now()) / 1000)
              reply.succeed({ header: header(), id, ttl, grantedTtl: lease.ttlSeconds, keys })
            },
            failed: reply.fail
          })
        }),
      list: (reply) =>
        state.guarded(reply, () => {
          if (deadlines === undefined) return reply.fail(errors.noLeader)
          const refused = corrupt()
          if (refused !== undefined) return refuse(reply, refused)
          whenReadable({
            done: () => {
              if (deadlines === undefined) return reply.fail(errors.noLeader)
              reply.succeed({ header: header(), leases: deadlines.byExpiry().map((id) => ({ id })) })
            },
            failed: reply.fail
          })
        }),
      ids: function* () {
        for (const { id } of state.leases.all()) yield id
      }
    })
  })
)
