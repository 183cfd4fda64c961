/**
 * Tells the Elector every heartbeat interval how this node is, and takes the cluster's state from the answer. Without an
 * Elector this node goes on as it is: one line in the log, and the search for the next one. A suspicion is told at once.
 * To be built below whatever replicates: then "leave" is said when that has stopped.
 */
import { Clock, Effect, Latch, Layer } from "effect"
import { catalog } from "../core/metrics/catalog.ts"
import { etcdCatalog } from "../core/metrics/etcdCatalog.ts"
import { decodeClusterState, encodeHeartbeatRequest, encodeLeaveRequest } from "../core/wire/peer/codecs.ts"
import { Code } from "../core/wire/errors.ts"
import { peerMethods } from "../core/wire/peer/methods.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { Elector } from "../services/Elector.ts"
import { Log } from "../services/Log.ts"
import { Membership } from "../services/Membership.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeReports } from "../services/NodeReports.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { type PeerAddress, PeerNetwork } from "../services/PeerNetwork.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { makeElectorFinder } from "./heartbeat/electorFinder.ts"
import { callPeer } from "./internal/callPeer.ts"

const timeoutMinMillis = 500
const timeoutMaxMillis = 5_000
/** Least time between two heartbeats, however many suspicions there are. */
const pauseMillis = 50
const leaveTimeoutMillis = 1_000
const startMillis = 5_000

type Needs =
  | ClusterView
  | Elector
  | Membership
  | NodeReports
  | ObjectStore
  | PeerNetwork
  | Settings
  | Supervisor
  | Metrics
  | Log

export const layer: Layer.Layer<never, never, Needs> = Layer.effectDiscard(
  Effect.gen(function* () {
    const view = yield* ClusterView
    const elector = yield* Elector
    const membership = yield* Membership
    const reports = yield* NodeReports
    const network = yield* PeerNetwork
    const settings = yield* Settings
    const supervisor = yield* Supervisor
    const log = yield* Log
    const clock = yield* Clock.Clock
    const metrics = yield* Metrics
    const retries = metrics.counter(catalog.retries)
    const roundTrips = metrics.histogram(etcdCatalog.peerRoundTrip)
    const finder = makeElectorFinder({ view, elector, membership, store: yield* ObjectStore, settings, clock })
    const intervalMillis = settings.heartbeatIntervalMillis
    const timeoutMillis = Math.min(timeoutMaxMillis, Math.max(timeoutMinMillis, intervalMillis))
    const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

    const now = Latch.makeUnsafe(false)
    let suspects = ""
    let lost = false
    /** While a cluster starts there is none yet, which is no news. */
    let newsFrom = nowMillis() + startMillis

    const onLost = (reason: string): void => {
      if (nowMillis() < newsFrom) return
      if (!lost) log.warn("elector_lost", { reason, effect: "none on reads and writes; it is looked for" })
      lost = true
    }

    const onAnswer = (from: PeerAddress): void => {
      finder.answered(from)
      if (lost) log.info("elector_found", { elector: from.nodeId })
      lost = false
      newsFrom = 0
    }

    const send = (to: PeerAddress, about: string) => {
      const startedAt = nowMillis()
      return callPeer(
        network,
        to,
        peerMethods.heartbeat,
        encodeHeartbeatRequest({ report: reports.current(), suspects: about }),
        timeoutMillis
      ).pipe(
        Effect.tap(() => Effect.sync(() => roundTrips.observe((nowMillis() - startedAt) / 1_000, { To: to.nodeId }))),
        Effect.flatMap((answer) =>
          Effect.try({
            try: () => decodeClusterState(answer),
            catch: (cause) => ({ message: `the answer of ${to.nodeId} cannot be read: ${String(cause)}` })
          })
        )
      )
    }

    /** It was taken out while nothing was heard of it, and is here again. */
    const rejoin = membership.registerAgain.pipe(
      Effect.catch((error) => Effect.sync(() => log.warn("registration_failed", { error: error.message })))
    )

    const beat = Effect.gen(function* () {
      const to = yield* finder.find
      if (to === undefined) {
        retries.inc({ operation: "heartbeat_send" })
        return onLost("no node holds the Elector's lock, as far as is known")
      }
      const about = suspects
      suspects = ""
      yield* send(to, about).pipe(
        Effect.tapError((error) => ("code" in error && error.code === Code.NotFound ? rejoin : Effect.void)),
        Effect.match({
          onSuccess: (state) => {
            onAnswer(to)
            view.offer(state)
          },
          onFailure: (error) => {
            finder.failed(to)
            retries.inc({ operation: "heartbeat_send" })
            onLost(error.message)
            // Told to nobody yet.
            if (suspects === "") suspects = about
          }
        })
      )
      if (!log.debugging) return
      const report = reports.current()
      log.debug("heartbeat", {
        elector: to.nodeId,
        health: report.health,
        primary: report.primary,
        term: report.term,
        last: report.last.index,
        commit_index: report.commitIndex,
        troubles: report.troubles.length
      })
    })

    const beats = Effect.gen(function* () {
      for (;;) {
        const begun = nowMillis()
        now.closeUnsafe()
        yield* beat
        yield* Effect.sleep(pauseMillis)
        const left = begun + intervalMillis - nowMillis()
        if (left > 0) yield* Effect.timeoutOption(now.await, left)
      }
    })

    /** This node's own Elector hears suspicions from the view; others have to be told. */
    const stopSuspicions = view.onSuspect((nodeId) => {
      if (elector.isLeader()) return
      suspects = nodeId
      now.openUnsafe()
    })
    let known = view.current().elector
    const stopChanges = view.onChange((state) => {
      if (state.elector === known) return
      known = state.elector
      // A new Elector wants to know who is there.
      now.openUnsafe()
    })

    const leave = Effect.gen(function* () {
      stopSuspicions()
      stopChanges()
      if (elector.isLeader()) return
      const to = yield* finder.find
      if (to === undefined) return
      const request = encodeLeaveRequest({ name: membership.self(), forGood: false })
      yield* callPeer(network, to, peerMethods.leave, request, leaveTimeoutMillis).pipe(
        Effect.catch((error) => Effect.sync(() => log.info("leave_not_told", { reason: error.message })))
      )
    }).pipe(Effect.timeoutOption(2 * leaveTimeoutMillis))

    yield* Effect.addFinalizer(() => leave)
    yield* supervisor.spawn("heartbeat", beats)
  })
)
