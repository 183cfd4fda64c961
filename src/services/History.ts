/**
 * The log as a reader finds it in the bucket (design 6.5): one path of chunks that ends at a snapshot or at index 1.
 * Everything is verified before it is handed out; a damaged object stops the reader, data is never skipped.
 */
import { Context, type Effect, Schema, type Stream } from "effect"
import type { SkippedTip } from "../core/log/history.ts"
import type { Moment } from "../core/log/moment.ts"
import type { Entry, LogRecord, Position } from "../core/log/record.ts"
import type { Denied, Unavailable } from "./ObjectStore.ts"

/** The path breaks, or an object on it is damaged. Needs an operator; nothing was changed. */
export class HistoryBroken extends Schema.TaggedError<HistoryBroken>()("HistoryBroken", {
  /** Object key, or `chunks/` when no single object is at fault. */
  key: Schema.String,
  /** What failed, with the byte offset or the index. */
  reason: Schema.String
}) {
  override get message() {
    return `${this.key}: ${this.reason}`
  }
}

/** An object of the path was deleted after the lists were read: somebody cleans up behind a snapshot. Read again. */
export class HistoryMoved extends Schema.TaggedError<HistoryMoved>()("HistoryMoved", {
  key: Schema.String
}) {
  override get message() {
    return `${this.key}: was deleted while it was read`
  }
}

/** The bucket holds no data, or does not reach from the moment to the newest entry. */
export class NoSuchMoment extends Schema.TaggedError<NoSuchMoment>()("NoSuchMoment", {
  message: Schema.String
}) {}

export type HistoryError = HistoryBroken | HistoryMoved | Unavailable | Denied

export interface BucketSnapshot {
  readonly key: string
  readonly last: Position
  /** The store's revision at its end. */
  readonly revision: number
  readonly floor: number
  /** Milliseconds since 1970, by the store's clock. */
  readonly lastModified: number
  readonly size: number
}

/** One consistent reading of the bucket. */
export interface BucketHistory {
  /** End of the path; (0, 0) for an empty bucket. */
  readonly last: Position
  /** The store's revision at the end; 0 for an empty bucket. */
  readonly lastRevision: number
  /** Highest term on the path. */
  readonly highestTerm: number
  /** Where the path starts; undefined: at index 1. */
  readonly snapshot: BucketSnapshot | undefined
  /** Term of the entry at `index`; undefined below the snapshot's end and above `last`. */
  readonly termAt: (index: number) => number | undefined
  /** Indexes of chunk keys in the bucket that are not on the path: a new chunk must not end there. */
  readonly takenKeys: ReadonlySet<number>
  /** Tips that were passed over: PUTs of a lost reign that landed without what they follow. Worth a warning. */
  readonly skippedTips: ReadonlyArray<SkippedTip>
  /** Bytes of the chunks behind the snapshot. */
  readonly chunkBytes: number
  /** The snapshot's records in file order, page by page, verified to the footer; fails before the last page if it is damaged. */
  readonly snapshotRecords: () => Stream.Stream<ReadonlyArray<LogRecord>, HistoryError>
  /** Entries above `index`, ascending, without duplicates, in batches; `index` at or above the snapshot's end. */
  readonly entriesAfter: (index: number) => Stream.Stream<ReadonlyArray<Entry>, HistoryError>
}

export interface ReadOptions {
  /**
   * Term of the cluster's last recovery with possible loss, by its arbiter; undefined: there was none. While it is not
   * above the newest snapshot's last term, chunks that end at or below the snapshot's end are not looked at. "unknown":
   * nobody has said so, every one of them is.
   */
  readonly recoveredTerm: number | undefined | "unknown"
}

export class History extends Context.Service<
  History,
  {
    readonly read: (options: ReadOptions) => Effect.Effect<BucketHistory, HistoryError>
    /** As `read`, but of the history up to the moment: it ends there, and begins at the newest snapshot before it. */
    readonly readTo: (moment: Moment, options: ReadOptions) => Effect.Effect<BucketHistory, HistoryError | NoSuchMoment>
    /** Learns, without haste, what a later `read` would have to fetch object by object. How many objects there are. */
    readonly warm: (options: ReadOptions) => Effect.Effect<number, HistoryError>
    /** Highest term in any header, on the path or not; 0 for an empty bucket. */
    readonly highestTerm: Effect.Effect<number, HistoryError>
  }
>()("netsy/services/History") {}
