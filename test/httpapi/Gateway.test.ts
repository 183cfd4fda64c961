/** The JSON gateway over real connections: calls, streams, errors, limits, and clients that go away. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import { decodeWatchRequest, encodeWatchResponse } from "../../src/core/wire/codec/watch.ts"
import { Code, errors, etcdError } from "../../src/core/wire/errors.ts"
import { routes } from "../../src/layers/httpapi/routes.ts"
import type { CallContext, StreamOut, UnaryReply } from "../../src/services/ClientApi.ts"
import { HttpApi } from "../../src/services/HttpApi.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { settings } from "../clientapi/fakes.ts"
import { eventually } from "../clientapi/grpcClient.ts"
import { rawSession, tcp, world } from "../clientapi/plainPort.ts"
import { messageType } from "../wire/reference.ts"
import { address, call, get, post, stream, worldOf } from "./server.ts"

const keepAliveAnswer = (id: number, ttl: number): Uint8Array =>
  messageType("etcdserverpb.LeaseKeepAliveResponse").encode({ ID: id, TTL: ttl }).finish()

const created = (watchId: number): Uint8Array =>
  encodeWatchResponse({
    header: { clusterId: 1n, memberId: 2n, revision: 7, raftTerm: 1 },
    watchId: BigInt(watchId),
    created: true,
    canceled: false,
    compactRevision: 0,
    cancelReason: "",
    fragment: false,
    events: []
  })

/** What a stream's handler has seen, and its way out. */
interface Seen {
  out: StreamOut | undefined
  readonly messages: Array<Uint8Array>
  drained: number
  ended: number
  closed: number
}

const handler = () => {
  const seen: Seen = { out: undefined, messages: [], drained: 0, ended: 0, closed: 0 }
  return {
    seen,
    stream: (_method: string, _context: CallContext, out: StreamOut) => {
      seen.out = out
      return {
        message: (bytes: Uint8Array) => void seen.messages.push(bytes),
        drained: () => void seen.drained++,
        ended: () => void seen.ended++,
        closed: () => void seen.closed++
      }
    }
  }
}

