/** The client port under bad input, at its limits, and when it closes. */
import { connect as connectTcp } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import {
  decodePutResponse,
  decodeRangeResponse,
  encodePutRequest,
  encodeRangeRequest
} from "../../src/core/wire/codec/kv.ts"
import { encodeWatchRequest } from "../../src/core/wire/codec/watch.ts"
import { Code, errors } from "../../src/core/wire/errors.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import * as ClientListenerGrpc from "../../src/layers/ClientListenerGrpc.ts"
import * as HttpApiEtcd from "../../src/layers/HttpApiEtcd.ts"
import type { MemoryLine } from "../../src/layers/LogMemory.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { random } from "../wire/random.ts"
import { plain } from "./certs.ts"
import { ground, hubProbe, key, putOf, rangeOf, settings } from "./fakes.ts"
import { connect } from "./grpcClient.ts"
import { address, rawSession, tcp, world } from "./plainPort.ts"
import { eventually } from "../support/eventually.ts"

const range = "/etcdserverpb.KV/Range"
const put = "/etcdserverpb.KV/Put"

describe("ClientListenerGrpc under bad input, at its limits and at its end", () => {
  it.live("malformed bodies, unknown methods and unknown services are refused; the connection lives on", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* address)
      const malformed = yield* Effect.flip(client.call(put, Uint8Array.of(10, 255, 255)))
      assert.strictEqual(malformed.code, Code.InvalidArgument)
      assert.match(malformed.details, /malformed PutRequest at byte 1/)
      for (const method of ["/etcdserverpb.KV/Nothing", "/no.Such/Thing", "/%ff%00/~"]) {
        const error = yield* Effect.flip(client.call(method, new Uint8Array(0)))
        assert.strictEqual(error.code, Code.Unimplemented, method)
        assert.include(error.details, method)
      }
      yield* client.call(range, encodeRangeRequest(rangeOf("a")))
    }).pipe(Effect.provide(world()))
  )

  it.live("requests above the limit: etcd's error up to 2 MiB, gRPC's beyond", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* address)
      const ofSize = (mebibytes: number) =>
        Effect.flip(client.call(put, encodePutRequest(putOf("a", new Uint8Array(mebibytes * 1024 * 1024)))))
      assert.strictEqual((yield* ofSize(1.6)).details, errors.requestTooLarge.message)
      const error = yield* ofSize(5)
      assert.strictEqual(error.code, Code.ResourceExhausted)
      assert.match(error.details, /^grpc: received message larger than max \(52428\d\d vs\. 2097152\)$/)
      yield* client.call(range, encodeRangeRequest(rangeOf("a")))
    }).pipe(Effect.provide(world()))
  )

  it.live("a compressed request is read; one that unpacks above the limit is refused", () =>
    Effect.gen(function* () {
      // 2: gzip.
      const client = yield* connect(yield* address, undefined, { "grpc.default_compression_algorithm": 2 })
      yield* client.call(put, encodePutRequest(putOf("a", new Uint8Array(1_000_000))))
      const read = decodeRangeResponse(yield* client.call(range, encodeRangeRequest(rangeOf("a"))))
      assert.strictEqual(read.kvs[0]?.value.length, 1_000_000)
      const error = yield* Effect.flip(client.call(put, encodePutRequest(putOf("a", new Uint8Array(50_000_000)))))
      assert.strictEqual(error.code, Code.ResourceExhausted)
      assert.match(error.details, /^grpc: received message after decompression larger than max 2097152$/)
    }).pipe(Effect.provide(world()))
  )

  it.live("a client that cancels thousands of streams keeps its connection", () => {
    const probe = hubProbe()
    return Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      for (let opened = 100; opened <= 3_000; opened += 100) {
        const streams = Array.from({ length: 100 }, () =>
          session
            .request({ ":method": "POST", ":path": "/etcdserverpb.Watch/Watch", "content-type": "application/grpc" })
            .on("error", () => {})
        )
        yield* eventually("opened", () => probe.sinks.length === opened)
        for (const stream of streams) stream.close(8)
      }
      yield* eventually("freed", () => probe.closed === probe.sinks.length)
      assert.isFalse(session.closed)
    }).pipe(Effect.provide(world({ probe })))
  })

  it.live("a deadline beyond what a timer can hold is none, one of a millisecond is one", () => {
    const held: Array<() => void> = []
    return Effect.gen(function* () {
      const session = yield* rawSession((yield* address).port)
      const status = (timeout: string) =>
        Effect.callback<unknown>((resume) => {
          const stream = session.request({
            ":method": "POST",
            ":path": put,
            "content-type": "application/grpc",
            "grpc-timeout": timeout
          })
          stream.on("response", (headers) => {
            if (headers["grpc-status"] !== undefined) resume(Effect.succeed(headers["grpc-status"]))
          })
          stream.on("trailers", (headers) => resume(Effect.succeed(headers["grpc-status"])))
          stream.resume()
          stream.end(new Uint8Array(5))
        })
      const far = yield* Effect.forkChild(status("600H"))
      yield* eventually("held", () => held.length === 1)
      assert.strictEqual(Number(yield* status("1m")), Code.DeadlineExceeded)
      held[0]!()
      assert.strictEqual(Number(yield* Fiber.join(far)), 0)
    }).pipe(Effect.provide(world({ watched: { barriers: 0, held } })))
  })

  it.live("a handler that throws ends its call as Internal and the node through the Supervisor", () => {
    const broken = Layer.effect(
      Kv,
      Effect.map(Kv, (store) =>
        Kv.of({
          ...store,
          range: () => {
            throw new Error("the index is broken")
          }
        })
      )
    )
    const layer = ClientListenerGrpc.layer().pipe(
      Layer.provide(HttpApiEtcd.layer()),
      Layer.provideMerge(Layer.merge(ClientApiEtcd.layer, plain)),
      Layer.provide(broken),
      Layer.provideMerge(ground())
    )
    return Effect.gen(function* () {
      const client = yield* connect(yield* address)
      const error = yield* Effect.flip(client.call(range, encodeRangeRequest(rangeOf("a"))))
      assert.strictEqual(error.code, Code.Internal)
      const ended = yield* Effect.flip((yield* Supervisor).ended)
      assert.strictEqual(ended.message, 'task "client api /etcdserverpb.KV/Range" ended: the index is broken')
    }).pipe(Effect.provide(layer))
  })

  it.live("pings every few milliseconds do not end a connection", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const session = yield* rawSession(port)
      let goaway = false
      session.on("goaway", () => {
        goaway = true
      })
      for (let i = 0; i < 200; i++) {
        yield* Effect.callback<void>((resume) => {
          session.ping(() => resume(Effect.void))
        })
      }
      assert.isFalse(goaway)
      assert.isFalse(session.closed)
    }).pipe(Effect.provide(world()))
  )

  it.live("HTTP/1 is answered on the same port, also when it comes byte by byte", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/v3/kv/nothing`, { method: "POST" }))
      assert.strictEqual(response.status, 404)
      assert.deepStrictEqual(yield* Effect.promise(() => response.json()), {
        error: "Not Found",
        code: 5,
        message: "Not Found",
        details: []
      })
      const socket = yield* tcp(port)
      let answer = ""
      socket.on("data", (chunk) => (answer += chunk.toString()))
      for (const byte of "PUT / HTTP/1.1\r\nHost: x\r\n\r\n") {
        socket.write(byte)
        yield* Effect.sleep(1)
      }
      yield* eventually("answered", () => answer.startsWith("HTTP/1.1 404"))
    }).pipe(Effect.provide(world()))
  )

  it.live("garbage is closed on and harms nobody", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const client = yield* connect({ host: "", port })
      const goodPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
      const source = random(9)
      const inputs: Array<Uint8Array> = [
        key("\u0000\u0001\u0002"),
        key("GET"),
        key(`GET / HTTP/1.1\r\n${"x: y\r\n".repeat(20_000)}`),
        Uint8Array.of(0x16, 3, 1, 0, 200, 1),
        key("PRI"),
        key("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
        Buffer.concat([key(goodPreface), source.bytes(5000)]),
        // A settings frame, then a data frame on a stream that is not open.
        Buffer.concat([
          key(goodPreface),
          Buffer.from("000000040000000000" + "000005000000000001" + "0102030405", "hex")
        ])
      ]
      for (let i = 0; i < 30; i++) inputs.push(source.bytes(1 + source.int(500)))
      for (const input of inputs) {
        const socket = yield* tcp(port)
        socket.end(input)
        socket.resume()
        yield* eventually("closed", () => socket.destroyed || socket.readableEnded)
      }
      yield* client.call(range, encodeRangeRequest(rangeOf("a")))
    }).pipe(Effect.provide(world()))
  )

  it.live("frames that are no gRPC message end the call, not the node", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const session = yield* rawSession(port)
      const post = (path: string, body: Uint8Array, extra: Record<string, string> = {}) =>
        Effect.callback<Record<string, unknown>>((resume) => {
          const headers = {
            ":method": "POST",
            ":path": path,
            "content-type": "application/grpc",
            te: "trailers",
            ...extra
          }
          const request = session.request(headers)
          let status: Record<string, unknown> = {}
          request.on("response", (given) => (status = { ...status, ...given }))
          request.on("trailers", (given) => (status = { ...status, ...given }))
          request.on("error", () => {})
          request.on("close", () => resume(Effect.succeed(status)))
          request.resume()
          request.end(body)
        })
      const code = (status: Record<string, unknown>) => Number(status["grpc-status"])
      assert.strictEqual(code(yield* post(range, new Uint8Array(0))), Code.Unimplemented)
      // Cut off: five bytes announced, two there.
      assert.strictEqual(code(yield* post(range, Uint8Array.of(0, 0, 0, 0, 5, 1, 2))), Code.Unimplemented)
      // Compressed, but not.
      const broken = yield* post(range, Uint8Array.of(1, 0, 0, 0, 2, 1, 2), { "grpc-encoding": "gzip" })
      assert.strictEqual(code(broken), Code.Internal)
      const strange = yield* post(range, Uint8Array.of(1, 0, 0, 0, 2, 1, 2), { "grpc-encoding": "zstd" })
      assert.strictEqual(code(strange), Code.Unimplemented)
      // Two messages for a unary method.
      assert.strictEqual(code(yield* post(range, new Uint8Array(10))), Code.Unimplemented)
      assert.strictEqual(code(yield* post(range, Uint8Array.of(0, 255, 255, 255, 255, 1))), Code.ResourceExhausted)
      assert.strictEqual(code(yield* post("/\u00e4%zz", new Uint8Array(5))), Code.Unimplemented)
      const noTime = yield* post(range, new Uint8Array(5), { "grpc-timeout": "soon" })
      assert.strictEqual(code(noTime), Code.Internal)
      const html = yield* post(range, new Uint8Array(5), { "content-type": "text/html" })
      assert.strictEqual(html[":status"], 404)
      const client = yield* connect({ host: "", port })
      yield* client.call(range, encodeRangeRequest(rangeOf("a")))
    }).pipe(Effect.provide(world()))
  )

  it.live("connections above the limit are closed and said so", () => {
    const lines: Array<MemoryLine> = []
    return Effect.gen(function* () {
      const { port } = yield* address
      yield* tcp(port)
      yield* tcp(port)
      const third = yield* tcp(port)
      third.resume()
      yield* eventually("closed", () => third.destroyed || third.readableEnded)
      const said = lines.find((line) => line.level === "WARN" && line.event === "connection_refused")
      assert.strictEqual(said?.fields["reason"], "more than 2 connections")
    }).pipe(Effect.provide(world({ lines }, { connectionsMax: 2 })))
  })

  it.live("closing ends open streams as Unavailable, lets calls finish, and frees the port", () =>
    Effect.gen(function* () {
      let port = 0
      let ended: { readonly code: number; readonly details: string } | undefined
      yield* Effect.gen(function* () {
        ;({ port } = yield* address)
        const client = yield* connect({ host: "", port })
        const stream = client.bidi("/etcdserverpb.Watch/Watch")
        stream.on("data", () => {})
        stream.on("error", (error: unknown) => {
          ended = error as typeof ended
        })
        stream.write(encodeWatchRequest({ kind: "progress" }))
        yield* client.call(range, encodeRangeRequest(rangeOf("a")))
      }).pipe(Effect.provide(world()))
      yield* eventually("ended", () => ended !== undefined)
      assert.strictEqual(ended?.code, Code.Unavailable)
      assert.strictEqual(ended?.details, errors.serverStopped.message)
      const refused = yield* Effect.callback<boolean>((resume) => {
        connectTcp(port, "127.0.0.1", () => resume(Effect.succeed(false))).on("error", () =>
          resume(Effect.succeed(true))
        )
      })
      assert.isTrue(refused)
    })
  )

  it.live("a call that is under way when the port closes is still answered", () => {
    const held: Array<() => void> = []
    return Effect.gen(function* () {
      const written = yield* Effect.gen(function* () {
        const client = yield* connect(yield* address)
        const call = yield* Effect.forkChild(client.call(put, encodePutRequest(putOf("a", key("1")))))
        yield* eventually("held", () => held.length === 1)
        setTimeout(() => held[0]!(), 300)
        return call
      }).pipe(Effect.provide(world({ watched: { barriers: 0, held } })))
      assert.strictEqual(decodePutResponse(yield* Fiber.join(written)).header?.revision, 2)
    })
  })

  it.live("a call that takes longer than the port's time to close is cut off", () => {
    const held: Array<() => void> = []
    return Effect.gen(function* () {
      const outcome = yield* Effect.gen(function* () {
        const client = yield* connect(yield* address)
        const call = yield* Effect.forkChild(Effect.flip(client.call(put, encodePutRequest(putOf("a", key("1"))))))
        yield* eventually("held", () => held.length === 1)
        return call
      }).pipe(Effect.provide(world({ watched: { barriers: 0, held } }, { stopMillis: 100 })))
      const error = yield* Fiber.join(outcome)
      assert.notStrictEqual(error.code, Code.DeadlineExceeded)
      // An answer after the end is for nobody.
      held[0]!()
    })
  })

  it.live("a connection that does not say what it wants in time is closed", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      for (const input of ["", "PR"]) {
        const socket = yield* tcp(port)
        socket.resume()
        socket.write(input)
        yield* eventually("closed", () => socket.destroyed || socket.readableEnded)
      }
    }).pipe(Effect.provide(world({}, { firstBytesMillis: 100 })))
  )

  it.live("a port that is taken is named", () =>
    Effect.gen(function* () {
      const { port } = yield* address
      const second = Layer.fresh(
        world({
          settings: {
            ...settings,
            bind: { ...settings.bind, client: { host: "127.0.0.1", port } }
          }
        })
      )
      const error = yield* Effect.flip(Effect.provide(address, second))
      assert.match(error.message, new RegExp(`^client port 127.0.0.1:${port}: listen EADDRINUSE`))
    }).pipe(Effect.provide(world()))
  )
})
