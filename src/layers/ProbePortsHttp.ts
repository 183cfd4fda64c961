/**
 * `ProbePorts` on every address of `--listen-metrics-urls`, without client certificates. They open first, so that a node
 * which still loads, or waits for the store's lock, is seen to live.
 */
import { Effect, Layer } from "effect"
import { assert } from "../core/assert.ts"
import { healthBody } from "../core/health/etcdChecks.ts"
import type { ListenFailed } from "../services/ClientListener.ts"
import { Identity } from "../services/Identity.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { ProbePorts } from "../services/ProbePorts.ts"
import { type ListenUrl, Settings } from "../services/Settings.ts"
import { type HttpHandler, makeHttp1 } from "./listening/http1.ts"
import { makeHttp2 } from "./listening/http2.ts"
import { listen } from "./listening/listener.ts"
import { formatAddress } from "./listening/port.ts"

const connectionsMax = 256
const firstBytesMillis = 10_000
const stopMillis = 1_000

const plain = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" }

/** What is asked of a node that is not ready. */
const unready =
  (metrics: Metrics["Service"], log: Log["Service"]): HttpHandler =>
  (request, response) => {
    request.resume()
    const send = (status: number, type: Readonly<Record<string, string>>, body: string): void => {
      response.writeHead(status, { ...type, "content-length": Buffer.byteLength(body) })
      response.end(body)
    }
    const path = (request.url ?? "").split("?", 1)[0]
    if (path === "/livez") return send(200, plain, "ok\n")
    if (path === "/readyz") return send(503, plain, "[-]linearizable_read failed: etcdserver: not ready\n")
    if (path === "/health") return send(503, plain, `${healthBody("RAFT NO LEADER")}\n`)
    if (path !== "/metrics") return send(404, plain, "404 page not found\n")
    metrics.render().then(
      (body) => send(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }, body),
      (cause: unknown) => {
        log.error("health_request_failed", { error: cause })
        send(500, plain, "internal error\n")
      }
    )
  }

export const layer: Layer.Layer<ProbePorts, ListenFailed, Identity | Settings | Metrics | Log> = Layer.effect(
  ProbePorts,
  Effect.gen(function* () {
    const { etcd } = yield* Settings
    assert(etcd !== undefined, "ProbePortsHttp is for netsy etcd")
    const log = yield* Log
    const identity = yield* Identity
    let handler = unready(yield* Metrics, log)
    const http1 = makeHttp1((request, response) => handler(request, response))
    const http2 = makeHttp2((request, response) => handler(request, response))
    const open = ({ address: bind, secure }: ListenUrl) =>
      listen({
        name: "metrics",
        bind,
        secure,
        reusePort: etcd.reusePort,
        anonymous: true,
        role: "client",
        identity,
        log,
        connectionsMax,
        firstBytesMillis,
        stopMillis,
        http2: http2.take,
        http1: http1.take,
        isQuiet: () => true,
        stop: () => {
          http1.stop()
          http2.stop()
        }
      }).pipe(
        Effect.tap((address) =>
          Effect.sync(() => log.info("listening", { component: "metrics", address: formatAddress(address) }))
        )
      )
    const addresses = yield* Effect.forEach(etcd.listenMetrics, open)
    return ProbePorts.of({
      addresses,
      serve: (handle) => {
        handler = handle
      }
    })
  })
)
