/**
 * The Elector: holds the lock object, keeps the list of members, and decides who is Primary by writing the arbiter for
 * the next term (design 6.1, 6.4). Not on the data path.
 */
import { Context, type Effect, Schema } from "effect"
import type { HistoryBroken } from "./History.ts"
import type { LocalStoreFailed } from "./LocalStore.ts"
import type { Denied, Unavailable } from "./ObjectStore.ts"
import type { Won } from "./Reign.ts"

/** The election cannot go on without an operator. */
export class ElectionImpossible extends Schema.TaggedError<ElectionImpossible>()("ElectionImpossible", {
  key: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.key}: ${this.reason}`
  }
}

export class Elector extends Context.Service<
  Elector,
  {
    /** Holds the lock at this moment, as far as this node knows. */
    readonly isLeader: () => boolean
    /** Waits until this node holds the lock, is a member, and has been made Primary of a new term. */
    readonly elect: Effect.Effect<Won, ElectionImpossible | HistoryBroken | LocalStoreFailed | Denied | Unavailable>
    /** Gives the lock back; best effort, bounded in time. */
    readonly resign: Effect.Effect<void>
  }
>()("netsy/services/Elector") {}
