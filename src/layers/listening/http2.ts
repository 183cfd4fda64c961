/** HTTP/2 without gRPC: takes sockets and answers through a handler. */
import { createServer, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Session } from "node:http2"
import type { Socket } from "node:net"
import type { HttpHandler } from "./http1.ts"

export interface Http2Server {
  readonly take: (socket: Socket) => void
  readonly stop: () => void
}

export const makeHttp2 = (handler: HttpHandler): Http2Server => {
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer((request: Http2ServerRequest, response: Http2ServerResponse) =>
    handler(request, response)
  )
  server.on("session", (session) => {
    sessions.add(session)
    session.once("close", () => sessions.delete(session))
  })
  // A session that breaks is its client's affair; the socket is closed with it.
  server.on("sessionError", () => {})
  return {
    take: (socket) => {
      server.emit("connection", socket)
    },
    stop: () => {
      for (const session of sessions) session.close()
    }
  }
}
