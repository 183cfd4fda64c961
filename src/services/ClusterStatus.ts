/** The cluster as this node sees it: what it knows, and what every node that answers says about itself. */
import { Context, type Effect } from "effect"
import type { StatusJson } from "../core/status/document.ts"

export class ClusterStatus extends Context.Service<
  ClusterStatus,
  {
    /** Asks the other nodes; takes about a second at most. */
    readonly read: Effect.Effect<StatusJson>
  }
>()("netsy/services/ClusterStatus") {}
