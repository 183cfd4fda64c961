/** What `netsy verify` asks a node through the client API. */
import { ChannelCredentials, Client, type ClientDuplexStream, type ServiceError } from "@grpc/grpc-js"
import { Effect, Schema, type Scope } from "effect"
import { HashKVRequest, HashKVResponse, StatusRequest, StatusResponse } from "../../core/wire/codec/maintenance.ts"
import { decodeWatchResponse, encodeWatchRequest } from "../../core/wire/codec/watch.ts"
import { EventType } from "../../core/wire/messages.ts"
import { Revisions } from "../../core/verify/Revisions.ts"

const callTimeout = "15 seconds"
const watchTimeout = "10 minutes"

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
  readonly changes: (
    from: number,
    to: number
  ) => Effect.Effect<{ readonly revisions: Revisions; readonly problem: string | undefined }, NodeUnanswered>
}

const raw = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
const same = (bytes: Buffer): Buffer => bytes

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

    const unary = <A>(path: string, request: Uint8Array, decode: (bytes: Uint8Array) => A) =>
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
        Effect.timeout(callTimeout),
        Effect.catchTag("TimeoutError", () => Effect.fail(failed(`no answer within ${callTimeout}`)))
      )

    const changes = (from: number, to: number) =>
      Effect.callback<{ readonly revisions: Revisions; readonly problem: string | undefined }, NodeUnanswered>(
        (resume) => {
          const revisions = new Revisions()
          let problem: string | undefined
          let before = from - 1
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
            let previous = 0
            for (const { kv, type } of response.events) {
              if (kv.modRevision > to) continue
              // All changes of a revision are in one response.
              if (kv.modRevision !== previous && kv.modRevision <= before)
                problem ??= `revision ${kv.modRevision} came after ${before}`
              previous = kv.modRevision
              before = Math.max(before, kv.modRevision)
              revisions.add(kv.modRevision, {
                key: kv.key,
                deleted: type === EventType.Delete,
                value: kv.value,
                createRevision: kv.createRevision,
                version: kv.version,
                lease: kv.lease
              })
            }
            if (before < to) return
            resume(Effect.succeed({ revisions, problem }))
            call.cancel()
          })
          const all = Uint8Array.of(0)
          const create = {
            key: all,
            rangeEnd: all,
            startRevision: from,
            progressNotify: false,
            filters: [],
            prevKv: false,
            watchId: 0n,
            fragment: false
          }
          call.write(encodeWatchRequest({ kind: "create", create }))
          return Effect.sync(() => call.cancel())
        }
      ).pipe(
        Effect.timeout(watchTimeout),
        Effect.catchTag("TimeoutError", () => Effect.fail(failed(`the watch did not come to revision ${to}`)))
      )

    return {
      status: unary("/etcdserverpb.Maintenance/Status", StatusRequest.encode({}), (bytes) =>
        StatusResponse.decode(bytes)
      ),
      hashKv: (revision) =>
        unary("/etcdserverpb.Maintenance/HashKV", HashKVRequest.encode({ revision }), (bytes) =>
          HashKVResponse.decode(bytes)
        ),
      changes
    }
  })
