/** HTTP/1 on a gRPC port: takes sockets, keeps slow senders short, answers through a handler that can be exchanged. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { Socket } from "node:net"

export type Http1Handler = (request: IncomingMessage, response: ServerResponse) => void

/** For paths that nobody serves, in the form of etcd's gateway. */
export const notFound: Http1Handler = (_request, response) => {
  response.writeHead(404, { "content-type": "application/json" })
  response.end('{"code":5, "message":"Not Found", "details":[]}\n')
}

export interface Http1Server {
  readonly take: (socket: Socket) => void
  readonly stop: () => void
}

export const makeHttp1 = (handler: Http1Handler): Http1Server => {
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 60_000, connectionsCheckingInterval: 5_000 },
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
