/** Who belongs to the cluster: `members.json` and `nodes/*.json` in the bucket (netsy-1x.md 4.2, 4.3; design 6.2). */
import { Context, type Effect, Schema } from "effect"
import type { NodeName } from "../core/election/arbiter.ts"
import type { Member } from "../core/wire/codec/cluster.ts"
import type { LocalStoreFailed } from "./LocalStore.ts"
import type { Denied, Unavailable } from "./ObjectStore.ts"

/** `members.json` or a registration cannot be read, or belongs to another cluster. */
export class MembershipInvalid extends Schema.TaggedError<MembershipInvalid>()("MembershipInvalid", {
  key: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.key}: ${this.reason}`
  }
}

export class Membership extends Context.Service<
  Membership,
  {
    /** This node as (node id, incarnation); settled by `register`. */
    readonly self: () => NodeName
    /**
     * Writes this node's registration. A disk that was put back to an older state is recognised here by its start
     * counter and gets a new incarnation.
     */
    readonly register: Effect.Effect<void, MembershipInvalid | LocalStoreFailed | Denied | Unavailable>
    /** Elector only: gives every registered node a member id; returns this node's. */
    readonly allocate: Effect.Effect<bigint, MembershipInvalid | Denied | Unavailable>
    /** For MemberList; ascending by member id. */
    readonly members: () => ReadonlyArray<Member>
  }
>()("netsy/services/Membership") {}
