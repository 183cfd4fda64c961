/**
 * `Elector` over the bucket. Two Electors at once are harmless, every decision is one CAS on the arbiter; so the lock
 * only keeps nodes out of each other's way. An election in mode store waits until the old Primary's lease is over,
 * unless it resigned or its process is proved dead (design 6.3, 6.4).
 */
import { Clock, Effect, Layer, Schedule, Scope } from "effect"
import {
  type Arbiter,
  arbiterKey,
  decodeArbiter,
  encodeArbiter,
  nextTerm,
  sameNode,
  showNode,
  storeElection
} from "../core/election/arbiter.ts"
import {
  decodeLock,
  encodeLock,
  lockKey,
  lockRenewAloneMillis,
  lockTimeoutMillis,
  mayTake
} from "../core/election/lock.ts"
import { isoTime } from "../core/isoTime.ts"
import { ElectionImpossible, Elector } from "../services/Elector.ts"
import { History } from "../services/History.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { makeLoadingStage } from "./internal/loadingStage.ts"
import { Metrics } from "../services/Metrics.ts"
import { Membership, MembershipInvalid } from "../services/Membership.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { type Condition, ObjectStore, Unavailable } from "../services/ObjectStore.ts"
import type { Won } from "../services/Reign.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"

const lockPollMillis = 1_000
/** While waiting for a lease: how often the arbiter is looked at, since its holder may be alive and renew. */
const arbiterPollMillis = 1_000
const retryMillis = 500
const resignTimeoutMillis = 2_000

export interface ElectorOptions {
  readonly leaseMillis: number
}

export const layer = (
  options: ElectorOptions
): Layer.Layer<
  Elector,
  never,
  ObjectStore | LocalStore | Membership | History | Settings | NodeStatus | Supervisor | Log | Metrics
