/** Real sockets on port 0, so real time. */
import { connect, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import * as HealthServerHttp from "../../src/layers/HealthServerHttp.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { HealthServer } from "../../src/services/HealthServer.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { eventually } from "../support/eventually.ts"

/** Fresh: two listeners in one test are two listeners. */
const layerAt = (bind: string) =>
  Layer.fresh(HealthServerHttp.layer).pipe(
    Layer.provideMerge(NodeStatusMemory.layer),
    Layer.provideMerge(MetricsPrometheus.layer),
    Layer.provideMerge(LogMemory.layer()),
    Layer.provideMerge(Layer.fresh(SettingsValue.layer(embeddedSettings({ NETSY_BIND_HEALTH: bind }))))
  )

const request = (path: string, options: RequestInit = {}) =>
  Effect.gen(function* () {
    const { address } = yield* HealthServer
    return yield* Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${address.port}${path}`, options)
      return { status: response.status, type: response.headers.get("content-type"), body: await response.text() }
    })
  })

/** Sends raw bytes; resolves with everything that came back once the other side has closed, or after the time. */
const raw = (port: number, bytes: string | Uint8Array, waitMillis = 3_000) =>
  Effect.promise(
    () =>
      new Promise<string>((resolve) => {
        let received = ""
        const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
        socket.setTimeout(waitMillis, () => socket.destroy())
        socket.on("data", (data) => {
          received += data.toString("latin1")
        })
        socket.on("error", () => {})
        socket.on("close", () => resolve(received))
      })
  )

describe("HealthServerHttp", () => {
  it.live("/health is 200 only when healthy, for any method, with Netsy's body", () =>
    Effect.gen(function* () {
      const status = yield* NodeStatus
      const loading = { status: 503, type: "application/json", body: '{"status":"loading"}\n' }
      assert.deepStrictEqual(yield* request("/health"), loading)
      assert.deepStrictEqual(yield* request("/health?verbose=1"), loading)
      status.setLoaded()
      for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS"]) {
        assert.deepStrictEqual(yield* request("/health", { method }), {
          status: 200,
          type: "application/json",
          body: '{"status":"healthy"}\n'
        })
      }
      assert.deepStrictEqual(yield* request("/health", { method: "POST", body: "x".repeat(1_000) }), {
        status: 200,
        type: "application/json",
        body: '{"status":"healthy"}\n'
      })
      assert.strictEqual((yield* request("/health", { method: "HEAD" })).body, "")
      status.setTrouble("store", "the bucket does not answer")
      assert.deepStrictEqual(yield* request("/health"), {
        status: 503,
        type: "application/json",
        body: '{"status":"degraded"}\n'
      })
    }).pipe(Effect.provide(layerAt("127.0.0.1:0")))
  )

  it.live("/livez is 200 always, /readyz says what is being waited for and how long", () =>
    Effect.gen(function* () {
      const status = yield* NodeStatus
      const clock = yield* Clock.Clock
      assert.deepStrictEqual(yield* request("/livez"), { status: 200, type: "text/plain; charset=utf-8", body: "ok\n" })
      status.setPrimary("starting")
      status.setWaiting({
        what: "the store lease of node-2",
        until: Number(clock.monotonicTimeNanosUnsafe()) / 1e6 + 60_000
      })
      status.setTrouble("store", "the bucket does not answer")
      const waiting = yield* request("/readyz")
      assert.strictEqual(waiting.status, 503)
      assert.match(
        waiting.body,
        /^not ready\nhealth: loading\nprimary: starting\nwaiting for: the store lease of node-2 \((59|60) s more\)\ntrouble: the bucket does not answer\n$/
      )
      status.setTrouble("store", undefined)
      status.setLoaded()
      assert.strictEqual((yield* request("/readyz")).status, 503)
      status.setPrimary("active")
      assert.deepStrictEqual(yield* request("/readyz"), {
        status: 200,
        type: "text/plain; charset=utf-8",
        body: "ok\n"
      })
      status.setPrimary("replica")
      assert.include((yield* request("/readyz")).body, "no Primary is known")
      status.setTerm(2, 9n)
      assert.strictEqual((yield* request("/readyz")).status, 200)
    }).pipe(Effect.provide(layerAt("127.0.0.1:0")))
  )

  it.live("/metrics is Prometheus text, any other path is 404", () =>
    Effect.gen(function* () {
      const metrics = yield* request("/metrics")
      assert.deepStrictEqual([metrics.status, metrics.type], [200, "text/plain; version=0.0.4; charset=utf-8"])
      assert.include(metrics.body, 'netsy_state_health{state="loading"} 1\n')
      for (const path of ["/", "/healthz", "/health/", "/metrics/x", "/../health/x", `/${"x".repeat(4_000)}`]) {
        assert.strictEqual((yield* request(path)).status, 404, path)
      }
    }).pipe(Effect.provide(layerAt("127.0.0.1:0")))
  )

  it.live("garbage, huge headers and TLS on the port cost their sender the connection and nobody else", () =>
    Effect.gen(function* () {
      const {
        address: { port }
      } = yield* HealthServer
      assert.include(yield* raw(port, "\u0000\u0001garbage\r\n\r\n"), "400 Bad Request")
      assert.include(
        yield* raw(port, Uint8Array.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])),
        "400 Bad Request"
      )
      assert.include(
        yield* raw(port, `GET /health HTTP/1.1\r\nhost: x\r\nlong: ${"x".repeat(20_000)}\r\n\r\n`),
        "400 Bad Request"
      )
      assert.include(yield* raw(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400 Bad Request")
      yield* raw(port, "GET /health HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", 500)
      yield* raw(port, "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", 500)
      assert.strictEqual((yield* request("/health")).status, 503)
    }).pipe(Effect.provide(layerAt("127.0.0.1:0")))
  )

  it.live("hundreds of idle connections are bounded, and when they are gone it answers as before", () =>
    Effect.gen(function* () {
      const {
        address: { port }
      } = yield* HealthServer
      const sockets = yield* Effect.promise(() =>
        Promise.all(
          Array.from(
            { length: 400 },
            () =>
              new Promise<Socket>((resolve) => {
                const socket = connect(port, "127.0.0.1", () => resolve(socket))
                socket.on("error", () => {})
              })
          )
        )
      )
      const isOpen = (socket: Socket): boolean => !socket.destroyed && socket.readyState === "open"
      yield* eventually("at most 256 are open", () => sockets.filter(isOpen).length <= 256)
      for (const socket of sockets) socket.destroy()
      yield* Effect.sleep(100)
      assert.strictEqual((yield* request("/livez")).status, 200)
    }).pipe(Effect.provide(layerAt("127.0.0.1:0")))
  )

  it.live("a port that is taken is an error that names listener and address; after closing it is free again", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.gen(function* () {
        const { address } = yield* HealthServer
        const failure = yield* Effect.flip(Effect.scoped(Layer.build(layerAt(`127.0.0.1:${address.port}`))))
        assert.strictEqual(failure.listener, "health")
        assert.match(failure.message, /^health port 127\.0\.0\.1:\d+: .*EADDRINUSE/)
        return address
      }).pipe(Effect.provide(layerAt("127.0.0.1:0")))
      yield* Effect.scoped(Layer.build(layerAt(`127.0.0.1:${port}`)))
    })
  )
})
