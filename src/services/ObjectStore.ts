/**
 * The bucket: bytes under keys, with conditional writes. The only way to object storage. Keys are relative to the
 * configured prefix and use `/`. Every error carries the operation and the key.
 */
import { Context, type Effect, Schema, type Scope, type Stream } from "effect"

/** No object has this key (HTTP 404 NoSuchKey). */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {
  operation: Schema.String,
  key: Schema.String
}) {
  override get message() {
    return `${this.operation} ${this.key}: no such object`
  }
}

/** The condition did not hold (HTTP 412): the object exists, or has another ETag, or is gone (404 on If-Match). */
export class PreconditionFailed extends Schema.TaggedError<PreconditionFailed>()("PreconditionFailed", {
  operation: Schema.String,
  key: Schema.String
}) {
  override get message() {
    return `${this.operation} ${this.key}: the condition did not hold`
  }
}

/** Another conditional write was under way (HTTP 409). The outcome of this write is unknown. */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", {
  operation: Schema.String,
  key: Schema.String
}) {
  override get message() {
    return `${this.operation} ${this.key}: a conflicting write is under way`
  }
}

/** Timeout, lost connection, throttling, 5xx: try again. The outcome of a write is unknown. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  operation: Schema.String,
  key: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.operation} ${this.key}: ${this.reason}`
  }
}

/** The store refuses: credentials, permission, missing bucket, invalid request (other 4xx). Trying again is no use. */
export class Denied extends Schema.TaggedError<Denied>()("Denied", {
  operation: Schema.String,
  key: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.operation} ${this.key}: ${this.reason}`
  }
}

/** What reading may fail with. */
export type ReadError = NotFound | Unavailable | Denied
/** What writing may fail with. */
export type WriteError = PreconditionFailed | Conflict | Unavailable | Denied
/** What any operation may fail with. */
export type ObjectStoreError = NotFound | PreconditionFailed | Conflict | Unavailable | Denied

/** Absent: an unconditional write. `ifAbsent`: If-None-Match `*`. `ifMatch`: the ETag as this service returned it. */
export type Condition = { readonly ifAbsent: true } | { readonly ifMatch: string }

/** An object without its body. `size` in bytes. */
export interface ObjectInfo {
  readonly key: string
  readonly size: number
  /** Without quotes. */
  readonly etag: string
  /** Milliseconds since 1970 by the store's clock. */
  readonly lastModified: number
}

/** An object, whole or the range asked for. `etag` without quotes. */
export interface ObjectBody {
  readonly body: Uint8Array
  readonly etag: string
}

/** Some of the objects, in the order of their keys' bytes. */
export interface ListPage {
  readonly objects: ReadonlyArray<ObjectInfo>
  /** With a delimiter: the rolled-up prefixes, each ending in the delimiter. */
  readonly prefixes: ReadonlyArray<string>
  /** Pass as `after` token to get the next page; undefined on the last page. */
  readonly next: string | undefined
}

/** A body to be sent whose size is known beforehand and which can be read again on a retry. */
export interface StreamedBody {
  readonly size: number
  /** From the start, as often as it is called; each run gives the same `size` bytes. */
  readonly open: () => Stream.Stream<Uint8Array, Error>
}

/** The port to a bucket, for stores of one's own. Conditional writes must be atomic: who is Primary hangs on them. */
export class ObjectStore extends Context.Service<
  ObjectStore,
  {
    /** `s3`, `directory`, `memory`, `gcs`. */
    readonly provider: string
    /** The whole object in memory. `range` is inclusive, as in HTTP. */
    readonly get: (
      key: string,
      options?: { readonly range?: { readonly start: number; readonly end: number } }
    ) => Effect.Effect<ObjectBody, ReadError>
    /** The object as a stream of pieces, to be run once: it holds a connection or a file until then. */
    readonly getStream: (
      key: string
    ) => Effect.Effect<
      { readonly body: Stream.Stream<Uint8Array, ReadError>; readonly etag: string; readonly size: number },
      ReadError
    >
    /** The facts alone. */
    readonly head: (key: string) => Effect.Effect<ObjectInfo, ReadError>
    /** One attempt: a conditional write is never retried below this port, since only the caller knows what a 412 means then. */
    readonly put: (
      key: string,
      body: Uint8Array,
      condition?: Condition
    ) => Effect.Effect<{ readonly etag: string }, WriteError>
    /** As `put`, for a body that is not held in memory. */
    readonly putStream: (
      key: string,
      body: StreamedBody,
      condition?: Condition
    ) => Effect.Effect<{ readonly etag: string }, WriteError>
    /** Inside of the bucket, without a condition; the body does not pass through here. */
    readonly copy: (from: string, to: string) => Effect.Effect<{ readonly etag: string }, ObjectStoreError>
    /** Deleting what is not there succeeds. */
    readonly delete: (key: string) => Effect.Effect<void, Unavailable | Denied>
    /** At most `bulkDeleteMax` keys. Returns the keys that could not be deleted, with the reason. */
    readonly deleteMany: (
      keys: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyArray<{ readonly key: string; readonly reason: string }>, Unavailable | Denied>
    /** 0: the store has no bulk delete (`deleteMany` then deletes one by one). S3: 1000. */
    readonly bulkDeleteMax: number
    /** One page in ascending byte order of keys, at most 1000 keys. */
    readonly list: (options: {
      readonly prefix: string
      readonly after?: string
      readonly delimiter?: string
      readonly limit?: number
    }) => Effect.Effect<ListPage, Unavailable | Denied>
    /**
     * A lock that dies with this process, where the store has one (a directory on a local disk). True: taken, and no
     * other process on this store holds it, until the scope closes. Undefined where there is no such thing (S3, GCS).
     */
    readonly exclusive: Effect.Effect<boolean, Unavailable | Denied, Scope.Scope> | undefined
  }
>()("netsy/services/ObjectStore") {}