> =>
  Layer.effect(
    Elector,
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const local = yield* LocalStore
      const membership = yield* Membership
      const history = yield* History
      const settings = yield* Settings
      const status = yield* NodeStatus
      const supervisor = yield* Supervisor
      const log = yield* Log
      const clock = yield* Clock.Clock
      const stage = makeLoadingStage(log, yield* Metrics, clock)
      const scope = yield* Effect.scope
      const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

      let leader = false
      let lockEtag: string | undefined
      let storeLocked = false
      /** The term whose end is waited for, and how its arbiter was first seen. */
      let waitedFor = { term: 0, etag: "" }
      /** When this process first saw the lock's, or the arbiter's, present ETag. */
      const seen = new Map<string, { readonly etag: string; readonly at: number }>()
      const seenAt = (key: string, etag: string): number => {
        const known = seen.get(key)
        if (known?.etag === etag) return known.at
        const at = nowMillis()
        seen.set(key, { etag, at })
        return at
      }

      const setLeader = (now: boolean): void => {
        if (leader === now) return
        leader = now
        status.setElector(now ? "leader" : "follower")
      }

      const readLock = store.get(lockKey).pipe(
        Effect.map((object) => ({ object, lock: decodeLock(object.body) })),
        Effect.catchTag("NotFound", () => Effect.succeed(undefined))
      )

      /** One attempt to hold the lock: renews our own, takes a free one. Says who holds it otherwise. */
      const tryLock = Effect.gen(function* () {
        const found = yield* readLock
        let condition: Condition = { ifAbsent: true }
        if (found !== undefined) {
          condition = { ifMatch: found.object.etag }
          if (typeof found.lock === "string") {
            log.warn("elector_lock_unreadable", { key: lockKey, reason: found.lock })
          } else {
            const observed = nowMillis() - seenAt(lockKey, found.object.etag)
            const age = clock.currentTimeMillisUnsafe() - found.lock.lastUpdatedMillis
            if (!mayTake(found.lock, settings.nodeId, Math.max(observed, age))) return found.lock.leaderId
          }
        }
        return yield* writeLock(condition)
      })

      const writeLock = (condition: Condition) =>
        store
          .put(
            lockKey,
            encodeLock(
              { leaderId: settings.nodeId, leaderAddr: settings.advertise.election },
              isoTime(clock.currentTimeMillisUnsafe())
            ),
            condition
          )
          .pipe(
            Effect.map((put): string => {
              lockEtag = put.etag
              setLeader(true)
              return settings.nodeId
            }),
            Effect.catchTag(["PreconditionFailed", "Conflict", "Unavailable"], (error) =>
              Effect.sync((): string => {
                lockEtag = undefined
                log.warn("elector_lock_failed", { key: lockKey, error: error.message })
                return "unknown"
              })
            )
          )

      const holdLock = Effect.gen(function* () {
        for (;;) {
          yield* Effect.sleep(lockRenewAloneMillis)
          const holder = lockEtag === undefined ? yield* tryLock : yield* writeLock({ ifMatch: lockEtag })
          if (holder !== settings.nodeId) {
            const again = yield* tryLock
            if (again !== settings.nodeId && again !== "unknown") setLeader(false)
          }
        }
      })

      const acquire = Effect.gen(function* () {
        for (;;) {
          const holder = yield* tryLock.pipe(
            Effect.catchTag("Unavailable", (error) => {
              status.setWaiting({ what: `the bucket: ${error.message}`, until: undefined })
              return Effect.succeed("unknown")
            })
          )
          if (leader) break
          if (holder !== "unknown") {
            const at = seen.get(lockKey)?.at ?? nowMillis()
            status.setWaiting({
              what: `the Elector ${holder} to let go of ${lockKey} (it is alive as long as it renews it)`,
              until: at + lockTimeoutMillis
            })
          } else if (status.waiting() === undefined) {
            status.setWaiting({ what: `the bucket, to store ${lockKey}`, until: undefined })
          }
          yield* Effect.sleep(lockPollMillis)
        }
        status.setWaiting(undefined)
        // Being without the bucket for a while is reported by those who need it; the lock is simply tried again.
        yield* supervisor
          .spawn(
            "elector-lock",
            holdLock.pipe(
              Effect.catchTag(["Unavailable", "Denied"], (error) =>
                Effect.sync(() => log.warn("elector_lock_failed", { key: lockKey, error: error.message }))
              ),
              Effect.forever
            )
          )
          .pipe(Effect.provideService(Scope.Scope, scope))
      })

      const readArbiter = store.get(arbiterKey).pipe(
        Effect.flatMap((object) => {
          const arbiter = decodeArbiter(object.body)
          return typeof arbiter === "string"
            ? Effect.fail(new ElectionImpossible({ key: arbiterKey, reason: arbiter }))
            : Effect.succeed({ arbiter, etag: object.etag })
        }),
        Effect.catchTag("NotFound", () => Effect.succeed(undefined))
      )

      /**
       * The bucket's own lock, where it has one: taken before a first term, held until this process ends. Nobody reigns
       * without it, so who holds it knows that whoever reigned before is dead.
       */
      const takeStoreLock = Effect.gen(function* () {
        if (storeLocked || store.exclusive === undefined) return true
        storeLocked = yield* store.exclusive.pipe(Effect.provideService(Scope.Scope, scope))
        return storeLocked
      })

      /** What is waited for. A holder that renews is alive; one that has this node's id should not exist. */
      const whoseLease = (current: Arbiter, etag: string): string => {
        if (waitedFor.term !== current.term) waitedFor = { term: current.term, etag }
        const what = `the lease of ${showNode(current.primary)}, Primary of term ${current.term}, to end`
        if (waitedFor.etag === etag) return what
        return current.primary.nodeId === settings.nodeId
          ? `${what}; it is renewed: another process runs with the node_id ${JSON.stringify(settings.nodeId)}, which must be unique`
          : `${what}; it is alive and renews it`
      }

      const electOnce = Effect.gen(function* () {
        const found = yield* readArbiter
        const current = found?.arbiter
        if (current?.mode === "quorum") {
          return yield* new ElectionImpossible({
            key: arbiterKey,
            reason: `term ${current.term} is in mode quorum with ${current.voters.length} voters; this version runs single nodes in mode store`
          })
        }
        if (!(yield* takeStoreLock)) {
          const holder = current === undefined || current.resigned ? "another process" : showNode(current.primary)
          status.setWaiting({ what: `${holder}, which uses this storage, to end`, until: undefined })
          yield* Effect.sleep(arbiterPollMillis)
          return undefined
        }
        // The proof counts from after the arbiter was read, and only by a process that does not reign (design 6.3).
        const sameDatabase = current !== undefined && sameNode(current.primary, membership.self())
        const provedDead = current !== undefined && !current.resigned && (sameDatabase || store.exclusive !== undefined)
        const verdict = storeElection(
          current,
          found === undefined ? 0 : seenAt(arbiterKey, found.etag),
          nowMillis(),
          provedDead
        )
        if (verdict.kind === "wait") {
          status.setWaiting({ what: whoseLease(current!, found!.etag), until: verdict.untilMillis })
          yield* Effect.sleep(Math.min(arbiterPollMillis, Math.max(1, verdict.untilMillis - nowMillis())))
          return undefined
        }
        // Without an arbiter the bucket may have been emptied: no term that this node knows of is used again either.
        const known = Math.max(local.opened.promises.reigned, local.opened.promises.fenced, local.opened.last.term)
        const highestTerm = current === undefined ? Math.max(known, yield* history.highestTerm) : 0
        const next: Arbiter = nextTerm(current, membership.self(), { highestTerm, leaseMillis: options.leaseMillis })
        if (next.term <= local.opened.promises.reigned) {
          return yield* new ElectionImpossible({
            key: arbiterKey,
            reason: `the next term would be ${next.term}, but this node has reigned in term ${local.opened.promises.reigned} already; the bucket was put back to an older state`
          })
        }
        log.info("election_started", { role: "primary", term: next.term, reason: verdict.because })
        const condition: Condition = found === undefined ? { ifAbsent: true } : { ifMatch: found.etag }
        return yield* store.put(arbiterKey, encodeArbiter(next), condition).pipe(
          Effect.map((put): Won => ({ arbiter: next, etag: put.etag })),
          Effect.catchTag(["PreconditionFailed", "Conflict", "Unavailable"], (error) =>
            Effect.gen(function* () {
              log.warn("election_stage_completed", { stage: "arbiter_write", error: error.message })
              yield* Effect.sleep(retryMillis)
              const now = yield* readArbiter
              // Whoever wrote it: if the arbiter names this node in the term we wanted, that term is ours.
              return now !== undefined &&
                now.arbiter.term === next.term &&
                sameNode(now.arbiter.primary, membership.self())
                ? { arbiter: now.arbiter, etag: now.etag }
                : undefined
            })
          )
        )
      })

      /** An unreachable bucket is waited for, loudly. */
      const untilReachable = <A, E>(effect: Effect.Effect<A, E | Unavailable | MembershipInvalid>) =>
        effect.pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              if (error instanceof Unavailable)
                status.setWaiting({ what: `the bucket: ${error.message}`, until: undefined })
            })
          ),
          Effect.retry({ while: (error) => error instanceof Unavailable, schedule: Schedule.spaced(retryMillis) }),
          Effect.catchIf(
            (error) => error instanceof MembershipInvalid,
            (error) =>
              Effect.fail(
                new ElectionImpossible({
                  key: (error as MembershipInvalid).key,
                  reason: (error as MembershipInvalid).reason
                })
              )
          )
        )

      const elect = Effect.gen(function* () {
        yield* stage("registration", untilReachable(membership.register))
        yield* acquire
        yield* untilReachable(membership.allocate)
        for (;;) {
          const won = yield* electOnce.pipe(
            Effect.catchTag("Unavailable", (error) => {
              status.setWaiting({ what: `the bucket: ${error.message}`, until: undefined })
              return Effect.as(Effect.sleep(retryMillis), undefined)
            })
          )
          if (won !== undefined) {
            status.setWaiting(undefined)
            log.info("election_completed", {
              role: "primary",
              elected_node_id: won.arbiter.primary.nodeId,
              term: won.arbiter.term
            })
            return won
          }
        }
      })

      const resign = Effect.gen(function* () {
        if (!leader || lockEtag === undefined) return
        setLeader(false)
        yield* store
          .put(lockKey, encodeLock({ leaderId: settings.nodeId, leaderAddr: settings.advertise.election }, undefined), {
            ifMatch: lockEtag
          })
          .pipe(
            Effect.timeoutOption(resignTimeoutMillis),
            Effect.catch((error) =>
              Effect.sync(() => log.warn("elector_resign_failed", { key: lockKey, error: error.message }))
            )
          )
      })

      return Elector.of({ isLeader: () => leader, elect, resign })
    })
  )
