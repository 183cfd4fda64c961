/** Asks a node's election port whether it holds the Elector's lock (netsy-1x.md 5.4). Answered by `Leadership` there. */
import { Context, type Effect, Schema } from "effect"
import type { Leader } from "./Leadership.ts"

/** No answer in time, or not one that can be understood. */
export class LeadershipUnreachable extends Schema.TaggedError<LeadershipUnreachable>()("LeadershipUnreachable", {
  /** host:port of the election port. */
  address: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.address}: ${this.reason}`
  }
}

export class LeadershipClient extends Context.Service<
  LeadershipClient,
  {
    /** `address` is the host:port that the lock object names. */
    readonly ask: (
      address: string,
      timeoutMillis: number
    ) => Effect.Effect<Leader | "not leader", LeadershipUnreachable>
  }
>()("netsy/services/LeadershipClient") {}
