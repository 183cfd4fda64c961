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
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { makeGrpcMetrics } from "./clientapi/grpcMetrics.ts"
import { makeGrpcServer } from "./clientapi/grpcServer.ts"
import { makeHttp1 } from "./clientapi/http1.ts"
import { listen } from "./clientapi/listener.ts"
import { formatAddress } from "./clientapi/port.ts"

/** What a gRPC message may have beyond the request limit, as in etcd. */
const grpcOverheadBytes = 512 * 1024

export interface ClientApiGrpcOptions {
  /** Default 10,000. */
  readonly connectionsMax?: number
  /** Time for the TLS handshake or the first bytes of a connection. Default 10,000. */
  readonly firstBytesMillis?: number
  /** Time for calls under way when the port closes. Default 5,000. */
  readonly stopMillis?: number
}

export const layer = (
  options: ClientApiGrpcOptions = {}
): Layer.Layer<ClientListener, ListenFailed, ClientApi | HttpApi | Identity | Settings | Metrics | Supervisor | Log> =>
  Layer.effect(
    ClientListener,
    Effect.gen(function* () {
      const api = yield* ClientApi
      const http = yield* HttpApi
      const settings = yield* Settings
      const supervisor = yield* Supervisor
      const log = yield* Log
      const stopMillis = options.stopMillis ?? 5_000
      const grpc = makeGrpcServer({
        methods: api.methods,
        unary: api.unary,
        stream: api.stream,
        http: http.handle,
        maxReceiveBytes: settings.limits.maxRequestBytes + grpcOverheadBytes,
        metrics: makeGrpcMetrics(yield* Metrics, yield* Clock.Clock),
        trace: log.debugging
          ? (method, direction, bytes) => log.debug("stream_message", { component: "client", method, direction, bytes })
          : undefined,
        broken: (method, error) => supervisor.fail(`client api ${method}`, error)
      })
      const http1 = makeHttp1(http.handle)
      const address = yield* listen({
        name: "client",
        bind: settings.bind.client,
        role: "client",
        identity: yield* Identity,
        log,
        connectionsMax: options.connectionsMax ?? 10_000,
        firstBytesMillis: options.firstBytesMillis ?? 10_000,
        stopMillis,
        http2: grpc.take,
        isQuiet: () => grpc.isQuiet() && http.isQuiet(),
        http1: http1.take,
        stop: () => {
          grpc.stop(stopMillis)
          http.stop()
          http1.stop()
        }
      })
      log.info("listening", { component: "client", address: formatAddress(address) })
      return ClientListener.of({ address })
    })
  )
