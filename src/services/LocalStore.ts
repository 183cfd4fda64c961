/**
 * The node's own disk: the log, key history, promises and small facts, in one database that only this service touches.
 * Requests are served in the order in which they were made (FIFO), so a read sees every append made before it.
 * Appends are durable (fsynced) when they succeed. Losing this database loses nothing but time: the bucket has it all.
 */
import { Context, type Effect, Schema } from "effect"
import type { OpsRemoval, StateAt } from "../core/localstore/state.ts"
import type { Entry, LogRecord, Position } from "../core/log/record.ts"

export type { OpsRemoval, StateAt } from "../core/localstore/state.ts"

/** The disk failed, is full, or the database is not usable. Not retried: the process ends and is restarted. */
export class LocalStoreFailed extends Schema.TaggedError<LocalStoreFailed>()("LocalStoreFailed", {
  operation: Schema.String,
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.operation} on ${this.path}: ${this.reason}`
  }
}

/** Promises of design 6.2 and 6.4; `fenced` never goes back, `reigned` never goes back. */
export interface Promises {
  readonly fenced: number
  readonly reigned: number
}

/** What was found when the database was opened. */
export interface Opened {
  /** Random id made with a fresh database; names this node together with its node id (design 6.2). */
  readonly incarnation: string
  /** How often this incarnation was opened, this time included (1 for a fresh one); stored before `open` returns. */
  readonly starts: number
  readonly promises: Promises
  /** Last entry of the log; (0, 0) when empty. */
  readonly last: Position
  /** Revision after the last entry; 0 when empty. */
  readonly lastRevision: number
  /** First index from which the log is complete; 1 unless restored from a snapshot or compacted. */
  readonly firstIndex: number
  /** Compaction revision; 0 when never compacted. */
  readonly floor: number
  /** Commit index as lazily stored. */
  readonly commitIndex: number
  /** Set when a damaged or foreign database was set aside: its new path and why. */
  readonly setAside: { readonly path: string; readonly reason: string } | undefined
  /**
   * Set while a Netsy 1.x database waits to be imported; its file has been set aside under a dated name already. It is
   * offered again at every open until `importDone`, so a crash in the middle of the import loses nothing.
   */
  readonly imported: ImportedHistory | undefined
}

/** A Netsy 1.x database whose rows are to be appended where the bucket lacks them. Its file is never changed. */
export interface ImportedHistory {
  /** The set-aside file. */
  readonly path: string
  readonly count: number
  /** Newest revision, 0 when the table is empty. */
  readonly lastRevision: number
  /** Highest recorded compaction revision, 0 when there is none. */
  readonly floor: number
}

/** Where the log stands now, after every request made before. The fields are those of `Opened`. */
export interface Bounds {
  readonly last: Position
  readonly lastRevision: number
  readonly firstIndex: number
  readonly floor: number
  readonly commitIndex: number
}

/** One page of a consistent view, ascending; `done` on the last one. */
export interface RecordPage {
  readonly records: ReadonlyArray<LogRecord>
  readonly done: boolean
}

/** The port to the node's disk. */
export class LocalStore extends Context.Service<
  LocalStore,
  {
    readonly opened: Opened
    /** File name or `:memory:`, for messages. */
    readonly path: string
    /**
     * Appends entries behind the last one, in one transaction, fsynced. `commitIndex` is stored along, lazily (never
     * above the last entry, never going back). Asserts contiguity: the first entry's index is last + 1, every record
     * carries its entry's index, term and revision, and `sub` counts from 0. Without entries it stores the commit index.
     */
    readonly append: (entries: ReadonlyArray<Entry>, commitIndex: number) => Effect.Effect<void, LocalStoreFailed>
    /** Where the log stands now. */
    readonly bounds: Effect.Effect<Bounds, LocalStoreFailed>
    /** Drops every entry at or above `index`. Asserts that none is known to be committed or lies below `firstIndex`. */
    readonly truncateFrom: (index: number) => Effect.Effect<void, LocalStoreFailed>
    /** Drops the whole log and history, keeps incarnation, promises and facts; `restore` or `append` then fill it. */
    readonly clear: Effect.Effect<void, LocalStoreFailed>
    /**
     * Loads one slice of a snapshot into an empty store (rows need not be contiguous, ops included). After the last slice
     * (`end` given) the log's last position is `end`, `firstIndex` is `end.index + 1` and the commit index `end.index`.
     * A restore that was not finished before the process ended leaves an empty store. The snapshot's operations become the
     * state at `end` (see `compact`), in their order of (index, sub).
     */
    readonly restore: (
      records: ReadonlyArray<LogRecord>,
      end: { readonly position: Position; readonly revision: number; readonly floor: number } | undefined
    ) => Effect.Effect<void, LocalStoreFailed>
    /**
     * Entries from `fromIndex`, ascending, at most `maxEntries` and about `maxBytes` (at least one). [] at the end, and
     * below `firstIndex`, where the log is not complete. Keys and values of all reads are views of one buffer a page.
     */
    readonly entries: (
      fromIndex: number,
      maxEntries: number,
      maxBytes: number
    ) => Effect.Effect<ReadonlyArray<Entry>, LocalStoreFailed>
    /** Term of the entry at `index`, which may be `firstIndex - 1`; undefined when the log does not hold it. */
    readonly termAt: (index: number) => Effect.Effect<number | undefined, LocalStoreFailed>
    /**
     * Key changes (no ops, no `_netsy`) with `fromRevision` ≤ revision ≤ `toRevision`, ascending by (revision, sub), whole
     * revisions only, at least one revision when there is one; stops after the revision that passes `maxBytes`.
     */
    readonly changes: (
      fromRevision: number,
      toRevision: number,
      maxBytes: number
    ) => Effect.Effect<ReadonlyArray<LogRecord>, LocalStoreFailed>
    /** Versions by exact (key, revision), in the order asked; the last sub of that revision; undefined where absent. */
    readonly versions: (
      wanted: ReadonlyArray<{ readonly key: Uint8Array; readonly revision: number }>
    ) => Effect.Effect<ReadonlyArray<LogRecord | undefined>, LocalStoreFailed>
    /**
     * A consistent view of every stored record (ops included) with index ≤ `upToIndex`, page by page, while appends go on:
     * first the operations of the stored state (see `compact`), if its index is not above `upToIndex`, as records at its
     * position; then all others in (index, sub) order, without the operations that the state stands for. `count` is the
     * number of records, `changeCount` that of key changes among them (all but the `op` records; `_netsy` counts), which a
     * snapshot's header must know before the first record. With a `floor` the view leaves out what a compaction to it
     * removes (rule C2), removed already or not. `close` ends the view. At most 8 views are open at a time.
     */
    readonly view: (
      upToIndex: number,
      floor?: number
    ) => Effect.Effect<
      {
        readonly count: number
        readonly changeCount: number
        /** The next page: at most so many records, and about so many bytes. */
        readonly next: (maxRecords: number, maxBytes: number) => Effect.Effect<RecordPage, LocalStoreFailed>
        readonly close: Effect.Effect<void>
      },
      LocalStoreFailed
    >
    /** Durable when it succeeds. Asserts that neither promise goes back. */
    readonly promise: (promises: Promises) => Effect.Effect<void, LocalStoreFailed>
    /** Takes a new incarnation (`starts` becomes 1) and keeps log and promises: for a disk put back to an older state. */
    readonly newIncarnation: Effect.Effect<string, LocalStoreFailed>
    /** Durably notes that this database is not to be used again: the next open sets it aside with this reason. */
    readonly abandon: (reason: string) => Effect.Effect<void, LocalStoreFailed>
    /**
     * Moves the floor to `revision` (never back) and removes, in bounded steps while other requests are served, the rows
     * that no reader at or above it can see (rule C2). `state` is stored first, durably and at once, in the place of
     * operations up to its index: from then on they are not seen any more, and those among the entries up to the floor's
     * are removed. Entries above the floor's stay whole, so the log can be followed from there. A call that was broken off,
     * by a crash too, is made good by the next one. One call at a time is served, others wait. While the log is being
     * replaced (`clear`, `restore`) a call has no effect, and neither has a state from outside the log.
     */
    readonly compact: (
      revision: number,
      state?: StateAt,
      ops?: OpsRemoval
    ) => Effect.Effect<{ readonly removed: number }, LocalStoreFailed>
    /**
     * Gives free space of the files back to the file system until `keepFreeBytes` of it are left, in bounded steps while
     * other requests are served. Files that an open view still needs shrink when it is closed.
     */
    readonly defragment: (
      keepFreeBytes: number
    ) => Effect.Effect<{ readonly before: number; readonly after: number }, LocalStoreFailed>
    /**
     * Rows of `opened.imported` with revision ≥ `fromRevision`, ascending: index = revision, term 0, sub 0; [] at the end
     * and when there is none. At most `maxRecords` and about 16 MiB. Gaps are the caller's to judge.
     */
    readonly readImported: (
      fromRevision: number,
      maxRecords: number
    ) => Effect.Effect<ReadonlyArray<LogRecord>, LocalStoreFailed>
    /** What the bucket lacked has been imported durably: the old database is never offered again. */
    readonly importDone: Effect.Effect<void, LocalStoreFailed>
    /** Small facts by name, durable. Names begin with a letter. */
    readonly getMeta: (name: string) => Effect.Effect<Uint8Array | undefined, LocalStoreFailed>
    /** Durable when it succeeds. */
    readonly setMeta: (name: string, value: Uint8Array) => Effect.Effect<void, LocalStoreFailed>
    /** Bytes of the database file(s), and bytes in use. */
    readonly size: Effect.Effect<{ readonly total: number; readonly inUse: number }, LocalStoreFailed>
  }
>()("netsy/services/LocalStore") {}
