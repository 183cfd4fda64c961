/** A node inside a program: how it is, and when it has come to its end by itself. */
import { Context, type Effect, Schema } from "effect"
import type { StatusJson } from "../core/status/document.ts"
import type { HealthState, PrimaryState } from "../core/wire/peer/messages.ts"

/** A node cannot go on. Everything it acknowledged is safe; its layer has to be built anew. */
export class NodeFailed extends Schema.TaggedError<NodeFailed>()("NodeFailed", {
  task: Schema.String,
  /** The local database was set aside: built again, the node starts with a new one. Anything else wants a look first. */
  restart: Schema.Boolean,
  cause: Schema.Defect()
}) {
  override get message() {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `the node has ended, in task "${this.task}": ${why}`
  }
}

/** The node that the program has: `yield* Node`. */
export class Node extends Context.Service<
  Node,
  {
    readonly nodeId: string
    readonly clusterId: string
    /** As etcd's API has it: the number that stands for this node in answers. */
    readonly memberId: () => bigint
    /** `degraded`: it goes on, and `troubles` says what is wrong. */
    readonly health: () => HealthState
    /** Its part: `active` is the Primary that takes writes. */
    readonly role: () => PrimaryState
    /** Reasons for being degraded, each one sentence. */
    readonly troubles: () => ReadonlyArray<string>
    /** All nodes, each as it describes itself; takes about a second at most. */
    readonly cluster: Effect.Effect<StatusJson>
    /** Prometheus' text format. */
    readonly metrics: Effect.Effect<string>
    /** Never succeeds; fails when the node ends by itself. From then on every call of the client fails. */
    readonly ended: Effect.Effect<never, NodeFailed>
  }
>()("netsy/services/Node") {}
