/** The client port in plain text: gRPC calls and streams, and what is counted. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Etcd3 } from "etcd3"
import {
  decodePutResponse,
  decodeRangeResponse,
  encodePutRequest,
  encodeRangeRequest
} from "../../src/core/wire/codec/kv.ts"
import { decodeWatchResponse, encodeWatchRequest, encodeWatchResponse } from "../../src/core/wire/codec/watch.ts"
import { errors } from "../../src/core/wire/errors.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { random } from "../wire/random.ts"
import { hubProbe, key, putOf, rangeOf } from "./fakes.ts"
import { connect } from "./grpcClient.ts"
import { address, rawSession, world } from "./plainPort.ts"
import { eventually } from "../support/eventually.ts"

const range = "/etcdserverpb.KV/Range"
const put = "/etcdserverpb.KV/Put"

describe("ClientListenerGrpc", () => {
  it.live("serves put and range over HTTP/2 without TLS", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* address)
      const value = random(1).bytes(1_400_000)
      const written = decodePutResponse(yield* client.call(put, encodePutRequest(putOf("a", value))))
      assert.strictEqual(written.header?.revision, 2)
      const read = decodeRangeResponse(yield* client.call(range, encodeRangeRequest(rangeOf("a"))))
      assert.isTrue(Buffer.from(value).equals(read.kvs[0]!.value))
    }).pipe(Effect.provide(world()))
  )

  it.live("a range of 32 MiB arrives whole", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* address)
      for (let i = 0; i < 32; i++) yield* client.call(put, encodePutRequest(putOf(`k${i}`, new Uint8Array(1 << 20))))
      const all = encodeRangeRequest({ ...rangeOf("k"), rangeEnd: key("l") })
      const { count, kvs } = decodeRangeResponse(yield* client.call(range, all))
      assert.strictEqual(count, 32)
      assert.isTrue(kvs.every((kv) => kv.value.length === 1 << 20))
    }).pipe(Effect.provide(world()))
  )

  it.live("etcd's errors arrive with code and exact text", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* address)
      const error = yield* Effect.flip(client.call(range, new Uint8Array(0)))
      assert.strictEqual(error.code, errors.emptyKey.code)
      assert.strictEqual(error.details, errors.emptyKey.message)
    }).pipe(Effect.provide(world()))
  )

  it.live("a watch stream goes both ways and is freed when the client cancels", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const client = yield* connect(yield* address)
      const stream = client.bidi("/etcdserverpb.Watch/Watch")
      const got: Array<Uint8Array> = []
      stream.on("data", (message: Buffer) => got.push(message))
      stream.on("error", () => {})
      const create = {
        key: key("a"),
        rangeEnd: new Uint8Array(0),
        startRevision: 0,
        progressNotify: false,
        filters: [],
        prevKv: false,
        watchId: 4n,
        fragment: false
      }
      stream.write(encodeWatchRequest({ kind: "create", create }))
      yield* eventually("created", () => got.length === 1)
      assert.deepInclude(decodeWatchResponse(got[0]!), { watchId: 4n, created: true })
      stream.cancel()
      yield* eventually("closed", () => probe.closed === 1)
    }).pipe(Effect.provide(world({ probe })))
  })

  it.live("W17: a watch whose client does not read is held back, and goes on when it reads again", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      // grpc-js reads on whatever its caller does; a bare stream that nobody reads fills its window and stops.
      const stream = session.request({
        ":method": "POST",
        ":path": "/etcdserverpb.Watch/Watch",
        "content-type": "application/grpc"
      })
      stream.on("error", () => {})
      const progress = encodeWatchRequest({ kind: "progress" })
      stream.write(Buffer.concat([Uint8Array.of(0, 0, 0, 0, progress.length), progress]))
      yield* eventually("opened", () => probe.requests.length === 1)
      const response = {
        header: undefined,
        watchId: 0n,
        created: false,
        canceled: false,
        compactRevision: 0,
        cancelReason: "x".repeat(100_000),
        fragment: false,
        events: []
      }
      let sent = 0
      const sendUntilFull = (upTo: number): void => {
        while (sent < upTo) {
          sent++
          if (!probe.sinks[0]!.send(response)) return
        }
      }
      /** Sends as long as the transport takes more within 200 ms. */
      const sendUntilStuck = (upTo: number): Effect.Effect<void> =>
        Effect.gen(function* () {
          for (let before = -1; sent < upTo && before !== probe.drained;) {
            before = probe.drained
            sendUntilFull(upTo)
            for (let i = 0; i < 20 && before === probe.drained; i++) yield* Effect.sleep(10)
          }
        })
      yield* sendUntilStuck(500)
      // The buffer's one MiB and what the windows took.
      assert.isBelow(sent, 20)
      let receivedBytes = 0
      stream.on("data", (chunk: Buffer) => {
        receivedBytes += chunk.length
      })
      yield* sendUntilStuck(500)
      assert.strictEqual(sent, 500)
      const size = 5 + encodeWatchResponse(response).length
      yield* eventually("everything arrived", () => receivedBytes === 500 * size)
      stream.close()
      yield* eventually("closed", () => probe.closed === 1)
    }).pipe(Effect.provide(world({ probe })))
  })

  it.live("many calls at a time on one connection are all answered", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* address)
      const puts = Array.from({ length: 500 }, (_none, i) =>
        client.call(put, encodePutRequest(putOf(`k${i}`, key(String(i)))))
      )
      yield* Effect.all(puts, { concurrency: "unbounded" })
      const all = encodeRangeRequest({ ...rangeOf("k"), rangeEnd: key("l") })
      assert.strictEqual(decodeRangeResponse(yield* client.call(range, all)).count, 500)
    }).pipe(Effect.provide(world()))
  )

  it.live("a thousand open watch streams on one connection", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const client = yield* connect(yield* address)
      for (let i = 0; i < 1000; i++) {
        const stream = client.bidi("/etcdserverpb.Watch/Watch")
        stream.on("error", () => {})
        stream.write(encodeWatchRequest({ kind: "progress" }))
      }
      yield* eventually("all open", () => probe.requests.length === 1000)
    }).pipe(Effect.provide(world({ probe })))
  })

  it.live("the npm client etcd3 works", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const etcd = yield* Effect.acquireRelease(
        Effect.sync(() => new Etcd3({ hosts: `http://127.0.0.1:${port}` })),
        (client) => Effect.sync(() => client.close())
      )
      yield* Effect.promise(async () => {
        await etcd.put("a/1").value("one")
        await etcd.put("a/2").value("two")
        assert.strictEqual(await etcd.get("a/1").string(), "one")
        assert.deepStrictEqual(await etcd.getAll().prefix("a/").strings(), { "a/1": "one", "a/2": "two" })
        const created = await etcd.if("b", "Create", "==", 0).then(etcd.put("b").value("3")).commit()
        assert.isTrue(created.succeeded)
        const again = await etcd.if("b", "Create", "==", 0).then(etcd.put("b").value("4")).commit()
        assert.isFalse(again.succeeded)
        assert.strictEqual((await etcd.delete().key("a/1")).deleted, "1")
        assert.isNull(await etcd.get("a/1").string())
      })
    }).pipe(Effect.provide(world()))
  )

  it.live("counts calls, messages and codes", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* address)
      yield* client.call(range, encodeRangeRequest(rangeOf("a")))
      yield* Effect.flip(client.call(range, new Uint8Array(0)))
      yield* Effect.flip(client.call(put, encodePutRequest(putOf("a", new Uint8Array(3_000_000)))))
      const text = yield* Effect.promise((yield* Metrics).render)
      const labels = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"'
      assert.include(text, `grpc_server_started_total{${labels}} 2`)
      assert.include(text, `grpc_server_msg_received_total{${labels}} 2`)
      assert.include(text, `grpc_server_msg_sent_total{${labels}} 1`)
      assert.include(text, `grpc_server_handled_total{${labels},grpc_code="OK"} 1`)
      assert.include(text, `grpc_server_handled_total{${labels},grpc_code="InvalidArgument"} 1`)
      assert.include(text, `grpc_server_handling_seconds_count{${labels}} 2`)
      assert.include(text, 'grpc_method="Put",grpc_code="ResourceExhausted"} 1')
    }).pipe(Effect.provide(world()))
  )
})
