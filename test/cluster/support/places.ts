/** Where the nodes of a cluster listen: on ports of this machine, or each in a network namespace of its own. */
import { createServer } from "node:net"

export interface Ports {
  readonly client: number
  readonly peer: number
  readonly election: number
  readonly health: number
}

/** Where one node is, as itself and the test see it, and what it tells others. */
export interface Place {
  readonly host: string
  readonly ports: Ports
  /** What the others are told; another port where a relay stands before the node. */
  readonly advertised: Ports
  readonly namespace: string | undefined
}

export const hostPort = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`

/** Below the range that outgoing connections take theirs from: a port stays free while its node is down. */
const [lowest, highest] = [10_000, 32_000]

const isFree = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })

const taken = new Set<number>()

export const freePort = async (host: string): Promise<number> => {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (taken.has(port) || !(await isFree(host, port))) continue
    taken.add(port)
    return port
  }
}

export const placeOn = async (host: string): Promise<Place> => {
  const ports = {
    client: await freePort(host),
    peer: await freePort(host),
    election: await freePort(host),
    health: await freePort(host)
  }
  return { host, ports, advertised: ports, namespace: undefined }
}
