/**
 * The Elector's lock object (design 6.1): taken, renewed with the ETag that is remembered, given back. While another
 * node holds it, that node's endpoint is asked, and the bucket is read only when it does not answer.
 */
import { Effect, Option, Semaphore } from "effect"
import {
  decodeLock,
  encodeLock,
  judgeLock,
  type Lock,
  lockKey,
  lockRenewAloneMillis,
  lockRenewMillis,
  type LockSight,
  lockTimeoutMillis
} from "../../core/election/lock.ts"
import { isoTime } from "../../core/isoTime.ts"
import type { Condition } from "../../services/ObjectStore.ts"
import { Alarm, bounded, type BucketFailed, type ElectorParts } from "./parts.ts"

const askMillis = 1_500
const probeMillis = 1_000
/** How often the holder is asked, and how often while it does not answer. */
const followMillis = 1_000
const suspectMillis = 250
/** While the holder does not answer the bucket is read so often. */
const rereadMillis = 1_000
const retryMillis = 500
const deniedRetryMillis = 5_000
const releaseMillis = 2_000
const troubleName = "elector lock"

export interface LockKeeper {
  /** Succeeds when this node holds the lock. */
  readonly acquire: Effect.Effect<void>
  /** Renews it; succeeds when it is lost. */
  readonly hold: Effect.Effect<void>
  /** Gives it back, if it is held; it is never taken again. */
  readonly release: Effect.Effect<void>
  /** What is held is kept, and nothing is taken any more. */
  readonly standAside: () => void
  /** Held, and renewed within the time in which nobody else may take it. */
  readonly isFresh: () => boolean
  /** Node id of whoever holds it, as last heard. */
  readonly holder: () => string | undefined
  /** There is reason to look now. */
  readonly look: () => void
}

/** `lastUpdated` as it was written. */
type Sight = LockSight & { readonly lastUpdated: string }

interface Holder {
  readonly nodeId: string
  readonly address: string
}

