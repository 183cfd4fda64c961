/**
 * The JSON gateway: `POST /v3/…` for every rpc of `ClientApi`, whatever it is, transcoded by the descriptor. Owns which
 * calls are under way.
 */
import { rpcs } from "../../core/json/descriptor.ts"
import { Code, type EtcdError, errors, etcdError } from "../../core/wire/errors.ts"
import type { CallContext, ClientApi } from "../../services/ClientApi.ts"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"
import type { MethodMetrics } from "../clientapi/grpcMetrics.ts"
import { closing, sendError } from "./answers.ts"
import type { BodyLimits } from "./body.ts"
import { gatewayStream } from "./gatewayStream.ts"
import { gatewayUnary } from "./gatewayUnary.ts"
import { routes } from "./routes.ts"

export interface GatewayOptions extends Pick<ClientApi["Service"], "methods" | "unary" | "stream"> {
  /** Of one message in protobuf. */
  readonly messageBytesMax: number
  /** Of a body, or of one message in the body of a stream. */
  readonly body: BodyLimits
  readonly metrics: (method: string) => MethodMetrics
  readonly counted: (type: "unary" | "stream", context: CallContext) => void
  /** Runs the body; what it throws is a programming error, which fails the call. */
  readonly guarded: (method: string, fail: (error: EtcdError) => void, body: () => void) => void
}

export interface Gateway {
  /** Only for paths below `/v3`. */
  readonly handle: (path: string, request: HttpRequest, response: HttpResponse) => void
  readonly isQuiet: () => boolean
  readonly stop: () => void
}

interface Stream {
  end: (error: EtcdError) => void
}

const notFound = etcdError(Code.NotFound, "Not Found")
const methodNotAllowed = etcdError(Code.Unimplemented, "Method Not Allowed")

/** `/v3beta/…` is where etcd 3.3 had it. */
const currentPath = (path: string): string => (path.startsWith("/v3beta/") ? `/v3/${path.slice(8)}` : path)

export const isGatewayPath = (path: string): boolean => path.startsWith("/v3/") || path.startsWith("/v3beta/")

export const makeGateway = (options: GatewayOptions): Gateway => {
  const streams = new Set<Stream>()
  /** Unary calls that may wait long. */
  const waiting = new Set<(error: EtcdError) => void>()
  let unaryUnderWay = 0
  return {
    handle: (path, request, response) => {
      const method = routes.get(currentPath(path))
      if (method === undefined) return sendError(response, notFound, closing(request))
      if (request.method !== "POST") return sendError(response, methodNotAllowed, closing(request))
      const rpc = rpcs().get(method)!
      const kind = options.methods.get(method)
      if (kind === undefined || kind === "unary") {
        unaryUnderWay++
        let failed: ((error: EtcdError) => void) | undefined
        const waits = (fail: (error: EtcdError) => void): void => {
          failed = fail
          waiting.add(fail)
        }
        const over = (): void => {
          unaryUnderWay--
          if (failed !== undefined) waiting.delete(failed)
        }
        return gatewayUnary({ method, rpc, request, response, options, over, waits })
      }
      const entry: Stream = { end: () => {} }
      streams.add(entry)
      const over = (): void => {
        streams.delete(entry)
      }
      entry.end = gatewayStream({ method, rpc, kind, request, response, options, over })
    },
    isQuiet: () => unaryUnderWay === 0 && streams.size === 0,
    stop: () => {
      for (const { end } of streams) end(errors.serverStopped)
      for (const fail of waiting) fail(errors.serverStopped)
    }
  }
}
