/** Unary calls through the JSON gateway over real connections: paths, errors, limits, and clients that go away. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import { Code, errors, etcdError } from "../../src/core/wire/errors.ts"
import { routes } from "../../src/layers/httpapi/routes.ts"
import type { CallContext, UnaryReply } from "../../src/services/ClientApi.ts"
import { HttpApi } from "../../src/services/HttpApi.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { settings } from "../clientapi/fakes.ts"
import { rawSession, world } from "../clientapi/plainPort.ts"
import { messageType } from "../wire/reference.ts"
import { address, call, get, post, stream, worldOf } from "./server.ts"
import { eventually } from "../support/eventually.ts"

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
