/** Plain HTTP as etcd serves it beside gRPC: the JSON gateway over `ClientApi`, and what probes and monitoring ask. */
import { Clock, Effect, Layer } from "effect"
import { etcdCatalog } from "../core/metrics/etcdCatalog.ts"
import { Code, etcdError } from "../core/wire/errors.ts"
import { Alarms } from "../services/Alarms.ts"
import { ClientApi } from "../services/ClientApi.ts"
import { HttpApi, type HttpRequest, type HttpResponse } from "../services/HttpApi.ts"
import { Kv } from "../services/Kv.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { makeClientRequests } from "./clientapi/clientRequests.ts"
import { makeGrpcMetrics, type MethodMetrics } from "./clientapi/grpcMetrics.ts"
import { makeAccess } from "./httpapi/access.ts"
import { closing, sendText } from "./httpapi/answers.ts"
import { isGatewayPath, makeGateway } from "./httpapi/gateway.ts"
import { makeProbes } from "./httpapi/probes.ts"

/** What a message may have beyond the request limit, as in gRPC. */
const overheadBytes = 512 * 1024

export interface HttpApiOptions {
  /** Time for the body of a unary request. Default 60,000. */
  readonly bodyMillisMax?: number
}

const pathOf = (request: HttpRequest): string => (request.url ?? "").split("?", 1)[0]!

const notFound = (request: HttpRequest, response: HttpResponse): void =>
  sendText(response, 404, "404 page not found\n", closing(request))

export const layer = (
  options: HttpApiOptions = {}
): Layer.Layer<HttpApi, never, ClientApi | Alarms | Kv | NodeStatus | Settings | Metrics | Supervisor> =>
  Layer.effect(
    HttpApi,
    Effect.gen(function* () {
      const api = yield* ClientApi
      const settings = yield* Settings
      const supervisor = yield* Supervisor
      const metrics = yield* Metrics
      const methodMetrics = makeGrpcMetrics(metrics, yield* Clock.Clock)
      const byMethod = new Map<string, MethodMetrics>()
      const healthSuccess = metrics.counter(etcdCatalog.healthSuccess)
      const healthFailures = metrics.counter(etcdCatalog.healthFailures)

      const messageBytesMax = settings.limits.maxRequestBytes + overheadBytes
      const gateway = makeGateway({
        methods: api.methods,
        unary: api.unary,
        stream: api.stream,
        messageBytesMax,
        // Base64 makes 4 bytes of 3; the rest is for names, white space and what is ignored.
        body: { bytesMax: 2 * messageBytesMax, millisMax: options.bodyMillisMax ?? 60_000 },
        metrics: (method) => {
          const known = byMethod.get(method)
          if (known !== undefined) return known
          const made = methodMetrics(method, api.methods.get(method) ?? "unary")
          byMethod.set(method, made)
          return made
        },
        counted: makeClientRequests(metrics),
        guarded: (method, fail, body) => {
          try {
            body()
          } catch (error) {
            fail(etcdError(Code.Internal, "netsy: internal error"))
            supervisor.fail(`gateway ${method}`, error)
          }
        }
      })
      const probes = makeProbes({
        kv: yield* Kv,
        status: yield* NodeStatus,
        metrics,
        alarms: (yield* Alarms).active,
        healthChecked: (ok) => (ok ? healthSuccess : healthFailures).inc(),
        broken: (path, cause) => supervisor.fail(`http ${path}`, cause)
      })
      const answered = makeAccess(settings.http)

      const handleProbes = (request: HttpRequest, response: HttpResponse): void =>
        (probes.find(pathOf(request)) ?? notFound)(request, response)

      return HttpApi.of({
        handle: (request, response) => {
          if (answered(request, response)) return
          const path = pathOf(request)
          if (settings.http.gateway && isGatewayPath(path)) gateway.handle(path, request, response)
          else handleProbes(request, response)
        },
        handleProbes,
        isQuiet: gateway.isQuiet,
        stop: gateway.stop
      })
    })
  )