describe("unary calls through the gateway", () => {
  it.live("put, range and a transaction answer with etcd's field names, numbers as strings, zeros left out", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const put = yield* post(port, "/v3/kv/put", { key: "Zm9v", value: "YmFy", lease: "7587881234567890123" })
      const header = { cluster_id: "13838306425093937520", member_id: "5", raft_term: "3" }
      assert.strictEqual(put.headers["content-type"], "application/json")
      assert.hasAllKeys(put.json, ["header"])
      const { header: given } = put.json as { header: typeof header }
      assert.deepStrictEqual({ ...given, cluster_id: "" }, {
        ...header,
        cluster_id: "",
        revision: "2"
      } as typeof header)
      const range = yield* post(port, "/v3beta/kv/range", { key: "Zg==", range_end: "AA==", sort_order: "ASCEND" })
      assert.deepStrictEqual((range.json as { kvs: unknown }).kvs, [
        {
          key: "Zm9v",
          create_revision: "2",
          mod_revision: "2",
          version: "1",
          value: "YmFy",
          lease: "7587881234567890123"
        }
      ])
      const txn = yield* post(port, "/v3/kv/txn", {
        compare: [{ key: "Zm9v", target: "CREATE", create_revision: "2" }],
        success: [{ requestPut: { key: "Zm9v" } }, { request_delete_range: { key: "Zm9v" } }]
      })
      assert.deepStrictEqual({ ...(txn.json as object), header: undefined }, {
        header: undefined,
        succeeded: true,
        responses: [
          { response_put: { header: (txn.json as { header: unknown }).header } },
          { response_delete_range: { header: (txn.json as { header: unknown }).header, deleted: "1" } }
        ]
      } as object)
      const missing = yield* post(port, "/v3/kv/range", { key: "Zm9v" })
      assert.hasAllKeys(missing.json, ["header"])
    }).pipe(Effect.provide(world()))
  )

  it.live("every path reaches its rpc, whatever it is", () => {
    const asked: Array<string> = []
    return Effect.gen(function* () {
      const { port } = yield* address
      for (const path of routes.keys()) yield* call(port, path, { body: "{}" })
      assert.deepStrictEqual(asked, [...routes.values()])
    }).pipe(
      Effect.provide(
        worldOf({
          unary: (method, _request, _context, reply) => {
            asked.push(method)
            reply.succeed(new Uint8Array(0))
          },
          stream: (method, _context, out) => {
            asked.push(method)
            out.end(undefined)
            return { message: () => {}, drained: () => {}, ended: () => {}, closed: () => {} }
          }
        })
      )
    )
  })

  it.live("errors carry error, code and message, and the status of their code", () => {
    let code: Code = Code.Unknown
    return Effect.gen(function* () {
      const { port } = yield* address
      for (const [given, status] of [
        [Code.Canceled, 499],
        [Code.Unknown, 500],
        [Code.InvalidArgument, 400],
        [Code.DeadlineExceeded, 504],
        [Code.NotFound, 404],
        [Code.PermissionDenied, 403],
        [Code.ResourceExhausted, 429],
        [Code.FailedPrecondition, 400],
        [Code.OutOfRange, 400],
        [Code.Unimplemented, 501],
        [Code.Internal, 500],
        [Code.Unavailable, 503],
        [Code.DataLoss, 500],
        [Code.Unauthenticated, 401]
      ] as const) {
        code = given
        const answer = yield* post(port, "/v3/kv/range", {})
        assert.strictEqual(answer.status, status)
        assert.deepStrictEqual(answer.json, { error: "text", code: given, message: "text", details: [] })
      }
    }).pipe(
      Effect.provide(worldOf({ unary: (_method, _request, _context, reply) => reply.fail(etcdError(code, "text")) }))
    )
  })

  it.live("requests that cannot be read are InvalidArgument; nothing at all is an empty request", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      for (const body of ['{"key":"', "[]", '{"key":"*"}', '{"limit":"x"}', '{"sort_order":"UP"}', "\u0000"]) {
        const answer = yield* call(port, "/v3/kv/range", { body })
        assert.strictEqual(answer.status, 400, body)
        const { code, error, message } = JSON.parse(answer.text) as Record<string, unknown>
        assert.strictEqual(code, 3)
        assert.strictEqual(error, message)
        assert.include(String(error), "netsy: JSON at character")
      }
      const nothing = yield* call(port, "/v3/kv/range")
      assert.include(nothing.text, errors.emptyKey.message)
    }).pipe(Effect.provide(world()))
  )

  it.live("GET is refused as Method Not Allowed, unknown paths as Not Found, others as plain 404", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const got = yield* get(port, "/v3/kv/range")
      assert.strictEqual(got.status, 501)
      assert.deepStrictEqual(JSON.parse(got.text), {
        error: "Method Not Allowed",
        code: 12,
        message: "Method Not Allowed",
        details: []
      })
      const unknown = yield* post(port, "/v3/kv/nothing", {})
      assert.strictEqual(unknown.status, 404)
      assert.strictEqual((unknown.json as { code: number }).code, 5)
      assert.strictEqual((yield* get(port, "/other")).text, "404 page not found\n")
    }).pipe(Effect.provide(world()))
  )

  it.live("headers become metadata, but neither a certificate nor any other header does", () => {
    const contexts: Array<CallContext> = []
    return Effect.gen(function* () {
      const { port } = yield* address
      yield* post(
        port,
        "/v3/kv/range",
        {},
        {
          Authorization: "tok.7",
          "Grpc-Metadata-HasLeader": "true",
          "X-Other": "x"
        }
      )
      const [context] = contexts
      assert.strictEqual(context!.identity, undefined)
      assert.strictEqual(context!.metadata("authorization"), "tok.7")
      assert.strictEqual(context!.metadata("hasleader"), "true")
      assert.strictEqual(context!.metadata("x-other"), undefined)
      assert.strictEqual(context!.metadata("token"), undefined)
    }).pipe(
      Effect.provide(
        worldOf({
          unary: (_method, _request, context, reply) => {
            contexts.push(context)
            reply.succeed(new Uint8Array(0))
          }
        })
      )
    )
  })

  it.live("a body above the limit is refused before it is read, a message above it after", () => {
    const maxRequestBytes = 1000
    const small = { ...settings, limits: { ...settings.limits, maxRequestBytes } }
    return Effect.gen(function* () {
      const { port } = yield* address
      const body = yield* call(port, "/v3/kv/put", { body: `{"value":"${"A".repeat(3_000_000)}"}` }).pipe(
        // The connection may be closed while the client still writes.
        Effect.catch(() => Effect.succeed({ status: 429, text: "request body is larger", headers: {} }))
      )
      assert.strictEqual(body.status, 429)
      assert.include(body.text, "request body is larger")
      const message = yield* call(port, "/v3/kv/put", { body: `{"value":"${"A".repeat(800_000)}"}` })
      assert.strictEqual(message.status, 429)
      assert.include(message.text, "grpc: received message larger than max (600004 vs. 525288)")
      const request = yield* call(port, "/v3/kv/put", { body: `{"key":"YQ==","value":"${"A".repeat(400_000)}"}` })
      assert.include(request.text, errors.requestTooLarge.message)
    }).pipe(Effect.provide(world({ settings: small })))
  })

  it.live("a body that says it is too large is not waited for, one that does not say so is not kept", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const announced = yield* stream(port, "/v3/kv/put", { "content-length": "100000000" })
      announced.write("{")
      yield* eventually("refused", () => announced.response() !== undefined)
      assert.strictEqual(announced.response()!.statusCode, 429)
      assert.strictEqual(announced.response()!.headers.connection, "close")
      const chunked = yield* stream(port, "/v3/kv/put")
      for (let i = 0; i < 10; i++) chunked.write("x".repeat(1 << 20))
      yield* eventually("refused", () => chunked.response() !== undefined)
      assert.strictEqual(chunked.response()!.statusCode, 429)
    }).pipe(Effect.provide(world()))
  )

  it.live("a body that does not come in time is given up", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const slow = yield* stream(port, "/v3/kv/range")
      slow.write('{"key":')
      yield* eventually("answered", () => slow.response() !== undefined)
      assert.strictEqual(slow.response()!.statusCode, 504)
    }).pipe(Effect.provide(worldOf({}, {}, { bodyMillisMax: 50 })))
  )

  it.live("Grpc-Timeout ends a call; a client that hangs up is told to the handler", () => {
    const waiting: Array<UnaryReply> = []
    let closed = 0
    return Effect.gen(function* () {
      const { port } = yield* address
      const late = yield* post(port, "/v3/lock/lock", {}, { "Grpc-Timeout": "30m" })
      assert.strictEqual(late.status, 504)
      assert.strictEqual((late.json as { message: string }).message, "context deadline exceeded")
      yield* eventually("closed", () => closed === 1)
      const given = yield* stream(port, "/v3/lock/lock")
      given.endRequest()
      yield* eventually("waiting", () => waiting.length === 2)
      assert.isFalse((yield* HttpApi).isQuiet())
      given.destroy()
      yield* eventually("closed", () => closed === 2)
      assert.isTrue((yield* HttpApi).isQuiet())
      // Late answers go nowhere.
      for (const reply of waiting) reply.succeed(new Uint8Array(0))
    }).pipe(
      Effect.provide(
        worldOf({
          unary: (_method, _request, context, reply) => {
            waiting.push(reply)
            context.onClosed?.(() => closed++)
          }
        })
      )
    )
  })

  it.live("a big answer arrives whole, and others are served while it is made", () => {
    const kvs = Array.from({ length: 60 }, (_, i) => ({ key: Buffer.from(`k${i}`), value: Buffer.alloc(1 << 20, i) }))
    const bytes = messageType("etcdserverpb.RangeResponse").encode({ kvs, count: 60 }).finish()
    return Effect.gen(function* () {
      const { port } = yield* address
      let small = 0
      const others = Effect.forever(
        Effect.andThen(
          call(port, "/v3/kv/put", { body: "{}" }),
          Effect.sync(() => small++)
        )
      )
      const big = yield* Effect.raceFirst(call(port, "/v3/kv/range", { body: "{}" }), others)
      const read = JSON.parse(big.text) as { kvs: ReadonlyArray<{ value: string }>; count: string }
      assert.strictEqual(read.count, "60")
      assert.isTrue(Buffer.from(read.kvs[59]!.value, "base64").equals(Buffer.alloc(1 << 20, 59)))
      assert.isAbove(small, 1)
    }).pipe(
      Effect.provide(
        worldOf({
          unary: (method, _request, _context, reply) =>
            reply.succeed(method.endsWith("Range") ? bytes : new Uint8Array(0))
        })
      )
    )
  })

  it.live("what a handler throws fails the call and ends the process", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const answer = yield* post(port, "/v3/kv/range", {})
      assert.deepStrictEqual(answer.json, {
        error: "netsy: internal error",
        code: 13,
        message: "netsy: internal error",
        details: []
      })
      const ended = yield* Effect.flip((yield* Supervisor).ended)
      assert.strictEqual(ended.message, 'task "gateway /etcdserverpb.KV/Range" ended: broken')
    }).pipe(
      Effect.provide(
        worldOf({
          unary: () => {
            throw new Error("broken")
          }
        })
      )
    )
  )

  it.live("the gateway answers over HTTP/2 as well, and counts in gRPC's metrics", () => {
    const asked: Array<Uint8Array> = []
    return Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      const answer = yield* Effect.callback<string>((resume) => {
        const request = session.request({
          ":method": "POST",
          ":path": "/v3/kv/range",
          "content-type": "application/json"
        })
        let text = ""
        request.on("response", (headers) => (text += `${headers[":status"]} `))
        request.on("data", (piece: Buffer) => (text += piece.toString()))
        request.on("end", () => resume(Effect.succeed(text)))
        request.end('{"key":"YQ=="}')
      })
      assert.strictEqual(answer, "200 {}")
      assert.strictEqual(Buffer.from(decodeRangeRequest(asked[0]!).key).toString(), "a")
      const text = yield* Effect.promise((yield* Metrics).render)
      const labels = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Range"'
      assert.include(text, `grpc_server_started_total{${labels}} 1`)
      assert.include(text, `grpc_server_handled_total{${labels},grpc_code="OK"} 1`)
      assert.include(text, 'etcd_server_client_requests_total{type="unary",client_api_version="unknown"} 1')
      assert.include(text, "etcd_network_client_grpc_received_bytes_total 3")
    }).pipe(
      Effect.provide(
        worldOf({
          unary: (_method, request, _context, reply) => {
            asked.push(request)
            reply.succeed(new Uint8Array(0))
          }
        })
      )
    )
  })
})

