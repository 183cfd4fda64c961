/**
 * Health, status and metrics in plain HTTP on `bind.health`. Read only, small limits everywhere: whoever sends garbage, sends
 * slowly or opens many connections loses his connection and nobody else's.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Clock, Effect, Layer } from "effect"
import { formatHostPort } from "../core/config/address.ts"
import { type HealthAnswer, healthAnswer, livezAnswer, readyzAnswer, statusAnswer } from "../core/health/answers.ts"
import { isoTime } from "../core/isoTime.ts"
import { beginningJson } from "../core/status/document.ts"
import { version } from "../core/version.ts"
import { ListenFailed } from "../services/ClientListener.ts"
import { HealthServer } from "../services/HealthServer.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { type HostPort, Settings } from "../services/Settings.ts"

const connectionsMax = 256
const headerBytesMax = 8_192
const headersTimeoutMillis = 5_000
const requestTimeoutMillis = 10_000
const keepAliveMillis = 15_000
const idleTimeoutMillis = 30_000

type Answer = (path: string) => HealthAnswer | Promise<HealthAnswer> | undefined

export const layer: Layer.Layer<HealthServer, ListenFailed, Settings | NodeStatus | Metrics | Log> = Layer.effect(
  HealthServer,
  Effect.gen(function* () {
    const settings = yield* Settings
    const address = settings.bind.health
    const status = yield* NodeStatus
    const metrics = yield* Metrics
    const log = yield* Log
    const clock = yield* Clock.Clock

    const view = () => ({
      health: status.health(),
      primary: status.primary(),
      leaderMemberId: status.leaderMemberId(),
      waiting: status.waiting(),
      troubles: status.troubles()
    })
    const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const beginning = (): HealthAnswer => {
      const waiting = status.waiting()
      const until = waiting?.until
      return statusAnswer(
        beginningJson({
          clusterId: settings.clusterId,
          nodeId: settings.nodeId,
          peerAddress: settings.advertise.peer,
          clientAddress: settings.advertise.client,
          version,
          at: isoTime(clock.currentTimeMillisUnsafe()),
          health: status.health(),
          elector: status.elector(),
          primary: status.primary(),
          waitingFor: waiting?.what ?? "",
          waitingMillis: until === undefined ? -1 : Math.max(0, Math.ceil(until - nowMillis())),
          troubles: status.troubles()
        })
      )
    }
    const handlers = new Map<string, () => Promise<HealthAnswer>>()
    const answer: Answer = (path) => {
      const handler = handlers.get(path)
      if (handler !== undefined) return handler()
      if (path === "/health") return healthAnswer(status.health())
      if (path === "/livez") return livezAnswer
      if (path === "/readyz") return readyzAnswer(view(), nowMillis())
      if (path === "/status") return beginning()
      if (path !== "/metrics") return undefined
      return metrics
        .render()
        .then((body) => ({ status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body }))
    }
    const onDefect = (cause: unknown): void => log.error("health_request_failed", { error: cause })
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => makeServer(answer, onDefect)),
      (server) => close(server)
    )
    const port = yield* listen(server, address)
    // Out of file descriptors, for example: the connection is lost, the listener stays.
    server.on("error", (cause) => log.warn("accept_failed", { component: "health", error: cause }))
    log.info("listening", { component: "health", address: formatHostPort({ host: address.host, port }) })
    return HealthServer.of({
      address: { host: address.host, port },
      handle: (path, handler) => {
        handlers.set(path, handler)
      }
    })
  })
)

const makeServer = (answer: Answer, onDefect: (cause: unknown) => void): Server => {
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMillis,
      requestTimeout: requestTimeoutMillis,
      keepAliveTimeout: keepAliveMillis,
      connectionsCheckingInterval: 1_000
    },
    (request, response) => respond(request, response, answer, onDefect)
  )
  server.maxConnections = connectionsMax
  server.setTimeout(idleTimeoutMillis, (socket) => socket.destroy())
  server.on("clientError", (_, socket) => {
    if (!socket.writable) return socket.destroy()
    socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", () => socket.destroy())
  })
  server.on("upgrade", (_, socket) => socket.destroy())
  server.on("connect", (_, socket) => socket.destroy())
  return server
}

const respond = (
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  onDefect: (cause: unknown) => void
): void => {
  const path = (request.url ?? "").split("?", 1)[0]!
  const send = ({ status, contentType, body }: HealthAnswer): void => {
    // No body is read: a connection that still carries one is not used again.
    const carriesBody =
      request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined
    response.writeHead(status, {
      "content-type": contentType,
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
      ...(carriesBody ? { connection: "close" } : {})
    })
    response.end(request.method === "HEAD" ? undefined : body)
  }
  const fail = (cause: unknown): void => {
    onDefect(cause)
    if (!response.headersSent) send({ status: 500, contentType: "text/plain; charset=utf-8", body: "internal error\n" })
  }
  try {
    const found = answer(path)
    if (found === undefined) send({ status: 404, contentType: "text/plain; charset=utf-8", body: "not found\n" })
    else if (found instanceof Promise) found.then(send).catch(fail)
    else send(found)
  } catch (cause) {
    fail(cause)
  }
}

const listen = (server: Server, address: HostPort): Effect.Effect<number, ListenFailed> =>
  Effect.callback<number, ListenFailed>((resume) => {
    const failed = (cause: Error): void =>
      resume(
        Effect.fail(new ListenFailed({ listener: "health", address: formatHostPort(address), reason: cause.message }))
      )
    server.once("error", failed)
    server.listen({ port: address.port, ...(address.host === "" ? {} : { host: address.host }) }, () => {
      server.off("error", failed)
      resume(Effect.succeed((server.address() as AddressInfo).port))
    })
  })

/** Hard, as in Netsy 1.x: the answers are small and repeatable. */
const close = (server: Server): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
