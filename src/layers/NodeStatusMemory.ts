/**
 * `NodeStatus` in plain variables. Every change of a state is one `state_transition` line and is shown by the
 * `netsy_state_*` metrics. A change that cannot be (netsy-1x.md 1.3) is logged as an error and changes nothing.
 */
import { Clock, Effect, Layer } from "effect"
import { fnv1a64 } from "../core/election/registry.ts"
import { mayBecome } from "../core/election/stateTransitions.ts"
import { secondsLeft } from "../core/health/answers.ts"
import { catalog } from "../core/metrics/catalog.ts"
import { version } from "../core/version.ts"
import { Log } from "../services/Log.ts"
import { type Gauge, Metrics } from "../services/Metrics.ts"
import {
  type ElectorState,
  type HealthState,
  NodeStatus,
  type PrimaryState,
  type Waiting
} from "../services/NodeStatus.ts"
import { Settings, type SettingsShape } from "../services/Settings.ts"

const healthStates: ReadonlyArray<HealthState> = ["loading", "healthy", "degraded"]
const electorStates: ReadonlyArray<ElectorState> = ["follower", "leader"]
const primaryStates: ReadonlyArray<PrimaryState> = ["replica", "starting", "active", "draining"]

const quorumLabel = (quorum: number): string => {
  if (quorum === 0) return "disabled"
  return quorum < 0 ? "majority" : `static:${quorum}`
}

const showOne = (gauge: Gauge, states: ReadonlyArray<string>, current: string): void => {
  for (const state of states) gauge.set(state === current ? 1 : 0, { state })
}

const withoutNumbers = (sentence: string): string => sentence.replace(/[0-9]+/g, "0")

export const layer: Layer.Layer<NodeStatus, never, Settings | Metrics | Log> = Layer.effect(
  NodeStatus,
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    return make(yield* Settings, yield* Metrics, yield* Log, () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
  })
)

const make = (
  settings: SettingsShape,
  metrics: Metrics["Service"],
  log: Log["Service"],
  nowMillis: () => number
): NodeStatus["Service"] => {
  const gauges = {
    health: metrics.gauge(catalog.stateHealth),
    elector: metrics.gauge(catalog.stateElector),
    primary: metrics.gauge(catalog.statePrimary)
  }
  const clusterId = fnv1a64(settings.clusterId)
  const troubles = new Map<string, string>()
  let memberId = 0n
  let leaderMemberId = 0n
  let term = 0
  let loaded = false
  let health: HealthState = "loading"
  let elector: ElectorState = "follower"
  let primary: PrimaryState = "replica"
  const waits: { node?: Waiting | undefined; elector?: Waiting | undefined } = {}

  metrics.gauge(catalog.info).set(1, {
    version,
    cluster_id: settings.clusterId,
    node_id: settings.nodeId,
    quorum_config: quorumLabel(settings.replication.quorum)
  })
  showOne(gauges.health, healthStates, health)
  showOne(gauges.elector, electorStates, elector)
  showOne(gauges.primary, primaryStates, primary)

  const changed = (
    stateType: keyof typeof gauges,
    states: ReadonlyArray<string>,
    previous: string,
    next: string
  ): void => {
    showOne(gauges[stateType], states, next)
    const reason = stateType === "health" && next === "degraded" ? [...troubles.values()].join("; ") : undefined
    log.info("state_transition", { state_type: stateType, previous, new: next, reason })
  }

  const follow = (): void => {
    const next: HealthState = !loaded ? "loading" : troubles.size === 0 ? "healthy" : "degraded"
    if (next === health) return
    const previous = health
    health = next
    changed("health", healthStates, previous, next)
  }

  return NodeStatus.of({
    clusterId,
    memberId: () => memberId,
    leaderMemberId: () => leaderMemberId,
    term: () => term,
    health: () => health,
    elector: () => elector,
    primary: () => primary,
    waiting: () => waits.elector ?? waits.node,
    troubles: () => [...troubles.values()],
    header: (revision) => ({ clusterId, memberId, revision, raftTerm: term }),

    setMember: (id) => {
      memberId = id
    },
    setTerm: (next, leader) => {
      term = next
      leaderMemberId = leader
    },
    setLoaded: () => {
      loaded = true
      follow()
    },
    setElector: (next) => {
      if (next === elector) return
      const previous = elector
      elector = next
      changed("elector", electorStates, previous, next)
    },
    setPrimary: (next) => {
      if (next === primary) return
      const previous = primary
      if (!mayBecome(previous, next)) {
        log.error("state_transition_refused", { state_type: "primary", previous, new: next })
        return
      }
      primary = next
      changed("primary", primaryStates, previous, next)
    },
    setWaiting: (next, part) => {
      const of = part ?? "node"
      if (next !== undefined && next.what !== waits[of]?.what) {
        log.info("waiting", { for: next.what, seconds: secondsLeft(next, nowMillis()) })
      }
      waits[of] = next
    },
    setTrouble: (name, sentence) => {
      const before = troubles.get(name)
      if (before === sentence) return
      if (sentence === undefined) {
        troubles.delete(name)
        log.info("trouble_ended", { trouble: name, reason: before })
      } else {
        troubles.set(name, sentence)
        // The seconds in a reason grow; that is no news.
        if (before === undefined || withoutNumbers(before) !== withoutNumbers(sentence)) {
          log.warn("trouble", { trouble: name, reason: sentence })
        }
      }
      follow()
    }
  })
}
