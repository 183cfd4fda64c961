/**
 * The replicated log on this node, in whatever role: as Primary it assigns positions, makes entries durable by the rule
 * of the mode and decides when they are committed; as Replica it takes what the Primary sends (design 5, 6). Only the
 * state machine that `start` is given appends.
 */
import { Context, type Effect, type Scope } from "effect"
import type { Entry, Position, Timestamp } from "../core/log/record.ts"
import type { EtcdError } from "../core/wire/errors.ts"
import type { NodeInfo } from "../core/wire/peer/messages.ts"
import type { HistoryBroken } from "./History.ts"
import type { LocalStoreFailed } from "./LocalStore.ts"
import type { PrimaryState } from "./NodeStatus.ts"
import type { Denied, Unavailable } from "./ObjectStore.ts"
import type { TaskEnded } from "./Supervisor.ts"

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

/** How a term as Primary begins. */
export interface TakenOver {
  /** This term's newest no-op: on disk and in the bucket with everything before it. */
  readonly head: Position
  readonly revision: number
  readonly floor: number
  /** The newest snapshot on the bucket's path. */
  readonly snapshot: { readonly index: number; readonly bytes: number; readonly atMillis: number } | undefined
  /** Bytes of the chunks behind it. */
  readonly chunkBytes: number
  /** The log was replaced by the bucket's history: whoever had loaded it loads again. */
  readonly restored: boolean
}

/**
 * What is replicated. Synchronous calls come in log order. *Head* differs from *committed* on a Primary only.
 */
export interface StateMachine {
  /**
   * Reads log and history from `LocalStore` up to the index, which is committed; what was there before is served until
   * that is done and then dropped. Called at start and whenever the log was replaced by what the bucket has.
   */
  readonly load: (upToIndex: number) => Effect.Effect<void, LocalStoreFailed>
  /** Compaction revision of the committed state, for headers of chunks; 0: none. */
  readonly floor: () => number
  readonly committedRevision: () => number
  /** Of the newest snapshot that this Primary knows of; 0: none, or not Active. */
  readonly lastSnapshotIndex: () => number
  /** Replica: entries that are committed now and were not applied before, contiguous. */
  readonly replicate: (entries: ReadonlyArray<Entry>) => void
  /** Becoming Primary: entries of the log that are not known to be committed, contiguous, to be applied at head. */
  readonly adopt: (entries: ReadonlyArray<Entry>) => void
  /** Primary: entries at head (appended or adopted) are committed. */
  readonly committed: (entries: ReadonlyArray<Entry>) => void
  /**
   * Primary: the no-op is committed, the node accepts writes: leases start at full TTL, snapshots and expiry begin.
   * Nothing is deleted in the bucket while the node may not acknowledge (design 6.3).
   */
  readonly active: (begun: TakenOver, mayAcknowledge: () => boolean) => void
  /** No longer Primary: head falls back to what is committed; leases, snapshots and automatic compaction rest. */
  readonly deposed: () => void
  /** Everything up to this index is known to be in the bucket (ascending): what the bucket has may be dropped from the disk. */
  readonly stored: (index: number) => void
}

export type StartError = HistoryBroken | LocalStoreFailed | Denied | Unavailable | TaskEnded

export class Replicator extends Context.Service<
  Replicator,
  {
    /**
     * Loads what is on the disk, then takes part in the cluster until the scope closes. Succeeds when this node can serve:
     * as Active Primary, or as a Replica that has applied what the Primary had committed when it was first asked.
     */
    readonly start: (machine: StateMachine) => Effect.Effect<void, StartError, Scope.Scope>
    readonly role: () => PrimaryState
    /** Told after each change of role; `active` after the state machine's. */
    readonly onRole: (listener: (role: PrimaryState) => void) => void
    /** The Active Primary, when it is another node and can be reached as far as this one knows. */
    readonly primary: () => NodeInfo | undefined
    /** Where the next entry goes, or why none is accepted now. */
    readonly next: () => NextPosition | EtcdError
    /** Appends the entry that was made for `next()`; the waiter is told when it is committed, or that its fate is unknown. */
    readonly append: (entry: Entry, waiter: Waiter) => void
    /**
     * A linearizable read: done when everything up to `index` (of this node's log; 0: nothing in particular) and everything
     * that was acknowledged anywhere before this call is applied here. On a Replica the Primary is asked; while there is
     * none the read waits for one, up to etcd's request time.
     */
    readonly whenReadable: (index: number, waiter: Waiter) => void
    /** Done when this node has applied the index; for answers of the Primary to forwarded requests. */
    readonly whenApplied: (index: number, waiter: Waiter) => void
    readonly headIndex: () => number
    readonly commitIndex: () => number
    /** Every index up to this is known to be in the bucket. */
    readonly storedIndex: () => number
    /**
     * Primary: stops accepting, waits until the other node has everything (bounded), names it to the Elector and resigns.
     * Fails with etcd's errors of MoveLeader.
     */
    readonly handOver: (nodeId: string, waiter: Waiter) => void
  }
>()("netsy/services/Replicator") {}
