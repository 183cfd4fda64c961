/** Opens a TCP port or a socket file: the bound address, or an error that names listener, address and reason. */
import { rmSync } from "node:fs"
import type { Server } from "node:net"
import { Effect } from "effect"
import { ListenFailed } from "../../services/ClientListener.ts"
import type { HostPort, ListenAddress } from "../../services/Settings.ts"

export const formatAddress = ({ host, path, port }: ListenAddress): string =>
  path ?? `${host.includes(":") ? `[${host}]` : host}:${port}`

/** A socket file that a process before this one has left behind. */
const removeLeftover = (path: string): void => rmSync(path, { force: true })

export const openPort = (
  server: Server,
  listener: string,
  bind: ListenAddress,
  reusePort = false
): Effect.Effect<HostPort, ListenFailed> =>
  Effect.callback<HostPort, ListenFailed>((resume) => {
    const failed = (error: Error): void =>
      resume(Effect.fail(new ListenFailed({ listener, address: formatAddress(bind), reason: error.message })))
    server.once("error", failed)
    const { host, path, port } = bind
    const where =
      path === undefined
        ? { port, ...(host === "" ? {} : { host }), ...(reusePort ? { reusePort } : {}) }
        : // Whoever may use the file is said by its directory.
          { path, readableAll: true, writableAll: true }
    try {
      if (path !== undefined) removeLeftover(path)
    } catch (cause) {
      return failed(cause instanceof Error ? cause : new Error(String(cause)))
    }
    server.listen(where, () => {
      server.removeListener("error", failed)
      // Errors of accept (out of descriptors) pass: the next connection is tried again.
      server.on("error", () => {})
      const bound = server.address()
      resume(Effect.succeed({ ...bind, port: bound !== null && typeof bound === "object" ? bound.port : 0 }))
    })
  })
