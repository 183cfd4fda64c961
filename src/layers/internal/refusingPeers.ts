/** HTTP/2 for peers of a node that runs alone: every gRPC call is answered as Unavailable, and says why. */
import { createServer, type ServerHttp2Session } from "node:http2"
import type { Socket } from "node:net"
import { Code } from "../../core/wire/errors.ts"
import type { Log } from "../../services/Log.ts"

export interface RefusingPeers {
  readonly take: (socket: Socket) => void
  readonly stop: () => void
}

export const refusingPeers = (nodeId: string, log: Log["Service"]): RefusingPeers => {
  const sessions = new Set<ServerHttp2Session>()
  const refusal = {
    ":status": 200,
    "content-type": "application/grpc",
    "grpc-status": String(Code.Unavailable),
    "grpc-message": encodeURI(`netsy: node ${nodeId} runs alone and serves no peers`)
  }
  const server = createServer()
  server.on("session", (session) => {
    sessions.add(session)
    session.once("close", () => sessions.delete(session))
  })
  server.on("stream", (stream) => {
    stream.on("error", (error) => log.debug("connection_error", { component: "peer", error: error.message }))
    stream.respond(refusal, { endStream: true })
  })
  return {
    take: (socket) => {
      server.emit("connection", socket)
    },
    stop: () => {
      for (const session of sessions) session.close()
    }
  }
}
