/**
 * What this node is at the moment: states, identity, term, what it waits for. Plain synchronous reads, because
 * every response header is made from it. Only the layers of the write path and of the election write to it.
 */
import { Context } from "effect"
import type { ElectorState, HealthState, PrimaryState } from "../core/wire/peer/messages.ts"
import type { ResponseHeader } from "../core/wire/messages.ts"

export type { ElectorState, HealthState, PrimaryState } from "../core/wire/peer/messages.ts"

/** What the node waits for, for the log, `/readyz` and `netsy status`. */
export interface Waiting {
  readonly what: string
  /** Monotonic milliseconds (Effect `Clock` time) at which the wait ends by itself; undefined: open. */
  readonly until: number | undefined
}

export class NodeStatus extends Context.Service<
  NodeStatus,
  {
    /** FNV-1a 64 of the cluster's name. */
    readonly clusterId: bigint
    readonly memberId: () => bigint
    /** Member id of the Primary; 0n when there is none. */
    readonly leaderMemberId: () => bigint
    readonly term: () => number
    readonly health: () => HealthState
    readonly elector: () => ElectorState
    readonly primary: () => PrimaryState
    readonly waiting: () => Waiting | undefined
    /** Reasons for being degraded, each one sentence. */
    readonly troubles: () => ReadonlyArray<string>
    /** A full header of rules H1–H5 with this revision. */
    readonly header: (revision: number) => ResponseHeader

    readonly setMember: (memberId: bigint) => void
    readonly setTerm: (term: number, leaderMemberId: bigint) => void
    /** Loading until the first time; then follows `setTrouble`. */
    readonly setLoaded: () => void
    readonly setElector: (state: ElectorState) => void
    readonly setPrimary: (state: PrimaryState) => void
    /** Of each part its own. What the Elector waits for is shown before what follows from that. */
    readonly setWaiting: (waiting: Waiting | undefined, part?: "elector") => void
    /** Undefined removes the trouble of that name; a node with troubles is degraded, without it is healthy again. */
    readonly setTrouble: (name: string, sentence: string | undefined) => void
  }
>()("netsy/services/NodeStatus") {}
