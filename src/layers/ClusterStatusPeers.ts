/**
 * `ClusterStatus` by asking all nodes at once, each for a second at most. However many want to know, one round is under way
 * at a time, and a young answer is given again.
 */
import { Clock, Effect, Layer } from "effect"
import { isoTime } from "../core/isoTime.ts"
import { emptyBytes } from "../core/log/record.ts"
import { type Heard, statusJson } from "../core/status/document.ts"
import { decodeNodeReport } from "../core/wire/peer/codecs.ts"
import { peerMethods } from "../core/wire/peer/methods.ts"
import type { NodeInfo } from "../core/wire/peer/messages.ts"
import { statusAnswer } from "../core/health/answers.ts"
import { ClusterStatus } from "../services/ClusterStatus.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { HealthServer } from "../services/HealthServer.ts"
import { NodeReports } from "../services/NodeReports.ts"
import { PeerNetwork } from "../services/PeerNetwork.ts"
import { Settings } from "../services/Settings.ts"
import { callPeer } from "./internal/callPeer.ts"

const askMillis = 1_000
/** An answer is as good for whoever asks within this time. */
const freshMillis = 250

type Needs = ClusterView | NodeReports | PeerNetwork | Settings

export const layer: Layer.Layer<ClusterStatus, never, Needs> = Layer.effect(
  ClusterStatus,
  Effect.gen(function* () {
    const view = yield* ClusterView
    const reports = yield* NodeReports
    const network = yield* PeerNetwork
    const { clusterId, nodeId } = yield* Settings
    const clock = yield* Clock.Clock

    const ask = (node: NodeInfo): Effect.Effect<Heard> =>
      callPeer(
        network,
        { nodeId: node.name.nodeId, address: node.peerAddress },
        peerMethods.getNodeState,
        emptyBytes,
        askMillis
      ).pipe(
        Effect.flatMap((answer) =>
          Effect.try({
            try: () => decodeNodeReport(answer),
            catch: (cause) => ({ reason: `its answer: ${String(cause)}` })
          })
        ),
        Effect.catch(({ reason }) => Effect.succeed({ unreachable: reason }))
      )

    const round = Effect.gen(function* () {
      const state = view.current()
      const others = state.nodes.filter(({ name }) => name.nodeId !== nodeId)
      const answers = yield* Effect.forEach(
        others,
        (node) => Effect.map(ask(node), (heard) => [node.name.nodeId, heard] as const),
        { concurrency: "unbounded" }
      )
      const at = isoTime(clock.currentTimeMillisUnsafe())
      return statusJson({ clusterId, self: reports.current(), at, state, heard: new Map(answers) })
    })

    const read = yield* Effect.cachedWithTTL(round, freshMillis)
    return ClusterStatus.of({ read })
  })
)

/** Puts it on the health port. */
export const onHealthPort: Layer.Layer<never, never, ClusterStatus | HealthServer> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { read } = yield* ClusterStatus
    const { handle } = yield* HealthServer
    const run = Effect.runPromiseWith(yield* Effect.context<never>())
    handle("/status", () => Effect.map(read, statusAnswer).pipe(run))
  })
)
