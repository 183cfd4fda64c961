/** `Node` of the node that this program has inside. */
import { Effect, Layer } from "effect"
import { ClusterStatus } from "../services/ClusterStatus.ts"
import { Metrics } from "../services/Metrics.ts"
import { Node, NodeFailed } from "../services/Node.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { SetAside } from "./replicator/setAside.ts"

export const layer: Layer.Layer<Node, never, NodeStatus | ClusterStatus | Metrics | Settings | Supervisor> =
  Layer.effect(
    Node,
    Effect.gen(function* () {
      const status = yield* NodeStatus
      const { read } = yield* ClusterStatus
      const { render } = yield* Metrics
      const { clusterId, nodeId } = yield* Settings
      const { ended } = yield* Supervisor
      return Node.of({
        nodeId,
        clusterId,
        memberId: status.memberId,
        health: status.health,
        role: status.primary,
        troubles: status.troubles,
        cluster: read,
        metrics: Effect.promise(render),
        ended: Effect.mapError(
          ended,
          ({ cause, task }) => new NodeFailed({ task, cause, restart: cause instanceof SetAside })
        )
      })
    })
  )
