/**
 * Who is who in the cluster, as this node last heard: from the Elector's pushes and heartbeat answers, from its own
 * Elector, from the bucket. Plain synchronous reads; listeners are told after each change.
 */
import { Context } from "effect"
import type { NodeName } from "../core/election/arbiter.ts"
import type { ClusterState, NodeInfo } from "../core/wire/peer/messages.ts"

export class ClusterView extends Context.Service<
  ClusterView,
  {
    readonly current: () => ClusterState
    /** Taken when it is newer (see `ClusterState`); a lower term is ignored. True: something changed. */
    readonly offer: (state: ClusterState) => boolean
    /** The node of this name in `current`, whatever its incarnation. */
    readonly node: (nodeId: string) => NodeInfo | undefined
    /** The Primary that the arbiter names, unless it has resigned. */
    readonly primary: () => NodeInfo | undefined
    /** False until `settle`. */
    readonly isSelf: (name: NodeName) => boolean
    /** Membership says once who this node is, before anything else is built on it. */
    readonly settle: (self: NodeName) => void
    /** Told after each change, in the order of registration; returns how to stop. */
    readonly onChange: (listener: (state: ClusterState) => void) => () => void
    /** Somebody has reason to think that the Primary is gone (its stream broke): the Elector looks at once. Told to the Elector's heartbeats. */
    readonly suspect: (nodeId: string) => void
    readonly onSuspect: (listener: (nodeId: string) => void) => () => void
  }
>()("netsy/services/ClusterView") {}
