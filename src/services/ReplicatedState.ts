/**
 * What the log makes: keys, leases, alarms, users. *Head* is everything appended, against which writes are evaluated;
 * *committed* what may be shown; on a Replica the two are one. Kv, Leases, Alarms and Auth are views of it. All calls are
 * synchronous; whoever evaluates and appends in one go sees no change in between. `store` and `leases` stay the same
 * objects when the log is loaded again.
 */
import { Context } from "effect"
import type { Alarms } from "../core/alarm/alarms.ts"
import type { AuthState } from "../core/auth/state.ts"
import type { LeaseTable } from "../core/lease/LeaseTable.ts"
import type { Op } from "../core/log/op.ts"
import type { LogRecord } from "../core/log/record.ts"
import type { MvccStore } from "../core/mvcc/store.ts"
import type { Version } from "../core/mvcc/version.ts"
import type { WriteContext } from "../core/txn/evaluate.ts"
import type { EtcdError } from "../core/wire/errors.ts"
import type { Reply } from "./Kv.ts"
import type { NextPosition, Waiter } from "./Replicator.ts"
import type { SnapshotSource } from "./Snapshotter.ts"

export class ReplicatedState extends Context.Service<
  ReplicatedState,
  {
    /** Head and committed revisions, and everything between floor and head. Never changed by who reads it. */
    readonly store: MvccStore
    /** At head. */
    readonly leases: LeaseTable
    /** At head. */
    readonly alarms: () => Alarms
    /** At head. */
    readonly auth: () => AuthState
    /** Where the next entry goes, or why none is accepted now. */
    readonly next: () => NextPosition | EtcdError
    /** For evaluating a write that would take the position. */
    readonly writeContext: (next: NextPosition) => WriteContext
    /**
     * Appends key changes that were evaluated at head for `next`, and applies them there. An operation, if given, is
     * the entry's last record. Returns the entry's revision: head's when no key changes.
     */
    readonly append: (
      next: NextPosition,
      records: ReadonlyArray<LogRecord>,
      op: Op | undefined,
      waiter: Waiter
    ) => number
    /** A linearizable read of everything up to the index: done when that is committed and this node may still serve. */
    readonly whenReadable: (index: number, waiter: Waiter) => void
    /** An answer that was made from the state at head, by a Primary, waits until that state is committed. */
    readonly whenHeadReadable: (waiter: Waiter) => void
    /** A linearizable answer made from alarms, users, leases or head, in either role. */
    readonly readHead: <A>(reply: Reply<A>, read: () => A | EtcdError) => void
    readonly headIndex: () => number
    readonly commitIndex: () => number
    /** Runs the body; what it throws ends the process (an invariant is broken) and fails the reply. */
    readonly guarded: <A>(reply: Reply<A>, body: () => void) => void
    /**
     * Reads superseded values from the disk; a compaction asked for later cannot overtake it. False: too many reads wait,
     * `reply` has been told.
     */
    readonly readCold: <A>(
      reply: Reply<A>,
      versions: ReadonlyArray<Version>,
      resume: (values: ReadonlyArray<Uint8Array | undefined>) => void
    ) => boolean
    /**
     * Called once when the compaction in the entry at `index` has removed everything from memory and disk; from memory
     * alone when the bucket lags and the disk has to wait for it.
     */
    readonly whenRemoved: (index: number, done: () => void) => void
    readonly forgetRemoved: (index: number) => void
    /** Every operation as it takes effect at head, on a Replica when it is committed. Some may be rolled back later. */
    readonly onHeadOp: (listener: (op: Op) => void) => void
    /** Every committed operation, in log order, after it has taken effect. */
    readonly onCommittedOp: (listener: (op: Op) => void) => void
    /** The log was replaced and everything is loaded anew: operations may have been passed over. */
    readonly onReloaded: (listener: () => void) => void
    /** The newest revision that is known to be in the bucket; 0: not known yet. */
    readonly storedRevision: () => number
    /** The committed state at this moment. */
    readonly snapshotSource: () => SnapshotSource
  }
>()("netsy/services/ReplicatedState") {}
