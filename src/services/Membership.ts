/** Who belongs to the cluster: `members.json` and `nodes/*.json` in the bucket (netsy-1x.md 4.2, 4.3; design 6.2). */
import { Context, type Effect, Schema } from "effect"
import type { NodeName } from "../core/election/arbiter.ts"
import type { Registration } from "../core/election/registry.ts"
import type { Member } from "../core/wire/codec/cluster.ts"
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

/** A registered node and its member id. */
export interface RegisteredNode {
  readonly registration: Registration
  readonly memberId: bigint
}

export class Membership extends Context.Service<
  Membership,
  {
    /** This node as (node id, incarnation); settled when the layer is built. */
    readonly self: () => NodeName
    /**
     * The term that the arbiter showed when this process registered, 0 without one. Whoever was named in it was another
     * process: a disk that was put back to a state of that very life forgets what it has promised (design 6.2).
     */
    readonly termAtStart: () => number
    /** For MemberList, from `ClusterView`; ascending by member id. */
    readonly members: () => ReadonlyArray<Member>
    /** Elector only: lists `nodes/`, gives every registered node a member id in `members.json`, returns all of them. */
    readonly readAll: Effect.Effect<ReadonlyArray<RegisteredNode>, MembershipInvalid | Denied | Unavailable>
    /** Elector only: one node's registration as it stands; undefined: deleted (declared dead) or never there. */
    readonly read: (nodeId: string) => Effect.Effect<Registration | undefined, MembershipInvalid | Denied | Unavailable>
    /** Elector only: a member id for one node that said hello. */
    readonly allocate: (nodeId: string) => Effect.Effect<bigint, MembershipInvalid | Denied | Unavailable>
    /** Elector only: deletes `nodes/{id}.json`. */
    readonly deregister: (nodeId: string) => Effect.Effect<void, Denied | Unavailable>
    /** Writes this node's registration again where there is none: it was taken out while nothing was heard of it. */
    readonly registerAgain: Effect.Effect<void, MembershipInvalid | Denied | Unavailable>
    /** Where a node that is registered listens, read from the bucket: before anybody has told this node anything. */
    readonly lookUp: (
      nodeId: string
    ) => Effect.Effect<Registration | undefined, MembershipInvalid | Denied | Unavailable>
  }
>()("netsy/services/Membership") {}
