/**
 * `ObjectStore` on Amazon S3 and everything that speaks its protocol. Conditional writes are sent once: only the caller
 * knows what a 412 after a lost answer means. Everything else has the SDK's retries.
 */
import type { Readable } from "node:stream"
import type { PutObjectCommandInput } from "@aws-sdk/client-s3"
import { Effect, Layer, Schedule, Stream } from "effect"
import { assert } from "../core/assert.ts"
import {
  type Condition,
  Denied,
  type ObjectBody,
  ObjectStore,
  type StreamedBody,
  Unavailable,
  type WriteError
} from "../services/ObjectStore.ts"
import { Settings, type StorageSettings } from "../services/Settings.ts"
import { keyProblem, pageLimit } from "./objectstore/keys.ts"
import { asPlain, asRead, asWrite, calls, plain, type RequestKind } from "./objectstore/calls.ts"
import { quietSource } from "./objectstore/s3Body.ts"
import { connect, type S3Clients, type S3Overrides } from "./objectstore/s3Client.ts"
import { classify } from "./objectstore/s3Errors.ts"
import { checkedBody } from "./objectstore/streams.ts"

export type { S3Overrides } from "./objectstore/s3Client.ts"

const bulkDeleteMax = 1000
/** What one PUT may hold on S3; nothing here uses multipart uploads. */
const putBytesMax = 5 * 2 ** 30
/** A body that comes slower than this is given up. */
const slowestBytesPerMilli = 500
/** All attempts of a request together, the body of the answer included. */
const totalTimeoutMillis = 45_000
const bodyAttemptsMax = 3

