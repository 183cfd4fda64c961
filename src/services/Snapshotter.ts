/**
 * Snapshots of the committed state in the bucket, and the cleaning up behind them (design 5, netsy-1x.md 11). Taken by
 * an Active Primary only, at or above its own no-op and never above its commit index.
 */
import { Context, type Effect, Schema } from "effect"
import type { LocalStoreFailed } from "./LocalStore.ts"
import type { ObjectStoreError } from "./ObjectStore.ts"

/** The temporary file could not be written or read. */
export class SnapshotFailed extends Schema.TaggedError<SnapshotFailed>()("SnapshotFailed", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.reason}`
  }
}

/** The committed state at one moment, taken synchronously. */
export interface SnapshotSource {
  readonly index: number
  readonly term: number
  readonly revision: number
  readonly floor: number
  /** Encoded operations that make the state beside the keys: leases, floor, alarms, auth. */
  readonly ops: ReadonlyArray<Uint8Array>
}

export interface SnapshotBegin {
  readonly source: () => SnapshotSource
  /** The newest snapshot of the bucket's path, if any. */
  readonly last: { readonly index: number; readonly bytes: number; readonly atMillis: number } | undefined
  /** Bytes of the chunks behind it. */
  readonly chunkBytes: number
  /** Asked before each deletion: a Primary that may not acknowledge deletes nothing (design 6.3). */
  readonly mayDelete: () => boolean
}

export class Snapshotter extends Context.Service<
  Snapshotter,
  {
    /** From now on this node is Active. */
    readonly begin: (options: SnapshotBegin) => void
    /** It is no longer: a snapshot under way is given up, nothing more is deleted. */
    readonly rest: () => void
    /** Of the newest snapshot in the bucket, while this node is Active; 0: none. */
    readonly lastIndex: () => number
    /** Active: a batch was committed up to `index`; `bytes` of records. Synchronous, cheap. */
    readonly committed: (index: number, bytes: number) => void
    /**
     * The node stops as Active and nothing more is committed: takes one, within a limit of time, when the next start would have many
     * chunks to read. Never fails: what could not be taken is in the chunks.
     */
    readonly takeAtStop: Effect.Effect<void>
    /** Takes one now and returns its key; used by tests and operators. */
    readonly take: Effect.Effect<string, SnapshotFailed | LocalStoreFailed | ObjectStoreError>
  }
>()("netsy/services/Snapshotter") {}
