/**
 * `Elector` over the bucket. Two Electors at once are harmless, every decision is one CAS on the arbiter; so the lock
 * only keeps nodes out of each other's way. While this node holds it, it knows the nodes by their heartbeats and holds
 * elections (design 6.1, 6.4).
 */
import { Clock, Effect, Latch, Layer } from "effect"
import { ClusterView } from "../services/ClusterView.ts"
import { Elector } from "../services/Elector.ts"
import { History } from "../services/History.ts"
import { LeadershipClient } from "../services/LeadershipClient.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Membership } from "../services/Membership.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeReports } from "../services/NodeReports.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { PeerNetwork } from "../services/PeerNetwork.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import type { ElectorParts } from "./elector/parts.ts"
import { makeElectorMetrics } from "./elector/metrics.ts"
import { makeLeading } from "./elector/leading.ts"
import { makeLockKeeper } from "./elector/LockKeeper.ts"
import { makeRequests } from "./elector/requests.ts"
import { Pusher } from "./elector/Pusher.ts"
import { Standing } from "./elector/Standing.ts"

/** A stopping Elector waits so long until another node is Primary. */
const successorMillis = 1_500
const successorPollMillis = 20

export interface ElectorOptions {
  /** Of a bucket's first term. */
  readonly leaseMillis: number
}

export const layer = (
  options: ElectorOptions
): Layer.Layer<
  Elector,
  never,
  | ObjectStore
  | LocalStore
  | Membership
  | History
  | NodeReports
  | ClusterView
  | PeerNetwork
  | LeadershipClient
  | Settings
  | NodeStatus
  | Supervisor
  | Log
  | Metrics
> =>
  Layer.effect(
    Elector,
    Effect.gen(function* () {
      const settings = yield* Settings
      const status = yield* NodeStatus
      const supervisor = yield* Supervisor
      const view = yield* ClusterView
      const log = yield* Log
      const clock = yield* Clock.Clock
      const metrics = makeElectorMetrics(yield* Metrics)

      const parts: ElectorParts = {
        store: yield* ObjectStore,
        local: yield* LocalStore,
        membership: yield* Membership,
        history: yield* History,
        reports: yield* NodeReports,
        view,
        peers: yield* PeerNetwork,
        leadership: yield* LeadershipClient,
        status,
        log,
        settings,
        clock,
        nowMillis: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
        wait: (next) => status.setWaiting(next, "elector")
      }

      let standing: Standing | undefined
      let leading: { readonly suspect: (nodeId: string) => void; readonly wake: () => void } | undefined
      let isStopped = false
      const stopped = yield* Latch.make(false)
      const lock = yield* makeLockKeeper(parts, () => (standing?.map.size ?? 1) <= 1)

      const suspect = (nodeId: string): void => {
        leading?.suspect(nodeId)
        if (leading === undefined && nodeId === lock.holder()) lock.look()
      }
      const requestJobs = yield* makeRequests(parts, {
        standing: () => standing,
        suspect,
        wake: () => leading?.wake()
      })

      const lead = Effect.suspend(() => {
        const pusher = new Pusher(parts.peers, log, settings.nodeId)
        const now = new Standing(parts, pusher)
        const work = makeLeading(parts, now, { leaseMillis: options.leaseMillis, metrics })
        standing = now
        leading = work
        status.setElector("leader")
        return Effect.ensuring(
          work.run,
          Effect.sync(() => {
            pusher.stop()
            standing = undefined
            leading = undefined
            status.setElector("follower")
            parts.wait(undefined)
            metrics.clear()
          })
        )
      })

      const run = Effect.gen(function* () {
        for (;;) {
          yield* isStopped ? Effect.never : lock.acquire
          yield* Effect.raceFirst(lead, Effect.raceFirst(lock.hold, stopped.await))
        }
      })

      /** Named by another node than this one, and still at it. */
      const hasSuccessor = (): boolean => {
        const arbiter = standing?.arbiter
        return arbiter !== undefined && !arbiter.resigned && arbiter.primary.nodeId !== settings.nodeId
      }

      const resign = Effect.gen(function* () {
        if (isStopped) return
        if (standing?.isReady === true && standing.hasOthers() && !hasSuccessor()) {
          standing.map.leaving(settings.nodeId, true)
          leading?.wake()
          const succeeded = Effect.gen(function* () {
            while (standing !== undefined && !hasSuccessor()) yield* Effect.sleep(successorPollMillis)
          })
          yield* succeeded.pipe(Effect.timeoutOption(successorMillis))
        }
        isStopped = true
        yield* stopped.open
        yield* lock.release
      })

      view.onSuspect(suspect)
      view.onChange(({ elector, arbiter, etag }) => {
        if (elector === settings.nodeId || elector === "") return
        // Another Elector speaks: it holds the lock now, or soon will not.
        if (elector !== lock.holder() || standing !== undefined) lock.look()
        if (arbiter !== undefined) standing?.adopt({ arbiter, etag })
      })
      yield* supervisor.spawn("elector-requests", requestJobs)
      yield* supervisor.spawn("elector", run)
      yield* Effect.addFinalizer(() => resign)

      return Elector.of({
        isLeader: () => standing !== undefined && !isStopped && lock.isFresh(),
        leader: () => lock.holder() ?? (view.current().elector || undefined),
        standAside: Effect.sync(lock.standAside),
        resign
      })
    })
  )