describe("streams through the gateway", () => {
  const isClosed = ({ seen }: { readonly seen: Seen }) => eventually("closed", () => seen.closed === 1)

  it.live("a stream answers line by line, and goes on after the request's body if its handler does", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write('{"create_request":{"key":"YQ=="}} {"create_request"')
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      assert.strictEqual(decodeWatchRequest(watch.seen.messages[0]!).kind, "create")
      assert.isUndefined(given.response())
      watch.seen.out!.send(created(0))
      yield* eventually("answered", () => given.lines.length === 1)
      assert.strictEqual(given.response()!.statusCode, 200)
      assert.deepStrictEqual(given.lines[0], {
        result: { header: { cluster_id: "1", member_id: "2", revision: "7", raft_term: "1" }, created: true }
      })
      given.write(':{"watch_id":3}}\n{"progress_request":{}}')
      given.endRequest()
      yield* eventually("asked", () => watch.seen.messages.length === 3)
      watch.seen.out!.send(created(3))
      yield* eventually("answered", () => given.lines.length === 2)
      assert.isFalse(given.isEnded())
      assert.strictEqual(watch.seen.ended, 1)
      given.destroy()
      yield* isClosed(watch)
      assert.isTrue((yield* HttpApi).isQuiet())
      assert.isFalse(watch.seen.out!.send(created(4)))
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("keep-alives end with the request; a lease that is gone has no TTL in its line", () => {
    const keepAlive = handler()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/lease/keepalive")
      given.write('{"ID":"7"}{"ID":8}')
      given.endRequest()
      yield* eventually("asked", () => keepAlive.seen.ended === 1)
      assert.strictEqual(keepAlive.seen.messages.length, 2)
      keepAlive.seen.out!.send(keepAliveAnswer(7, 10))
      keepAlive.seen.out!.send(keepAliveAnswer(8, 0))
      keepAlive.seen.out!.end(undefined)
      yield* eventually("ended", given.isEnded)
      assert.deepStrictEqual(given.lines, [{ result: { ID: "7", TTL: "10" } }, { result: { ID: "8" } }])
      yield* isClosed(keepAlive)
    }).pipe(Effect.provide(worldOf({ stream: keepAlive.stream })))
  })

  it.live("an empty body asks a server's stream once; more than one request does not ask it again", () => {
    const snapshot = handler()
    return Effect.gen(function* () {
      const { port } = yield* address
      for (const body of ["", "{}", "{}{}"]) {
        snapshot.seen.messages.length = 0
        const before = snapshot.seen.ended
        const given = yield* stream(port, "/v3/maintenance/snapshot")
        given.write(body)
        given.endRequest()
        yield* eventually("asked", () => snapshot.seen.ended === before + 1)
        assert.strictEqual(snapshot.seen.messages.length, 1, body)
        snapshot.seen.out!.end(undefined)
        yield* eventually("ended", given.isEnded)
        assert.deepStrictEqual(given.lines, [])
        assert.strictEqual(given.response()!.statusCode, 200)
      }
    }).pipe(Effect.provide(worldOf({ stream: snapshot.stream })))
  })

  it.live("an error before the first answer has a status, one after it is a line with everybody's fields", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const { port } = yield* address
      const early = yield* stream(port, "/v3/watch")
      early.write(" ")
      yield* eventually("opened", () => watch.seen.out !== undefined)
      watch.seen.out!.end(errors.permissionDenied)
      yield* eventually("answered", () => early.response() !== undefined)
      assert.strictEqual(early.response()!.statusCode, 403)
      watch.seen.out = undefined
      const late = yield* stream(port, "/v3/watch")
      late.write(" ")
      yield* eventually("opened", () => watch.seen.out !== undefined)
      watch.seen.out!.send(created(0))
      watch.seen.out!.end(errors.noLeader)
      yield* eventually("ended", late.isEnded)
      const { code, message } = errors.noLeader
      assert.deepStrictEqual(late.lines[1], {
        error: { grpc_code: code, http_code: 503, http_status: "Service Unavailable", code, message, details: [] }
      })
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("a request that cannot be read ends the stream with the reason, and frees it", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const { port } = yield* address
      for (const body of [
        "garbage",
        '{"create_request":{"key":"*"}}',
        '{"create_request"',
        `{"x":"${"y".repeat(5_000_000)}"}`
      ]) {
        watch.seen.closed = 0
        const given = yield* stream(port, "/v3/watch")
        given.write(body)
        given.endRequest()
        yield* eventually(`answered ${body.slice(0, 30)}`, () => given.response() !== undefined)
        assert.strictEqual(given.response()!.statusCode, 400)
        yield* isClosed(watch)
      }
      const given = yield* stream(port, "/v3/watch")
      given.write("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      watch.seen.out!.send(created(0))
      given.write("[]")
      yield* eventually("ended", given.isEnded)
      assert.strictEqual((given.lines[1] as { error: { code: number } }).error.code, 3)
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("a slow reader is not sent more than a buffer, nor read from, until it reads again", () => {
    const watch = handler()
    const message = messageType("etcdserverpb.WatchResponse")
      .encode({ cancel_reason: "x".repeat(1 << 18) })
      .finish()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      watch.seen.out!.send(message)
      yield* eventually("answered", () => given.response() !== undefined)
      given.response()!.pause()
      let sent = 1
      // The kernel's buffers take some of it, and perhaps some more.
      for (let drained = -1; drained !== watch.seen.drained; yield* Effect.sleep(100)) {
        ;({ drained } = watch.seen)
        for (let isFull = false; !isFull; sent++) isFull = !watch.seen.out!.send(message)
        assert.isBelow(sent, 500)
      }
      given.write("{}{}")
      yield* Effect.sleep(50)
      assert.strictEqual(watch.seen.messages.length, 1)
      const { drained } = watch.seen
      given.response()!.resume()
      yield* eventually("drained", () => watch.seen.drained > drained)
      yield* eventually("arrived", () => given.lines.length === sent)
      yield* eventually("asked", () => watch.seen.messages.length === 3)
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("over HTTP/2 a slow reader is held back the same way, and one that resets its stream is gone", () => {
    const watch = handler()
    const blob = messageType("etcdserverpb.SnapshotResponse")
      .encode({ blob: Buffer.alloc(1 << 16, 1) })
      .finish()
    return Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      const request = session.request({ ":method": "POST", ":path": "/v3/maintenance/snapshot" })
      request.on("error", () => {})
      request.end("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      let sent = 0
      yield* eventually("full", () => ++sent > 1_000 || !watch.seen.out!.send(blob))
      assert.isBelow(sent, 100)
      let lines = 0
      request.setEncoding("utf8")
      request.on("data", (piece: string) => (lines += piece.split("\n").length - 1))
      yield* eventually("drained", () => watch.seen.drained === 1)
      yield* eventually("arrived", () => lines === sent)
      request.close(8)
      yield* isClosed(watch)
      assert.isFalse(watch.seen.out!.send(blob))
      assert.isTrue((yield* HttpApi).isQuiet())
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("calls that wait behind another on their connection are freed with it", () => {
    const watch = handler()
    let waiting = 0
    let closed = 0
    return Effect.gen(function* () {
      const socket = yield* tcp((yield* address).port)
      const one = (path: string) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`
      socket.write(one("/v3/watch") + one("/v3/watch") + one("/v3/lock/lock") + one("/v3/maintenance/snapshot"))
      yield* eventually("asked", () => watch.seen.messages.length === 3 && waiting === 1)
      socket.destroy()
      yield* eventually("closed", () => watch.seen.closed === 3 && closed === 1)
      assert.isTrue((yield* HttpApi).isQuiet())
    }).pipe(
      Effect.provide(
        worldOf({
          stream: watch.stream,
          unary: (_method, _request, context) => {
            waiting++
            context.onClosed?.(() => closed++)
          }
        })
      )
    )
  })

  it.live("when the server stops, open streams end as Unavailable", () => {
    const watch = handler()
    return Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write("{}")
      yield* eventually("asked", () => watch.seen.messages.length === 1)
      watch.seen.out!.send(created(0))
      yield* eventually("answered", () => given.lines.length === 1)
      const { isQuiet, stop } = yield* HttpApi
      stop()
      yield* eventually("ended", given.isEnded)
      assert.strictEqual((given.lines[1] as { error: { message: string } }).error.message, errors.serverStopped.message)
      yield* isClosed(watch)
      assert.isTrue(isQuiet())
    }).pipe(Effect.provide(worldOf({ stream: watch.stream })))
  })

  it.live("what a stream's handler throws ends the stream and the process", () =>
    Effect.gen(function* () {
      const given = yield* stream((yield* address).port, "/v3/watch")
      given.write("{}")
      yield* eventually("answered", () => given.response() !== undefined)
      assert.strictEqual(given.response()!.statusCode, 500)
      const ended = yield* Effect.flip((yield* Supervisor).ended)
      assert.strictEqual(ended.message, 'task "gateway /etcdserverpb.Watch/Watch" ended: broken')
    }).pipe(
      Effect.provide(
        worldOf({
          stream: () => ({
            message: () => {
              throw new Error("broken")
            },
            drained: () => {},
            ended: () => {},
            closed: () => {}
          })
        })
      )
    )
  )
})
