/**
 * The client port: gRPC through grpc-js and plain HTTP, on one listener of our own. Provides where it listens; serves
 * `ClientApi` and `HttpApi` for as long as its scope lives.
 */
import { Clock, Effect, Layer } from "effect"
import { ClientApi } from "../services/ClientApi.ts"
import { ClientListener, type ListenFailed } from "../services/ClientListener.ts"
import { HttpApi } from "../services/HttpApi.ts"
import { Identity } from "../services/Identity.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { Settings, type SettingsShape } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { makeClientRequests } from "./clientapi/clientRequests.ts"
import { makeGrpcMetrics } from "./clientapi/grpcMetrics.ts"
import { type GrpcOptions, makeGrpcServer } from "./clientapi/grpcServer.ts"
import { makeHttp1, notFound } from "./listening/http1.ts"
import { makeHttp2 } from "./listening/http2.ts"
import { listen, type ListenerOptions } from "./listening/listener.ts"
import { formatAddress } from "./listening/port.ts"

/** What a gRPC message may have beyond the request limit, as in etcd. */
const grpcOverheadBytes = 512 * 1024

export interface ClientListenerGrpcOptions {
  /** Default 10,000. */
  readonly connectionsMax?: number
  /** Time for the TLS handshake or the first bytes of a connection. Default 10,000. */
  readonly firstBytesMillis?: number
  /** Time for calls under way when the port closes. Default 5,000. */
  readonly stopMillis?: number
}

interface Place extends Pick<ListenerOptions, "bind" | "secure" | "reusePort"> {
  /** No gRPC here (`--listen-client-http-urls`). */
  readonly httpOnly: boolean
}

/** One port, or those that `--listen-client-urls` names. */
const placesOf = ({ bind, etcd }: SettingsShape, secure: boolean): ReadonlyArray<Place> =>
  etcd === undefined
    ? [{ bind: bind.client, secure, httpOnly: false }]
    : [...etcd.listenClient, ...etcd.listenClientHttp].map((url, i) => ({
        bind: url.address,
        secure: url.secure,
        reusePort: etcd.reusePort,
        httpOnly: i >= etcd.listenClient.length
      }))

/** As in etcd both intervals or none. */
const connectionOptions = ({ etcd }: SettingsShape): Pick<GrpcOptions, "keepAlive" | "maxConcurrentStreams"> => {
  if (etcd === undefined) return {}
  const { keepAlive, maxConcurrentStreams } = etcd
  const pings = keepAlive.intervalMillis > 0 && keepAlive.timeoutMillis > 0
  return { maxConcurrentStreams, ...(pings ? { keepAlive } : {}) }
}

export const layer = (
  options: ClientListenerGrpcOptions = {}
): Layer.Layer<ClientListener, ListenFailed, ClientApi | HttpApi | Identity | Settings | Metrics | Supervisor | Log> =>
  Layer.effect(
    ClientListener,
    Effect.gen(function* () {
      const api = yield* ClientApi
      const http = yield* HttpApi
      const settings = yield* Settings
      const supervisor = yield* Supervisor
      const log = yield* Log
      const metrics = yield* Metrics
      const counted = makeClientRequests(metrics)
      const stopMillis = options.stopMillis ?? 5_000
      const ownHttpPorts = (settings.etcd?.listenClientHttp.length ?? 0) > 0
      const grpc = makeGrpcServer({
        methods: api.methods,
        unary: (method, request, context, reply) => {
          counted("unary", context)
          api.unary(method, request, context, reply)
        },
        stream: (method, context, out) => {
          counted("stream", context)
          return api.stream(method, context, out)
        },
        ...(ownHttpPorts ? {} : { http: http.handle }),
        maxReceiveBytes: settings.limits.maxRequestBytes + grpcOverheadBytes,
        ...connectionOptions(settings),
        metrics: makeGrpcMetrics(metrics, yield* Clock.Clock),
        trace: log.debugging
          ? (method, direction, bytes) => log.debug("stream_message", { component: "client", method, direction, bytes })
          : undefined,
        broken: (method, error) => supervisor.fail(`client api ${method}`, error)
      })
      const http1 = makeHttp1(ownHttpPorts ? notFound : http.handle)
      const httpPorts = { http1: makeHttp1(http.handle), http2: makeHttp2(http.handle) }
      const identity = yield* Identity
      let stopped = false
      const open = (place: Place) =>
        listen({
          name: "client",
          ...place,
          role: "client",
          identity,
          log,
          connectionsMax: options.connectionsMax ?? 10_000,
          firstBytesMillis: options.firstBytesMillis ?? 10_000,
          stopMillis,
          http2: place.httpOnly ? httpPorts.http2.take : grpc.take,
          isQuiet: () => grpc.isQuiet() && http.isQuiet(),
          http1: place.httpOnly ? httpPorts.http1.take : http1.take,
          stop: () => {
            if (stopped) return
            stopped = true
            grpc.stop(stopMillis)
            http.stop()
            http1.stop()
            httpPorts.http1.stop()
            httpPorts.http2.stop()
          }
        }).pipe(
          Effect.tap((address) =>
            Effect.sync(() => log.info("listening", { component: "client", address: formatAddress(address) }))
          )
        )
      const addresses = yield* Effect.forEach(placesOf(settings, identity.secure), open)
      return ClientListener.of({ address: addresses[0]!, addresses })
    })
  )
