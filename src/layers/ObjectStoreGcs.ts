/**
 * `ObjectStore` on Google Cloud Storage: an object's generation is its ETag. Conditional writes are sent once: only the
 * caller knows what a 412 after a lost answer means. Everything else is tried up to three times. CRC-32C goes with every
 * write, which GCS checks before it stores anything, and is checked on every read of a whole object.
 */
import { Clock, Effect, Layer, Schedule, Stream } from "effect"
import { crc32c } from "../core/mvcc/crc32c.ts"
import {
  type Condition,
  Denied,
  type ListPage,
  type ObjectBody,
  type ObjectInfo,
  ObjectStore,
  type ObjectStoreError,
  PreconditionFailed,
  type StreamedBody,
  Unavailable,
  type WriteError
} from "../services/ObjectStore.ts"
import { Settings, type StorageSettings } from "../services/Settings.ts"
import { asPlain, asRead, asWrite, calls, plain, type RequestKind } from "./objectstore/calls.ts"
import { GcsClient, type GcsOverrides, type ObjectMetadata } from "./objectstore/gcsClient.ts"
import { classify } from "./objectstore/gcsErrors.ts"
import { Pacing, writeIntervalMillis } from "./objectstore/gcsPacing.ts"
import { type Incoming, readWhole } from "./objectstore/gcsTransport.ts"
import { keyProblem, pageLimit } from "./objectstore/keys.ts"
import { checkedBody } from "./objectstore/streams.ts"

export type { GcsOverrides } from "./objectstore/gcsClient.ts"

/** What one object may hold. */
const putBytesMax = 5 * 2 ** 40
/** A body that comes slower than this is given up. */
const slowestBytesPerMilli = 500
/** Of one attempt, the body of the answer included. */
const attemptTimeoutMillis = 45_000
const deletesAtOnce = 16

const call = calls(classify)
const transferMillis = (bytes: number): number => Math.ceil(bytes / slowestBytesPerMilli)

const passing = (error: ObjectStoreError): boolean => error._tag === "Unavailable" || error._tag === "Conflict"
const backoff = Schedule.jittered(Schedule.exponential("200 millis", 3))
const retried = <A, E extends ObjectStoreError>(attempt: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.retry(attempt, { times: 2, schedule: backoff, while: passing })

/** As GCS writes it: 4 bytes, big-endian, in base64. */
const checksumText = (sum: number): string => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(sum >>> 0)
  return bytes.toString("base64")
}

/** Of the stored bytes, where the answer says it; there may be an MD5 beside it. */
const announcedChecksum = ({ headers }: Incoming): string | undefined =>
  /(?:^|[,\s])crc32c=([^,\s]+)/.exec(String(headers["x-goog-hash"] ?? ""))?.[1]

const generationOf = (text: unknown): string => {
  if (typeof text !== "string" || !/^[1-9][0-9]*$/.test(text)) throw new Error("the answer names no generation")
  return text
}

const damaged = (expected: string | undefined, sum: number): string | undefined => {
  const found = checksumText(sum)
  return expected === undefined || expected === found ? undefined : `the body has CRC-32C ${found}, not ${expected}`
}

