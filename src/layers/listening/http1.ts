/** HTTP/1 on a gRPC port: takes sockets, keeps slow senders of headers short, answers through a handler. */
import { createServer } from "node:http"
import type { Socket } from "node:net"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"

export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void

/** For ports that serve nothing in plain HTTP. */
export const notFound: HttpHandler = (_request, response) => {
  response.writeHead(404, { "content-type": "application/json" })
  response.end('{"code":5, "message":"Not Found", "details":[]}\n')
}

export interface Http1Server {
  readonly take: (socket: Socket) => void
  readonly stop: () => void
}

export const makeHttp1 = (handler: HttpHandler): Http1Server => {
  const server = createServer(
    // A body may take its time: that of a watch never ends. Handlers set limits of their own.
    { headersTimeout: 10_000, requestTimeout: 0, keepAliveTimeout: 60_000, connectionsCheckingInterval: 5_000 },
    handler
  )
  // This server has no port of its own; "listening" starts its checks of slow requests.
  server.emit("listening")
  return {
    take: (socket) => {
      server.emit("connection", socket)
    },
    stop: () => {
      server.close(() => {})
      server.closeIdleConnections()
    }
  }
}