export const makeLockKeeper = (parts: ElectorParts, isAlone: () => boolean): Effect.Effect<LockKeeper> =>
  Effect.gen(function* () {
    const { store, membership, view, peers, leadership, status, log, settings, clock, nowMillis, wait } = parts
    const { nodeId } = settings
    const alarm = new Alarm()
    const oneWrite = yield* Semaphore.make(1)

    /** Held: the ETag of what this process has written last, and from when on that counts. */
    let held: { readonly etag: string; readonly sentAt: number } | undefined
    let released = false
    let standsAside = false
    let holder: Holder | undefined
    /** `lastUpdated` of the last attempt to write, by which an answer that was lost is recognised. */
    let stamp = ""
    let seen: { readonly etag: string; readonly at: number } | undefined
    let readAt = -Infinity
    let sight: Sight | undefined
    let deadSince: number | undefined
    let tookEarlyAt: number | undefined

    const nameHolder = (next: Holder | undefined): void => {
      if (holder?.nodeId !== next?.nodeId || holder?.address !== next?.address) deadSince = undefined
      holder = next
    }

    const read: Effect.Effect<Sight, BucketFailed> = Effect.gen(function* () {
      const object = yield* store.get(lockKey).pipe(
        Effect.catchTag("NotFound", () => Effect.succeed(undefined)),
        bounded("GET", lockKey)
      )
      readAt = nowMillis()
      if (object === undefined) return (sight = { lock: undefined, etag: "", unchangedForMillis: 0, lastUpdated: "" })
      const lock = decodeLock(object.body)
      if (typeof lock === "string") log.warn("elector_lock_unreadable", { key: lockKey, reason: lock })
      if (seen?.etag !== object.etag) seen = { etag: object.etag, at: readAt }
      const age = typeof lock === "string" ? 0 : clock.currentTimeMillisUnsafe() - lock.lastUpdatedMillis
      const unchangedForMillis = Math.max(readAt - seen.at, age)
      const lastUpdated = typeof lock === "string" ? "" : isoTime(lock.lastUpdatedMillis)
      return (sight = { lock, etag: object.etag, unchangedForMillis, lastUpdated })
    })

    /** True: it is ours. False: it is not, or that is not known. */
    const write = (etag: string) =>
      oneWrite.withPermits(1)(
        Effect.suspend(() => {
          if (released) return Effect.succeed(false)
          const condition: Condition = etag === "" ? { ifAbsent: true } : { ifMatch: etag }
          const sentAt = nowMillis()
          stamp = isoTime(clock.currentTimeMillisUnsafe())
          const body = encodeLock({ leaderId: nodeId, leaderAddr: settings.advertise.election }, stamp)
          return store.put(lockKey, body, condition).pipe(
            bounded("PUT", lockKey),
            Effect.map((put) => {
              held = { etag: put.etag, sentAt }
              status.setTrouble(troubleName, undefined)
              nameHolder({ nodeId, address: settings.advertise.election })
              return true
            }),
            Effect.catch((error) =>
              Effect.sync(() => {
                log.warn("elector_lock_failed", { key: lockKey, error: error.message })
                // Others say nothing of the bucket while they do not need it.
                if (held !== undefined && (error._tag === "Unavailable" || error._tag === "Denied")) {
                  status.setTrouble(troubleName, `the bucket: ${error.message}`)
                }
                return false
              })
            )
          )
        })
      )

    /** Are both ports of the holder dead? Evidence counts from the first time on. */
    const findDead = (who: Holder) =>
      Effect.gen(function* () {
        const at = nowMillis()
        const known = view.node(who.nodeId)?.peerAddress
        const address =
          known ??
          (yield* membership.lookUp(who.nodeId).pipe(
            Effect.map((registration) => registration?.peerAddress),
            Effect.catch(() => Effect.succeed(undefined))
          ))
        const found =
          address === undefined
            ? "silent"
            : yield* Effect.callback<"listening" | "dead" | "silent">((resume) => {
                peers.probe({ nodeId: who.nodeId, address }, probeMillis, (result) => resume(Effect.succeed(result)))
              })
        deadSince = found === "dead" ? (deadSince ?? at) : undefined
      })

    /** True: the holder has answered that it holds the lock. */
    const askHolder = (who: Holder) =>
      leadership.ask(who.address, askMillis).pipe(
        Effect.flatMap((answer) => {
          deadSince = undefined
          if (answer === "not leader") return Effect.succeed(false)
          nameHolder({ nodeId: answer.leaderID, address: answer.leaderAddr })
          return Effect.succeed(true)
        }),
        Effect.catchTag("LeadershipUnreachable", () => Effect.as(findDead(who), false))
      )

    /** One look as a follower; how long to wait until the next one, or that the lock is ours. */
    const follow: Effect.Effect<number | "taken", BucketFailed> = Effect.gen(function* () {
      const other = holder !== undefined && holder.nodeId !== nodeId ? holder : undefined
      if (other !== undefined && (yield* askHolder(other))) {
        wait(undefined)
        return followMillis
      }
      const found =
        sight === undefined || nowMillis() - readAt >= rereadMillis || other === undefined ? yield* read : sight
      const lock = found.lock
      const named: Holder | undefined =
        typeof lock === "object" && lock.leaderId !== nodeId && lock.lastUpdatedMillis > 0 ? holderOf(lock) : undefined
      if (named !== undefined && (named.nodeId !== other?.nodeId || named.address !== other.address)) {
        // It is asked before it is judged: our clocks may differ.
        nameHolder(named)
        return 0
      }
      const now = nowMillis()
      const verdict = judgeLock(found, nodeId, { deadSinceMillis: deadSince, tookEarlyAtMillis: tookEarlyAt }, now)
      if (verdict.kind === "wait") {
        wait({
          what: `the Elector ${verdict.holder} to answer or to let go of ${lockKey}`,
          until: now + verdict.millis
        })
        return Math.min(verdict.millis, deadSince === undefined ? followMillis : suspectMillis)
      }
      if (standsAside) {
        wait(undefined)
        return followMillis
      }
      if (verdict.early) {
        tookEarlyAt = now
        log.warn("elector_lock_taken_early", { from: other?.nodeId, dead_for_ms: now - (deadSince ?? now) })
      }
      sight = undefined
      const taken = yield* write(found.etag)
      if (taken) wait(undefined)
      return taken ? "taken" : suspectMillis
    })

    const acquire: Effect.Effect<void> = Effect.gen(function* () {
      for (;;) {
        if (released) return yield* Effect.never
        const next = yield* follow.pipe(
          Effect.catch((error) =>
            Effect.sync(() => {
              wait({ what: `the bucket: ${error.message}`, until: undefined })
              return error._tag === "Denied" ? deniedRetryMillis : retryMillis
            })
          )
        )
        if (next === "taken") return
        if (next > 0) yield* alarm.sleep(next)
      }
    })

    /** After a renewal that failed: who holds it? */
    const settle: Effect.Effect<"held" | "lost", BucketFailed> = Effect.gen(function* () {
      const found = yield* read
      const { lock } = found
      if (typeof lock === "object" && lock.leaderId === nodeId && found.lastUpdated === stamp) {
        held = { etag: found.etag, sentAt: held?.sentAt ?? nowMillis() }
        return "held"
      }
      if (typeof lock === "object" && lock.leaderId === nodeId && found.etag !== held?.etag) {
        log.error("elector_lock_shared", {
          key: lockKey,
          reason: `another process runs with the node_id ${JSON.stringify(nodeId)}, which must be unique`
        })
      } else if (typeof lock === "object" && lock.leaderId !== nodeId && lock.lastUpdatedMillis > 0) {
        nameHolder(holderOf(lock))
        return "lost"
      }
      yield* write(found.etag)
      return "held"
    })

    const hold: Effect.Effect<void> = Effect.gen(function* () {
      for (;;) {
        const every = isAlone() ? lockRenewAloneMillis : lockRenewMillis
        const due = (held?.sentAt ?? -Infinity) + every
        // A look before the time is a renewal before the time.
        yield* alarm.sleep(Math.max(retryMillis, due - nowMillis()))
        if (released) return yield* Effect.never
        if (yield* write(held?.etag ?? "")) continue
        const outcome = yield* settle.pipe(
          Effect.catch((error) =>
            Effect.sync(() => {
              log.warn("elector_lock_failed", { key: lockKey, error: error.message })
              return "held" as const
            })
          )
        )
        if (outcome === "lost") break
      }
      held = undefined
      sight = undefined
      status.setTrouble(troubleName, undefined)
    })

    const release = Effect.suspend(() => {
      if (released) return Effect.void
      released = true
      const giveBack = Effect.suspend(() => {
        if (held === undefined) return Effect.void
        const { etag } = held
        held = undefined
        const body = encodeLock({ leaderId: nodeId, leaderAddr: settings.advertise.election }, undefined)
        return Effect.asVoid(store.put(lockKey, body, { ifMatch: etag }))
      })
      return oneWrite
        .withPermits(1)(giveBack)
        .pipe(
          Effect.timeoutOption(releaseMillis),
          Effect.flatMap((done) => (Option.isSome(done) ? Effect.void : Effect.fail({ message: "timeout" }))),
          Effect.catch((error) =>
            Effect.sync(() => log.warn("elector_resign_failed", { key: lockKey, error: error.message }))
          )
        )
    })

    return {
      acquire,
      hold,
      release,
      standAside: () => {
        standsAside = true
      },
      isFresh: () => held !== undefined && nowMillis() - held.sentAt < lockTimeoutMillis,
      holder: () => holder?.nodeId,
      look: () => alarm.ring()
    }
  })

const holderOf = (lock: Lock): Holder => ({ nodeId: lock.leaderId, address: lock.leaderAddr })