const call = calls(classify)
const transferMillis = (bytes: number): number => Math.ceil(bytes / slowestBytesPerMilli)
const unquote = (etag: string | undefined): string => (etag ?? "").replace(/^W\//, "").replaceAll('"', "")

const make = (clients: S3Clients, settings: StorageSettings): ObjectStore["Service"] => {
  const { sdk, retrying, once, requestTimeoutMillis } = clients
  const bucket = settings.bucketName
  const prefix = settings.keyPrefix
  const bare = (key: string): string => key.slice(prefix.length)
  const writeSettings: Pick<PutObjectCommandInput, "StorageClass" | "ServerSideEncryption" | "SSEKMSKeyId"> = {
    StorageClass: settings.class as NonNullable<PutObjectCommandInput["StorageClass"]>,
    ...(settings.encryption === "customer-managed"
      ? { ServerSideEncryption: "aws:kms" as const, SSEKMSKeyId: settings.kmsKeyId }
      : { ServerSideEncryption: "AES256" as const })
  }

  const checked = <A, E>(
    operation: string,
    key: string,
    run: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Denied> => {
    const reason = keyProblem(key)
    return reason === undefined ? Effect.suspend(run) : Effect.fail(new Denied({ operation, key, reason }))
  }

  const conditionHeaders = (
    condition: Condition | undefined
  ): Pick<PutObjectCommandInput, "IfNoneMatch" | "IfMatch"> => {
    if (condition === undefined) return {}
    return "ifAbsent" in condition ? { IfNoneMatch: "*" } : { IfMatch: `"${condition.ifMatch}"` }
  }
  const kindOf = (condition: Condition | undefined): RequestKind =>
    condition !== undefined && "ifMatch" in condition ? "ifMatch" : "write"

  const put = (
    key: string,
    body: Uint8Array,
    condition?: Condition
  ): Effect.Effect<{ readonly etag: string }, WriteError> =>
    checked("put", key, () => {
      const client = condition === undefined ? retrying : once
      const requestTimeout = requestTimeoutMillis + transferMillis(body.length)
      const command = new sdk.PutObjectCommand({
        Bucket: bucket,
        Key: prefix + key,
        Body: body,
        ContentLength: body.length,
        ...writeSettings,
        ...conditionHeaders(condition)
      })
      const timeout = condition === undefined ? totalTimeoutMillis + transferMillis(body.length) : requestTimeout
      return asWrite(
        call(kindOf(condition), "put", key, timeout, async (abortSignal) => {
          const answer = await client.send(command, { abortSignal, requestTimeout })
          return { etag: unquote(answer.ETag) }
        })
      )
    })

  const streamOnce = Effect.fnUntraced(function* (key: string, body: StreamedBody, condition: Condition | undefined) {
    const pieces = yield* Stream.toAsyncIterableEffect(checkedBody("put", key, body))
    const requestTimeout = requestTimeoutMillis + transferMillis(body.size)
    return yield* asWrite(
      call(kindOf(condition), "put", key, requestTimeout, async (signal) => {
        const source = quietSource(pieces)
        const command = new sdk.PutObjectCommand({
          Bucket: bucket,
          Key: prefix + key,
          Body: source.body,
          ContentLength: body.size,
          ...writeSettings,
          ...conditionHeaders(condition)
        })
        try {
          const abortSignal = AbortSignal.any([signal, source.broken])
          const answer = await once.send(command, { abortSignal, requestTimeout })
          return { etag: unquote(answer.ETag) }
        } catch (error) {
          throw source.failure() ?? error
        } finally {
          source.close()
        }
      })
    )
  })

  const putStream = (
    key: string,
    body: StreamedBody,
    condition?: Condition
  ): Effect.Effect<{ readonly etag: string }, WriteError> =>
    checked("put", key, () => {
      if (body.size > putBytesMax) {
        const reason = `the body has ${body.size} bytes, and one S3 PUT takes at most ${putBytesMax}`
        return Effect.fail(new Denied({ operation: "put", key, reason }))
      }
      const attempt = streamOnce(key, body, condition)
      if (condition !== undefined) return attempt
      // The SDK cannot repeat a stream, we can: the body is opened anew.
      const again = (error: WriteError): boolean => error._tag === "Unavailable" || error._tag === "Conflict"
      return Effect.retry(attempt, { times: 2, schedule: Schedule.exponential("200 millis"), while: again })
    })

  const getObject = (key: string, range: { readonly start: number; readonly end: number } | undefined) =>
    new sdk.GetObjectCommand({
      Bucket: bucket,
      Key: prefix + key,
      ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end}` })
    })

  const getStream = Effect.fnUntraced(function* (key: string) {
    const answer = yield* asRead(
      call("read", "get", key, totalTimeoutMillis, (abortSignal) =>
        retrying.send(getObject(key, undefined), { abortSignal })
      )
    )
    const source = answer.Body as Readable
    const size = answer.ContentLength ?? 0
    const broken = (error: unknown): Unavailable | Denied => plain(classify("list", "get", key, error))
    let received = 0
    const pieces = Stream.fromAsyncIterable(source as AsyncIterable<Uint8Array>, broken).pipe(
      Stream.tap((piece) => Effect.sync(() => void (received += piece.length)))
    )
    const end = Stream.suspend(() => {
      const reason = `the body ended after ${received} of ${size} bytes`
      return received === size ? Stream.empty : Stream.fail(new Unavailable({ operation: "get", key, reason }))
    })
    const body = Stream.ensuring(
      Stream.concat(pieces, end),
      Effect.sync(() => void source.destroy())
    )
    return { body, etag: unquote(answer.ETag), size }
  })

  const getWhole = async (
    key: string,
    range: { readonly start: number; readonly end: number } | undefined,
    abortSignal: AbortSignal
  ): Promise<ObjectBody> => {
    for (let attempt = 1; ; attempt++) {
      const answer = await retrying.send(getObject(key, range), { abortSignal })
      try {
        // Retries of the SDK end with the head: a body that breaks off is asked for again here.
        const body = await answer.Body!.transformToByteArray()
        const expected = answer.ContentLength ?? body.length
        if (body.length !== expected) throw new Error(`the body has ${body.length} of ${expected} bytes`)
        return { body, etag: unquote(answer.ETag) }
      } catch (error) {
        if (attempt === bodyAttemptsMax || abortSignal.aborted) throw error
      }
    }
  }

  const deleteMany = Effect.fnUntraced(function* (keys: ReadonlyArray<string>) {
    assert(keys.length <= bulkDeleteMax, `deleteMany of ${keys.length} keys, at most ${bulkDeleteMax}`)
    const failed: Array<{ readonly key: string; readonly reason: string }> = []
    const good = keys.filter((key) => {
      const reason = keyProblem(key)
      if (reason !== undefined) failed.push({ key, reason })
      return reason === undefined
    })
    if (good.length === 0) return failed
    const command = new sdk.DeleteObjectsCommand({
      Bucket: bucket,
      Delete: { Objects: good.map((key) => ({ Key: prefix + key })), Quiet: true }
    })
    const answer = yield* asPlain(
      call("list", "deleteMany", good[0]!, totalTimeoutMillis, (abortSignal) => retrying.send(command, { abortSignal }))
    )
    for (const error of answer.Errors ?? []) {
      failed.push({ key: bare(error.Key ?? prefix), reason: `${error.Code ?? "Error"}: ${error.Message ?? ""}` })
    }
    return failed
  })

  return ObjectStore.of({
    provider: "s3",
    get: (key, options) =>
      checked("get", key, () =>
        asRead(
          call("read", "get", key, totalTimeoutMillis, (abortSignal) => getWhole(key, options?.range, abortSignal))
        )
      ),
    getStream: (key) => checked("get", key, () => getStream(key)),
    head: (key) =>
      checked("head", key, () =>
        asRead(
          call("read", "head", key, totalTimeoutMillis, async (abortSignal) => {
            const command = new sdk.HeadObjectCommand({ Bucket: bucket, Key: prefix + key })
            const answer = await retrying.send(command, { abortSignal })
            const lastModified = answer.LastModified?.getTime() ?? 0
            return { key, size: answer.ContentLength ?? 0, etag: unquote(answer.ETag), lastModified }
          })
        )
      ),
    put,
    putStream,
    copy: (from, to) =>
      checked("copy", from, () =>
        checked("copy", to, () =>
          call("read", "copy", from, totalTimeoutMillis, async (abortSignal) => {
            const command = new sdk.CopyObjectCommand({
              Bucket: bucket,
              Key: prefix + to,
              CopySource: encodeURIComponent(`${bucket}/${prefix}${from}`).replaceAll("%2F", "/"),
              ...writeSettings
            })
            const answer = await retrying.send(command, { abortSignal })
            return { etag: unquote(answer.CopyObjectResult?.ETag) }
          })
        )
      ),
    delete: (key) =>
      checked("delete", key, () =>
        asPlain(
          call("list", "delete", key, totalTimeoutMillis, async (abortSignal) => {
            await retrying.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: prefix + key }), { abortSignal })
          })
        )
      ),
    deleteMany,
    bulkDeleteMax,
    list: (options) =>
      asPlain(
        call("list", "list", options.prefix, totalTimeoutMillis, async (abortSignal) => {
          const command = new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix + options.prefix,
            MaxKeys: pageLimit(options.limit),
            ...(options.delimiter === undefined ? {} : { Delimiter: options.delimiter }),
            ...(options.after === undefined ? {} : { ContinuationToken: options.after })
          })
          const answer = await retrying.send(command, { abortSignal })
          return {
            objects: (answer.Contents ?? []).map((object) => ({
              key: bare(object.Key ?? prefix),
              size: object.Size ?? 0,
              etag: unquote(object.ETag),
              lastModified: object.LastModified?.getTime() ?? 0
            })),
            prefixes: (answer.CommonPrefixes ?? []).map((common) => bare(common.Prefix ?? prefix)),
            next: answer.IsTruncated === true ? answer.NextContinuationToken : undefined
          }
        })
      ),
    exclusive: undefined
  })
}

/** Settings of the bucket from `Settings`, everything about the account from the AWS environment. */
export const layer = (overrides: S3Overrides = {}): Layer.Layer<ObjectStore, Denied, Settings> =>
  Layer.effect(
    ObjectStore,
    Effect.gen(function* () {
      const { storage } = yield* Settings
      const clients = yield* Effect.acquireRelease(
        Effect.tryPromise({
          try: () => connect(overrides, process.env),
          catch: (error) =>
            new Denied({
              operation: "open",
              key: `s3://${storage.bucketName}/${storage.keyPrefix}`,
              reason: error instanceof Error ? error.message : String(error)
            })
        }),
        ({ retrying, once }) =>
          Effect.sync(() => {
            retrying.destroy()
            once.destroy()
          })
      )
      return make(clients, storage)
    })
  )
