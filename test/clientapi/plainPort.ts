/** The client port in plain text over the fakes, and bare connections to it. */
import { connect as connectHttp2 } from "node:http2"
import { connect as connectTcp, type Socket } from "node:net"
import { Effect, Layer } from "effect"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import * as ClientListenerGrpc from "../../src/layers/ClientListenerGrpc.ts"
import * as HttpApiEtcd from "../../src/layers/HttpApiEtcd.ts"
import { ClientListener } from "../../src/services/ClientListener.ts"
import { plain } from "./certs.ts"
import { ground } from "./fakes.ts"

export const world = (
  options: Parameters<typeof ground>[0] = {},
  grpc: ClientListenerGrpc.ClientListenerGrpcOptions = {}
) =>
  ClientListenerGrpc.layer(grpc).pipe(
    Layer.provideMerge(HttpApiEtcd.layer()),
    Layer.provideMerge(Layer.merge(ClientApiEtcd.layer, plain)),
    Layer.provideMerge(ground(options))
  )

export const address = ClientListener.useSync((listener) => listener.address)

export const tcp = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const socket = connectTcp(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

export const rawSession = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => connectHttp2(`http://127.0.0.1:${port}`).on("error", () => {})),
    (session) => Effect.sync(() => session.destroy())
  )
