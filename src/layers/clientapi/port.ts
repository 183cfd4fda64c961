/** Opens a TCP port: the bound address, or an error that names listener, address and reason. */
import type { Server } from "node:net"
import { Effect } from "effect"
import { ListenFailed } from "../../services/ClientListener.ts"
import type { HostPort } from "../../services/Settings.ts"

export const formatAddress = ({ host, port }: HostPort): string => `${host.includes(":") ? `[${host}]` : host}:${port}`

export const openPort = (server: Server, listener: string, bind: HostPort): Effect.Effect<HostPort, ListenFailed> =>
  Effect.callback<HostPort, ListenFailed>((resume) => {
    const failed = (error: Error): void =>
      resume(Effect.fail(new ListenFailed({ listener, address: formatAddress(bind), reason: error.message })))
    server.once("error", failed)
    server.listen({ port: bind.port, ...(bind.host === "" ? {} : { host: bind.host }) }, () => {
      server.removeListener("error", failed)
      // Errors of accept (out of descriptors) pass: the next connection is tried again.
      server.on("error", () => {})
      const bound = server.address()
      resume(Effect.succeed({ host: bind.host, port: bound !== null && typeof bound === "object" ? bound.port : 0 }))
    })
  })
