/** `ObjectStore` in memory, for tests and the simulator: the model of what the real ones do and refuse. */
import { Clock, Effect, Layer, type Scope, Stream } from "effect"
import {
  type Condition,
  Denied,
  NotFound,
  ObjectStore,
  type ObjectBody,
  PreconditionFailed,
  type WriteError
} from "../services/ObjectStore.ts"
import { keyProblem } from "./objectstore/keys.ts"
import { MemoryBucket, type MemoryObject } from "./objectstore/memoryBucket.ts"
import { collectBody } from "./objectstore/streams.ts"

export { MemoryBucket } from "./objectstore/memoryBucket.ts"

const bulkDeleteMax = 1000
const pieceBytes = 64 << 10

/** Which bucket, and how it behaves. */
export interface MemoryOptions {
  /** Shared with other stores; a new one by default. */
  readonly bucket?: MemoryBucket
  /** Has the lock that dies with the process, as a directory has. Default: no, as on S3. */
  readonly exclusive?: boolean
}

const checkKey = (operation: string, key: string): Effect.Effect<void, Denied> => {
  const reason = keyProblem(key)
  return reason === undefined ? Effect.void : Effect.fail(new Denied({ operation, key, reason }))
}

const make = (options: MemoryOptions): ObjectStore["Service"] => {
  const bucket = options.bucket ?? new MemoryBucket()

  const find = (operation: string, key: string): Effect.Effect<MemoryObject, NotFound | Denied> =>
    Effect.flatMap(checkKey(operation, key), () => {
      const object = bucket.get(key)
      return object === undefined ? Effect.fail(new NotFound({ operation, key })) : Effect.succeed(object)
    })

  const get = Effect.fnUntraced(function* (
    key: string,
    getOptions?: { readonly range?: { readonly start: number; readonly end: number } }
  ) {
    const object = yield* find("get", key)
    const range = getOptions?.range
    if (range !== undefined && (range.start >= object.size || range.start > range.end)) {
      return yield* new Denied({ operation: "get", key, reason: "HTTP 416 InvalidRange" })
    }
    const body = range === undefined ? object.body.slice() : object.body.slice(range.start, range.end + 1)
    return { body, etag: object.etag } satisfies ObjectBody
  })

  const put = (
    operation: string,
    key: string,
    body: Uint8Array,
    condition: Condition | undefined
  ): Effect.Effect<{ readonly etag: string }, WriteError> =>
    Effect.flatMap(checkKey(operation, key), () =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const stored = bucket.put(key, body, condition, now)
        return stored === undefined
          ? Effect.fail(new PreconditionFailed({ operation, key }))
          : Effect.succeed({ etag: stored.etag })
      })
    )

  const remove = (key: string): Effect.Effect<void, Denied> =>
    Effect.map(checkKey("delete", key), () => bucket.delete(key))

  const exclusive: Effect.Effect<boolean, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => {
      if (bucket.lockHeld) return false
      return (bucket.lockHeld = true)
    }),
    (taken) =>
      Effect.sync(() => {
        if (taken) bucket.lockHeld = false
      })
  )

  return ObjectStore.of({
    provider: "memory",
    get,
    getStream: (key) =>
      Effect.map(find("get", key), (object) => ({
        body: Stream.fromIterable(
          Array.from({ length: Math.ceil(object.size / pieceBytes) }, (_, piece) =>
            object.body.slice(piece * pieceBytes, (piece + 1) * pieceBytes)
          )
        ),
        etag: object.etag,
        size: object.size
      })),
    head: (key) => Effect.map(find("head", key), ({ size, etag, lastModified }) => ({ key, size, etag, lastModified })),
    put: (key, body, condition) => put("put", key, body, condition),
    putStream: (key, body, condition) =>
      Effect.flatMap(collectBody("put", key, body), (bytes) => put("put", key, bytes, condition)),
    copy: (from, to) => Effect.flatMap(find("copy", from), (object) => put("copy", to, object.body, undefined)),
    delete: remove,
    deleteMany: Effect.fnUntraced(function* (keys: ReadonlyArray<string>) {
      const failed: Array<{ readonly key: string; readonly reason: string }> = []
      for (const key of keys) {
        const reason = keyProblem(key)
        if (reason === undefined) bucket.delete(key)
        else failed.push({ key, reason })
      }
      return failed
    }),
    bulkDeleteMax,
    list: (listOptions) => Effect.sync(() => bucket.list(listOptions)),
    exclusive: options.exclusive === true ? exclusive : undefined
  })
}

/** Needs nothing; never fails by itself. */
export const layer = (options: MemoryOptions = {}): Layer.Layer<ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.sync(() => make(options))
  )
