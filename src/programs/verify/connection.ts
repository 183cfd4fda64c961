/** What `netsy verify` asks a node through the client API. */
import { ChannelCredentials, Client, type ClientDuplexStream, type ServiceError } from "@grpc/grpc-js"
import { Effect, Schema, type Scope } from "effect"
import { HashKVRequest, HashKVResponse, StatusRequest, StatusResponse } from "../../core/wire/codec/maintenance.ts"
import { readRangeResponse, writeRangeRequest } from "../../core/wire/codec/kv.ts"
import { decodeWatchResponse, encodeWatchRequest } from "../../core/wire/codec/watch.ts"
import { EventType, type WatchResponse } from "../../core/wire/messages.ts"
import { Reader, Writer } from "../../core/wire/protobuf.ts"
import { Contents } from "../../core/verify/Replay.ts"
import { Revisions } from "../../core/verify/Revisions.ts"

const callTimeout = "15 seconds"
/** HashKV and pages of a big store take their time. */
const longCallTimeout = "5 minutes"
/** A watch that tells nothing for so long will not tell the rest. */
const stallMillis = 60_000
const pageKeys = 256

export class NodeUnanswered extends Schema.TaggedError<NodeUnanswered>()("NodeUnanswered", {
  endpoint: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.endpoint}: ${this.reason}`
  }
}

export interface ClientTls {
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
}

export interface NodeConnection {
  readonly status: Effect.Effect<StatusResponse, NodeUnanswered>
  /** At the revision; 0: the newest. */
  readonly hashKv: (revision: number) => Effect.Effect<HashKVResponse, NodeUnanswered>
  /** Everything that a watch tells of [from, to], and what was wrong with the way it told it. */
  readonly changes: (from: number, to: number) => Effect.Effect<Told, NodeUnanswered>
  /** What a serializable read of everything at the revision shows. */
  readonly contents: (revision: number) => Effect.Effect<Contents, NodeUnanswered>
}

export interface Told {
  readonly revisions: Revisions
  readonly problem: string | undefined
}

const raw = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
const same = (bytes: Buffer): Buffer => bytes

const all = Uint8Array.of(0)

const everythingFrom = (startRevision: number) => ({
  ...{ key: all, rangeEnd: all, startRevision, progressNotify: false, filters: [] },
  ...{ prevKv: false, watchId: 0n, fragment: false }
})

const everythingAt = (revision: number) => ({
  ...{ key: all, rangeEnd: all, limit: pageKeys, revision, sortOrder: 0, sortTarget: 0, serializable: true },
  ...{ keysOnly: false, countOnly: false, minModRevision: 0, maxModRevision: 0 },
  ...{ minCreateRevision: 0, maxCreateRevision: 0 }
})

export const connect = (
  endpoint: string,
  tls: ClientTls | undefined
): Effect.Effect<NodeConnection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Client(
            endpoint,
            tls === undefined
              ? ChannelCredentials.createInsecure()
              : ChannelCredentials.createSsl(tls.ca, tls.key, tls.cert),
            { "grpc.max_receive_message_length": -1, "grpc.use_local_subchannel_pool": 1 }
          )
      ),
      (one) => Effect.sync(() => one.close())
    )
    const failed = (reason: string): NodeUnanswered => new NodeUnanswered({ endpoint, reason })

    const unary = <A>(
      path: string,
      request: Uint8Array,
      decode: (bytes: Uint8Array) => A,
      timeout: typeof callTimeout | typeof longCallTimeout = callTimeout
    ) =>
      Effect.callback<A, NodeUnanswered>((resume) => {
        const done = (error: ServiceError | null, answer?: Buffer): void =>
          resume(
            error === null && answer !== undefined
              ? Effect.succeed(decode(answer))
              : Effect.fail(failed(error?.details ?? "no answer"))
          )
        const call = client.makeUnaryRequest(path, raw, same, request, done)
        return Effect.sync(() => call.cancel())
      }).pipe(
        Effect.timeout(timeout),
        Effect.catchTag("TimeoutError", () => Effect.fail(failed(`no answer within ${timeout}`)))
      )

    const changes = (from: number, to: number): Effect.Effect<Told, NodeUnanswered> =>
      Effect.suspend(() => {
        const revisions = new Revisions()
        let problem: string | undefined
        let before = from - 1
        const take = ({ events }: WatchResponse): void => {
          let previous = 0
          for (const { kv, type } of events) {
            if (kv.modRevision > to) continue
            // All changes of a revision are in one response.
            if (kv.modRevision !== previous && kv.modRevision <= before)
              problem ??= `revision ${kv.modRevision} came after ${before}`
            previous = kv.modRevision
            before = Math.max(before, kv.modRevision)
            revisions.add(kv.modRevision, { ...kv, deleted: type === EventType.Delete })
          }
        }
        const told = Effect.callback<Told, NodeUnanswered>((resume) => {
          const call: ClientDuplexStream<Uint8Array, Buffer> = client.makeBidiStreamRequest(
            "/etcdserverpb.Watch/Watch",
            raw,
            same
          )
          call.on("error", (error: ServiceError) => resume(Effect.fail(failed(error.details))))
          call.on("end", () => resume(Effect.fail(failed("the watch ended"))))
          call.on("data", (bytes: Buffer) => {
            const response = decodeWatchResponse(bytes)
            if (response.canceled) {
              const why =
                response.cancelReason === "" ? `compacted at ${response.compactRevision}` : response.cancelReason
              return resume(Effect.fail(failed(`the watch was cancelled: ${why}`)))
            }
            take(response)
            if (before < to) return
            resume(Effect.succeed({ revisions, problem }))
            call.cancel()
          })
          call.write(encodeWatchRequest({ kind: "create", create: everythingFrom(from) }))
          return Effect.sync(() => call.cancel())
        })
        const stalled = Effect.gen(function* () {
          for (;;) {
            const seen = before
            yield* Effect.sleep(stallMillis)
            if (before === seen)
              return { revisions, problem: `nothing came for ${stallMillis / 1000} s after ${before}, up to ${to}` }
          }
        })
        return Effect.raceFirst(told, stalled)
      })

    const contents = (revision: number) =>
      Effect.gen(function* () {
        const found = new Contents()
        let key = Uint8Array.of(0)
        for (;;) {
          const writer = new Writer()
          writeRangeRequest(writer, { ...everythingAt(revision), key })
          const page = yield* unary(
            "/etcdserverpb.KV/Range",
            writer.finish(),
            (bytes) => readRangeResponse(new Reader(bytes)),
            longCallTimeout
          )
          for (const kv of page.kvs) found.add({ ...kv, deleted: false })
          const last = page.kvs.at(-1)
          if (!page.more || last === undefined) return found
          key = new Uint8Array(last.key.length + 1)
          key.set(last.key)
        }
      })

    return {
      status: unary("/etcdserverpb.Maintenance/Status", StatusRequest.encode({}), (bytes) =>
        StatusResponse.decode(bytes)
      ),
      hashKv: (revision) =>
        unary(
          "/etcdserverpb.Maintenance/HashKV",
          HashKVRequest.encode({ revision }),
          (bytes) => HashKVResponse.decode(bytes),
          longCallTimeout
        ),
      changes,
      contents
    }
  })
