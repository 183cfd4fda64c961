/**
 * The replicated log on this node: assigns positions, makes entries durable by the rule of the mode, and says when they
 * are committed (design 5). Only the state machine that `start` is given appends.
 */
import { Context, type Effect, type Scope } from "effect"
import type { Entry, Timestamp } from "../core/log/record.ts"
import type { EtcdError } from "../core/wire/errors.ts"
import type { ElectionImpossible } from "./Elector.ts"
import type { HistoryBroken } from "./History.ts"
import type { LocalStoreFailed } from "./LocalStore.ts"
import type { Denied, Unavailable } from "./ObjectStore.ts"
import type { Deposed } from "./Reign.ts"
import type { TakenOver } from "./Takeover.ts"

/** What the next entry has to carry. */
export interface NextPosition {
  readonly index: number
  readonly term: number
  readonly leaderId: string
  readonly createdAt: Timestamp
}

/** Told once what became of the entry or the read that it waits for. Must not throw. */
export interface Waiter {
  readonly done: () => void
  readonly failed: (error: EtcdError) => void
}

/** What is replicated. Calls are synchronous and in log order. */
export interface StateMachine {
  /** Reads the whole log and history from `LocalStore`; everything in it will be committed by this term's no-op. */
  readonly load: Effect.Effect<void, LocalStoreFailed>
  /** Compaction revision of the committed state, for headers of chunks; 0: none. */
  readonly floor: () => number
  /** The loaded state is committed: the node becomes Active now. */
  readonly active: (begun: TakenOver) => void
  /** Entries that were appended by this process, in order. */
  readonly committed: (entries: ReadonlyArray<Entry>) => void
}

export type StartError = ElectionImpossible | HistoryBroken | LocalStoreFailed | Denied | Unavailable | Deposed

export class Replicator extends Context.Service<
  Replicator,
  {
    /** Gets elected, takes over the bucket's history, commits this term's no-op. Succeeds when the node is Active. */
    readonly start: (machine: StateMachine) => Effect.Effect<void, StartError, Scope.Scope>
    /** Where the next entry goes, or why none is accepted now. */
    readonly next: () => NextPosition | EtcdError
    /** Appends the entry that was made for `next()`; the waiter is told when it is committed, or that its fate is unknown. */
    readonly append: (entry: Entry, waiter: Waiter) => void
    /**
     * A linearizable read of everything up to `index`: done once that is committed and the right to serve reads held after
     * this call. At once where possible.
     */
    readonly whenReadable: (index: number, waiter: Waiter) => void
    readonly headIndex: () => number
    readonly commitIndex: () => number
    /** Every index up to this is known to be in the bucket. */
    readonly storedIndex: () => number
  }
>()("netsy/services/Replicator") {}