const make = (client: GcsClient, settings: StorageSettings, pacing: Pacing): ObjectStore["Service"] => {
  const prefix = settings.keyPrefix
  const bare = (name: string | undefined): string => (name ?? prefix).slice(prefix.length)
  const infoOf = (object: ObjectMetadata): ObjectInfo => ({
    key: bare(object.name),
    size: Number(object.size ?? 0),
    etag: generationOf(object.generation),
    lastModified: Date.parse(object.timeCreated ?? "") || 0
  })

  const checked = <A, E>(
    operation: string,
    key: string,
    run: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Denied> => {
    const reason = keyProblem(key)
    return reason === undefined ? Effect.suspend(run) : Effect.fail(new Denied({ operation, key, reason }))
  }

  const attempt = (
    key: string,
    body: AsyncIterable<Uint8Array> | ReadonlyArray<Uint8Array>,
    size: number,
    sum: number,
    condition: Condition | undefined
  ): Effect.Effect<{ readonly etag: string }, WriteError> => {
    const kind: RequestKind = condition !== undefined && "ifMatch" in condition ? "ifMatch" : "write"
    const ifGenerationMatch = condition === undefined ? undefined : "ifMatch" in condition ? condition.ifMatch : "0"
    const timeoutMillis = client.requestTimeoutMillis + transferMillis(size)
    const upload = { name: prefix + key, size, crc32c: checksumText(sum), body, ifGenerationMatch, timeoutMillis }
    return asWrite(
      call(kind, "put", key, timeoutMillis, async (signal) => {
        const { generation } = await client.upload(upload, signal)
        return { etag: generationOf(generation) }
      })
    )
  }

  /** Not a generation: no object has it, and GCS would take `0` for "must not exist". */
  const impossible = (key: string, condition: Condition | undefined): PreconditionFailed | undefined =>
    condition !== undefined && "ifMatch" in condition && !/^[1-9][0-9]{0,18}$/.test(condition.ifMatch)
      ? new PreconditionFailed({ operation: "put", key })
      : undefined

  /** What is checked before the first attempt; then one attempt, or several without a condition. */
  const written = (
    key: string,
    condition: Condition | undefined,
    once: Effect.Effect<{ readonly etag: string }, WriteError>
  ): Effect.Effect<{ readonly etag: string }, WriteError> =>
    checked("put", key, () => {
      const failed = impossible(key, condition)
      if (failed !== undefined) return Effect.fail(failed)
      const paced = Effect.andThen(pacing.turn("put", key), once)
      return condition === undefined ? retried(paced) : paced
    })

  /** The body is read twice, since its checksum is sent before it: damage on the way never becomes an object. */
  const streamOnce = Effect.fnUntraced(function* (key: string, body: StreamedBody, condition: Condition | undefined) {
    let sum = 0
    yield* Stream.runForEach(checkedBody("put", key, body), (piece) =>
      Effect.sync(() => void (sum = crc32c(piece, sum)))
    )
    const pieces = yield* Stream.toAsyncIterableEffect(checkedBody("put", key, body))
    return yield* attempt(key, pieces, body.size, sum, condition)
  })

  const putStream = (key: string, body: StreamedBody, condition?: Condition) => {
    if (body.size <= putBytesMax) return written(key, condition, streamOnce(key, body, condition))
    const reason = `the body has ${body.size} bytes, and an object of GCS at most ${putBytesMax}`
    return Effect.fail(new Denied({ operation: "put", key, reason }))
  }

  const getWhole = (key: string, range: { readonly start: number; readonly end: number } | undefined) => {
    const headers: Record<string, string> = range === undefined ? {} : { range: `bytes=${range.start}-${range.end}` }
    return retried(
      asRead(
        call("read", "get", key, attemptTimeoutMillis, async (signal): Promise<ObjectBody> => {
          const answer = await client.media(prefix + key, headers, signal)
          const body = await readWhole(answer)
          const problem = range === undefined ? damaged(announcedChecksum(answer), crc32c(body, 0)) : undefined
          if (problem !== undefined) throw new Error(problem)
          return { body, etag: generationOf(answer.headers["x-goog-generation"]) }
        })
      )
    )
  }

  const getStream = Effect.fnUntraced(function* (key: string) {
    const { source, size, etag, expected } = yield* retried(
      asRead(
        call("read", "get", key, client.requestTimeoutMillis, async (signal) => {
          const answer = await client.media(prefix + key, {}, signal)
          const { body, headers } = answer
          const announced = Number(headers["content-length"] ?? headers["x-goog-stored-content-length"] ?? NaN)
          try {
            const etag = generationOf(headers["x-goog-generation"])
            if (Number.isNaN(announced)) throw new Error("the answer names no size")
            return { source: body, size: announced, etag, expected: announcedChecksum(answer) }
          } catch (error) {
            body.destroy()
            throw error
          }
        })
      )
    )
    let received = 0
    let sum = 0
    const broken = (error: unknown): Unavailable | Denied => plain(classify("list", "get", key, error))
    const pieces = Stream.fromAsyncIterable(source as AsyncIterable<Uint8Array>, broken).pipe(
      Stream.tap((piece) =>
        Effect.sync(() => {
          received += piece.length
          sum = crc32c(piece, sum)
        })
      )
    )
    const end = Stream.suspend(() => {
      const reason = received === size ? damaged(expected, sum) : `the body ended after ${received} of ${size} bytes`
      return reason === undefined ? Stream.empty : Stream.fail(new Unavailable({ operation: "get", key, reason }))
    })
    const body = Stream.ensuring(
      Stream.concat(pieces, end),
      Effect.sync(() => void source.destroy())
    )
    return { body, etag, size }
  })

  const remove = (operation: string, key: string): Effect.Effect<void, Unavailable | Denied> =>
    checked(operation, key, () => {
      const once = call("read", operation, key, client.requestTimeoutMillis, (signal) =>
        client.delete(prefix + key, signal)
      ).pipe(Effect.catchTag("NotFound", () => Effect.void))
      return asPlain(retried(Effect.andThen(pacing.turn(operation, key), once)))
    })

  /** One by one: a key that may not be deleted is reported, a store that does not answer ends it. */
  const deleteMany = (keys: ReadonlyArray<string>) =>
    Effect.map(
      Effect.forEach(
        keys,
        (key) =>
          Effect.as(remove("deleteMany", key), undefined).pipe(
            Effect.catchTag("Denied", ({ reason }) => Effect.succeed({ key, reason }))
          ),
        { concurrency: deletesAtOnce }
      ),
      (results) => results.filter((result) => result !== undefined)
    )

  return ObjectStore.of({
    provider: "gcs",
    get: (key, options) => checked("get", key, () => getWhole(key, options?.range)),
    getStream: (key) => checked("get", key, () => getStream(key)),
    head: (key) =>
      checked("head", key, () =>
        retried(
          asRead(
            call("read", "head", key, attemptTimeoutMillis, async (signal) =>
              infoOf(await client.metadata(prefix + key, signal))
            )
          )
        )
      ),
    put: (key, body, condition) =>
      written(
        key,
        condition,
        Effect.suspend(() => attempt(key, [body], body.length, crc32c(body, 0), condition))
      ),
    putStream,
    copy: (from, to) =>
      checked("copy", from, () =>
        checked("copy", to, () =>
          retried(
            Effect.andThen(
              pacing.turn("copy", to),
              call("read", "copy", from, attemptTimeoutMillis, async (signal) => {
                const { generation } = await client.copy(prefix + from, prefix + to, signal)
                return { etag: generationOf(generation) }
              })
            )
          )
        )
      ),
    delete: (key) => remove("delete", key),
    deleteMany,
    bulkDeleteMax: 0,
    list: (options) =>
      retried(
        asPlain(
          call("list", "list", options.prefix, attemptTimeoutMillis, async (signal): Promise<ListPage> => {
            const query = {
              prefix: prefix + options.prefix,
              delimiter: options.delimiter,
              maxResults: String(pageLimit(options.limit)),
              pageToken: options.after
            }
            const { items = [], prefixes = [], nextPageToken } = await client.list(query, signal)
            return { objects: items.map(infoOf), prefixes: prefixes.map(bare), next: nextPageToken || undefined }
          })
        )
      ),
    exclusive: undefined
  })
}

/** Settings of the bucket from `Settings`, who we are from Google's application default credentials. */
export const layer = (overrides: GcsOverrides = {}): Layer.Layer<ObjectStore, Denied, Settings> =>
  Layer.effect(
    ObjectStore,
    Effect.gen(function* () {
      const { storage } = yield* Settings
      const clock = yield* Clock.Clock
      const client = yield* Effect.acquireRelease(
        Effect.tryPromise({
          try: () => GcsClient.connect(storage, overrides, process.env),
          catch: (error) =>
            new Denied({
              operation: "open",
              key: `gs://${storage.bucketName}/${storage.keyPrefix}`,
              reason: error instanceof Error ? error.message : String(error)
            })
        }),
        (client) => Effect.sync(() => client.close())
      )
      return make(client, storage, new Pacing(clock, overrides.writeIntervalMillis ?? writeIntervalMillis))
    })
  )
