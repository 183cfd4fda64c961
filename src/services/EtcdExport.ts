/** The committed state as etcd would hold it: as a database file that etcd's own tools take, and as etcd's hashes of it. */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { EtcdError } from "../core/wire/errors.ts"
import type { LocalStoreFailed } from "./LocalStore.ts"

/** The temporary file could not be written or read: most likely the disk is full. */
export class ExportFailed extends Schema.TaggedError<ExportFailed>()("ExportFailed", {
  folder: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `an export in ${this.folder}: ${this.reason}`
  }
}

export interface ExportedFile {
  /** A multiple of 4096. */
  readonly bytes: number
  /** The state that it holds. */
  readonly revision: number
  /** Bytes from `offset`, as many as asked for, less at the end. */
  readonly read: (offset: number, count: number) => Effect.Effect<Uint8Array, ExportFailed>
}

export interface HashedKeys {
  readonly hash: number
  /** −1: never compacted. */
  readonly compactRevision: number
  readonly hashRevision: number
}

export class EtcdExport extends Context.Service<
  EtcdExport,
  {
    /**
     * Writes a file into the data directory; it takes no name there, so that nothing of it outlives the scope or the
     * process. Few at a time; more are refused with `too many requests`.
     */
    readonly file: Effect.Effect<ExportedFile, EtcdError | ExportFailed | LocalStoreFailed, Scope.Scope>
    /** Over everything such a file holds; equal for equal states. */
    readonly hash: Effect.Effect<{ readonly hash: number; readonly revision: number }, EtcdError | LocalStoreFailed>
    /** As etcd answers HashKV; 0 is the current revision. */
    readonly hashKv: (revision: number) => Effect.Effect<HashedKeys, EtcdError | LocalStoreFailed>
  }
>()("netsy/services/EtcdExport") {}
