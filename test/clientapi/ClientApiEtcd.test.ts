/** The API without a transport: what each method answers, and how it refuses. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import {
  MemberAddRequest,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberRemoveRequest
} from "../../src/core/wire/codec/cluster.ts"
import { decodeHeaderResponse } from "../../src/core/wire/codec/common.ts"
import { HealthCheckRequest, HealthCheckResponse } from "../../src/core/wire/codec/health.ts"
import {
  decodePutResponse,
  decodeRangeResponse,
  encodeCompactionRequest,
  encodePutRequest,
  encodeRangeRequest
} from "../../src/core/wire/codec/kv.ts"
import {
  AlarmRequest,
  AlarmResponse,
  DowngradeRequest,
  MoveLeaderRequest,
  StatusResponse
} from "../../src/core/wire/codec/maintenance.ts"
import { decodeWatchResponse, encodeWatchRequest } from "../../src/core/wire/codec/watch.ts"
import { Code, type EtcdError, errors } from "../../src/core/wire/errors.ts"
import type { WatchCreateRequest } from "../../src/core/wire/messages.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import { type CallContext, ClientApi, type StreamIn } from "../../src/services/ClientApi.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { rpcServices } from "../wire/reference.ts"
import { ground, hubProbe, key, putOf, rangeOf, settings } from "./fakes.ts"

const plain: CallContext = { identity: undefined, commonName: undefined, metadata: () => undefined }
const wantsLeader: CallContext = {
  identity: undefined,
  commonName: undefined,
  metadata: (name) => (name === "hasleader" ? "true" : undefined)
}

const call = (method: string, request: Uint8Array, context = plain): Effect.Effect<Uint8Array, EtcdError, ClientApi> =>
  Effect.gen(function* () {
    const api = yield* ClientApi
    return yield* Effect.callback<Uint8Array, EtcdError>((resume) =>
      api.unary(method, request, context, {
        succeed: (response) => resume(Effect.succeed(response)),
        fail: (error) => resume(Effect.fail(error))
      })
    )
  })

interface Recorded {
  readonly messages: Array<Uint8Array>
  readonly ends: Array<EtcdError | undefined>
  readonly stream: StreamIn
}

const openStream = (method: string, context = plain): Effect.Effect<Recorded, never, ClientApi> =>
  Effect.gen(function* () {
    const messages: Array<Uint8Array> = []
    const ends: Array<EtcdError | undefined> = []
    const stream = (yield* ClientApi).stream(method, context, {
      send: (message) => {
        messages.push(message)
        return true
      },
      end: (error) => {
        ends.push(error)
      }
    })
    return { messages, ends, stream }
  })

const create: WatchCreateRequest = {
  key: key("a"),
  rangeEnd: new Uint8Array(0),
  startRevision: 0,
  progressNotify: false,
  filters: [],
  prevKv: false,
  watchId: 9n,
  fragment: false
}

const world = (options?: Parameters<typeof ground>[0]) => ClientApiEtcd.layer.pipe(Layer.provideMerge(ground(options)))

const kinds = { unary: [false, false], serverStream: [false, true], bidi: [true, true] } as const

describe("ClientApiEtcd", () => {
  it.effect("knows every rpc of the proto files with its kind", () =>
    Effect.gen(function* () {
      const { methods } = yield* ClientApi
      const inProto = new Map(
        rpcServices().flatMap((service) =>
          service.methodsArray.map((rpc) => [
            `/${service.fullName.slice(1)}/${rpc.name}`,
            [rpc.requestStream ?? false, rpc.responseStream ?? false] as const
          ])
        )
      )
      assert.sameMembers([...methods.keys()], [...inProto.keys()])
      for (const [method, kind] of methods) assert.deepStrictEqual([...inProto.get(method)!], [...kinds[kind]], method)
    }).pipe(Effect.provide(world()))
  )

  it.live("puts and ranges, with the node's header", () =>
    Effect.gen(function* () {
      const put = decodePutResponse(yield* call("/etcdserverpb.KV/Put", encodePutRequest(putOf("a", key("1")))))
      const status = yield* NodeStatus
      assert.deepStrictEqual(put.header, status.header(2))
      const range = decodeRangeResponse(yield* call("/etcdserverpb.KV/Range", encodeRangeRequest(rangeOf("a"))))
      assert.deepStrictEqual(range.kvs, [
        { key: key("a"), createRevision: 2, modRevision: 2, version: 1, value: key("1"), lease: 0n }
      ])
      assert.strictEqual(range.count, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("passes on the store's errors", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.flip(call("/etcdserverpb.KV/Range", new Uint8Array(0))), errors.emptyKey)
      const compact = call("/etcdserverpb.KV/Compact", encodeCompactionRequest({ revision: 99, physical: false }))
      assert.deepStrictEqual(yield* Effect.flip(compact), errors.futureRevision)
    }).pipe(Effect.provide(world()))
  )

  it.effect("Compact answers with a header", () =>
    Effect.gen(function* () {
      const request = encodeCompactionRequest({ revision: 1, physical: true })
      const { header } = decodeHeaderResponse(yield* call("/etcdserverpb.KV/Compact", request))
      assert.strictEqual(header?.revision, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("T10: a write above the limit is too large, a read is not", () =>
    Effect.gen(function* () {
      const limit = settings.limits.maxRequestBytes
      const big = new Uint8Array(limit)
      for (const method of ["Put", "DeleteRange", "Txn", "Compact"]) {
        const error = yield* Effect.flip(call(`/etcdserverpb.KV/${method}`, encodePutRequest(putOf("a", big))))
        assert.deepStrictEqual(error, errors.requestTooLarge, method)
      }
      yield* call("/etcdserverpb.KV/Range", encodeRangeRequest({ ...rangeOf("a"), key: new Uint8Array(limit + 1) }))
    }).pipe(Effect.provide(world()))
  )

  it.effect("a malformed body is refused with message, place and reason", () =>
    Effect.gen(function* () {
      const bodies: ReadonlyArray<readonly [string, string]> = [
        ["/etcdserverpb.KV/Range", "RangeRequest"],
        ["/etcdserverpb.KV/Put", "PutRequest"],
        ["/etcdserverpb.KV/Txn", "TxnRequest"],
        ["/etcdserverpb.Cluster/MemberList", "MemberListRequest"],
        ["/etcdserverpb.Maintenance/Status", "StatusRequest"],
        ["/grpc.health.v1.Health/Check", "HealthCheckRequest"]
      ]
      for (const [method, message] of bodies) {
        const error = yield* Effect.flip(call(method, Uint8Array.of(250, 1, 200)))
        assert.strictEqual(error.code, Code.InvalidArgument)
        assert.strictEqual(error.message, `netsy: malformed ${message} at byte 2: ends in the middle of a number`)
      }
    }).pipe(Effect.provide(world()))
  )

  it.effect("a method that nobody knows is Unimplemented and named", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(call("/etcdserverpb.KV/Frobnicate", new Uint8Array(0)))
      assert.strictEqual(unknown.code, Code.Unimplemented)
      assert.strictEqual(unknown.message, "netsy: unknown method /etcdserverpb.KV/Frobnicate")
    }).pipe(Effect.provide(world()))
  )

  it.live("H7: MemberList has revision 0, and waits for a read barrier only when asked to", () => {
    const watched = { barriers: 0 }
    return Effect.gen(function* () {
      const list = (linearizable: boolean) =>
        call("/etcdserverpb.Cluster/MemberList", MemberListRequest.encode({ linearizable }))
      const { header, members } = MemberListResponse.decode(yield* list(false))
      assert.strictEqual(header?.revision, 0)
      assert.strictEqual(header?.memberId, members[0]?.id)
      assert.strictEqual(watched.barriers, 0)
      yield* list(true)
      assert.strictEqual(watched.barriers, 1)
    }).pipe(Effect.provide(world({ watched })))
  })

  it.live("Status shows version, sizes, leader and positions", () =>
    Effect.gen(function* () {
      const status = StatusResponse.decode(yield* call("/etcdserverpb.Maintenance/Status", new Uint8Array(0)))
      assert.deepInclude(status, {
        version: "3.7.1",
        storageVersion: "3.7.0",
        dbSize: 40960,
        dbSizeInUse: 20480,
        leader: 5n,
        raftIndex: 12,
        raftAppliedIndex: 11,
        raftTerm: 3,
        errors: [],
        dbSizeQuota: 2_147_483_648
      })
      assert.strictEqual(status.header?.memberId, 5n)
    }).pipe(Effect.provide(world()))
  )

  it.live("Status lists what is wrong", () =>
    Effect.gen(function* () {
      const node = yield* NodeStatus
      node.setTerm(4, 0n)
      node.setTrouble("bucket", "the bucket does not answer")
      const status = StatusResponse.decode(yield* call("/etcdserverpb.Maintenance/Status", new Uint8Array(0)))
      assert.deepStrictEqual(status.errors, [
        "etcdserver: no leader",
        "health state: degraded",
        "the bucket does not answer"
      ])
    }).pipe(Effect.provide(world()))
  )

  it.effect("Alarm lists, activates and deactivates; an action that nobody knows does nothing", () =>
    Effect.gen(function* () {
      const alarm = (action: number) =>
        Effect.map(
          call("/etcdserverpb.Maintenance/Alarm", AlarmRequest.encode({ action, memberId: 5n, alarm: 1 })),
          (bytes) => AlarmResponse.decode(bytes).alarms
        )
      assert.deepStrictEqual(yield* alarm(0), [])
      assert.deepStrictEqual(yield* alarm(1), [{ memberId: 5n, alarm: 1 }])
      assert.deepStrictEqual(yield* alarm(2), [])
      assert.deepStrictEqual(yield* alarm(7), [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("membership and leadership are not changed by hand: the errors are etcd's, or say how it works here", () =>
    Effect.gen(function* () {
      const refusal = (method: string, request: Uint8Array) =>
        Effect.map(Effect.flip(call(method, request)), ({ code, message }) => [code, message] as const)
      const cluster = "/etcdserverpb.Cluster/"
      const bad = yield* refusal(`${cluster}MemberAdd`, MemberAddRequest.encode({ peerUrls: ["x"], isLearner: false }))
      assert.deepStrictEqual(bad, [Code.InvalidArgument, "etcdserver: given member URLs are invalid"])
      const peerUrls = ["http://10.0.0.9:2380"]
      const add = yield* refusal(`${cluster}MemberAdd`, MemberAddRequest.encode({ peerUrls, isLearner: false }))
      assert.strictEqual(add[0], Code.FailedPrecondition)
      assert.match(add[1], /a node joins when it is started with the cluster's storage/)
      const gone = yield* refusal(`${cluster}MemberRemove`, MemberRemoveRequest.encode({ id: 77n }))
      assert.deepStrictEqual(gone, [Code.NotFound, "etcdserver: member not found"])
      const promote = yield* refusal(`${cluster}MemberPromote`, MemberPromoteRequest.encode({ id: 5n }))
      assert.deepStrictEqual(promote, [Code.FailedPrecondition, "etcdserver: can only promote a learner member"])
      const maintenance = "/etcdserverpb.Maintenance/"
      const move = yield* refusal(`${maintenance}MoveLeader`, MoveLeaderRequest.encode({ targetId: 77n }))
      assert.deepStrictEqual(move, [Code.FailedPrecondition, "etcdserver: bad leader transferee"])
      assert.deepStrictEqual(
        yield* call(`${maintenance}MoveLeader`, MoveLeaderRequest.encode({ targetId: 5n })),
        new Uint8Array(0)
      )
      const downgrade = (action: number, version: string) =>
        refusal(`${maintenance}Downgrade`, DowngradeRequest.encode({ action, version }))
      assert.strictEqual((yield* downgrade(0, "3.6"))[1], "etcdserver: invalid downgrade target version")
      assert.strictEqual((yield* downgrade(1, "x"))[1], "etcdserver: wrong downgrade target version format")
      assert.strictEqual((yield* downgrade(2, ""))[1], "etcdserver: no inflight downgrade job")
    }).pipe(Effect.provide(world()))
  )

  it.effect("health is SERVING for the empty name and NOT_FOUND for others; its watch says SERVICE_UNKNOWN", () =>
    Effect.gen(function* () {
      const check = (service: string) => call("/grpc.health.v1.Health/Check", HealthCheckRequest.encode({ service }))
      assert.deepStrictEqual(HealthCheckResponse.decode(yield* check("")), { status: 1 })
      assert.strictEqual((yield* Effect.flip(check("etcdserverpb.KV"))).code, Code.NotFound)
      const { ends, messages, stream } = yield* openStream("/grpc.health.v1.Health/Watch")
      stream.message(HealthCheckRequest.encode({ service: "" }))
      stream.message(HealthCheckRequest.encode({ service: "x" }))
      assert.deepStrictEqual(messages.map(HealthCheckResponse.decode), [{ status: 1 }, { status: 3 }])
      assert.deepStrictEqual(ends, [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("a caller that requires a leader is refused without one; others are not", () =>
    Effect.gen(function* () {
      const node = yield* NodeStatus
      node.setTerm(4, 0n)
      const range = encodeRangeRequest(rangeOf("a"))
      assert.deepStrictEqual(yield* Effect.flip(call("/etcdserverpb.KV/Range", range, wantsLeader)), errors.noLeader)
      yield* call("/etcdserverpb.KV/Range", range)
      assert.deepStrictEqual((yield* openStream("/etcdserverpb.Watch/Watch", wantsLeader)).ends, [errors.noLeader])
    }).pipe(Effect.provide(world()))
  )

  it.effect("W16: a watch that requires a leader ends after three seconds without one", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const node = yield* NodeStatus
      const bound = yield* openStream("/etcdserverpb.Watch/Watch", wantsLeader)
      const other = yield* openStream("/etcdserverpb.Watch/Watch")
      node.setTerm(4, 0n)
      yield* TestClock.adjust("2 seconds")
      node.setTerm(5, 5n)
      yield* TestClock.adjust("2 seconds")
      node.setTerm(6, 0n)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(bound.ends, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(bound.ends, [errors.noLeader])
      assert.deepStrictEqual(other.ends, [])
      assert.strictEqual(probe.closed, 1)
    }).pipe(Effect.provide(world({ probe })))
  })

  it.effect("a watch stream passes requests and responses through, and frees its watches once", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const { ends, messages, stream } = yield* openStream("/etcdserverpb.Watch/Watch")
      stream.message(encodeWatchRequest({ kind: "create", create }))
      stream.message(encodeWatchRequest({ kind: "progress" }))
      stream.drained()
      assert.deepStrictEqual(probe.requests, [{ kind: "create", create }, { kind: "progress" }])
      assert.strictEqual(probe.drained, 1)
      assert.deepInclude(decodeWatchResponse(messages[0]!), { watchId: 9n, created: true })
      // A client that says nothing more still listens.
      stream.ended()
      assert.deepStrictEqual([ends, probe.closed], [[], 0])
      stream.closed()
      stream.closed()
      assert.deepStrictEqual([ends, probe.closed], [[], 1])
    }).pipe(Effect.provide(world({ probe })))
  })

  it.effect("a malformed watch request ends the stream", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const { ends, stream } = yield* openStream("/etcdserverpb.Watch/Watch")
      stream.message(Uint8Array.of(8, 1))
      stream.message(encodeWatchRequest({ kind: "progress" }))
      assert.strictEqual(ends[0]?.code, Code.InvalidArgument)
      assert.match(ends[0]?.message ?? "", /malformed WatchRequest at byte 1/)
      assert.deepStrictEqual(probe.requests, [])
      assert.strictEqual(probe.closed, 1)
    }).pipe(Effect.provide(world({ probe })))
  })

  it.effect("a watch request that the hub does not take ends the stream as ResourceExhausted", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const { ends, stream } = yield* openStream("/etcdserverpb.Watch/Watch")
      stream.message(encodeWatchRequest({ kind: "none" }))
      assert.deepStrictEqual(ends, [errors.tooManyRequests])
      assert.strictEqual(probe.closed, 1)
    }).pipe(Effect.provide(world({ probe })))
  })

  it.live("counts requests by kind and result", () =>
    Effect.gen(function* () {
      yield* call("/etcdserverpb.KV/Put", encodePutRequest(putOf("a", key("1"))))
      yield* Effect.flip(call("/etcdserverpb.KV/Range", new Uint8Array(0)))
      const text = yield* Effect.promise((yield* Metrics).render)
      assert.include(text, 'netsy_client_requests_total{kind="put",result="success"} 1')
      assert.include(text, 'netsy_client_requests_total{kind="range",result="error"} 1')
      assert.include(text, 'netsy_client_request_duration_seconds_count{kind="put"} 1')
    }).pipe(Effect.provide(world()))
  )
})
