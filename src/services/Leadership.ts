/** Who holds the Elector's lock, as `/health/leadership` of the election port tells the other nodes (netsy-1x.md 5.4). */
import { Context } from "effect"

export interface Leader {
  readonly leaderID: string
  /** host:port of the leader's election listener. */
  readonly leaderAddr: string
}

export class Leadership extends Context.Service<
  Leadership,
  {
    /** Undefined while this node is not the leader. */
    readonly current: () => Leader | undefined
  }
>()("netsy/services/Leadership") {}
