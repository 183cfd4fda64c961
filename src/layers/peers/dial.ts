/** Connects to a peer's port, with TLS where it is due, and makes sure that it is the wanted node's. */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { connect, isIP, type Socket } from "node:net"
import { clearTimeout, setTimeout } from "node:timers"
import { checkServerIdentity, connect as connectTls, type PeerCertificate } from "node:tls"
import { parseHostPort } from "../../core/config/address.ts"
import type { Identity } from "../../services/Identity.ts"
import type { PeerAddress } from "../../services/PeerNetwork.ts"

const connectMillis = 1_000

export interface Dialled {
  /** Ready for HTTP/2. */
  readonly socket: Socket
  readonly authority: string
}

export interface DialOptions {
  readonly identity: Identity["Service"]
  /** TLS. */
  readonly secure: boolean
  /** False: nobody has signed the peers' certificates (`--peer-auto-tls`), so that they prove nothing. */
  readonly verified: boolean
}

/** Where an address without a host is, as Go's `net` package has it: on this machine. */
const endpointOf = (address: string): { readonly host: string; readonly port: number } | string => {
  const parsed = parseHostPort(address)
  if (!parsed.ok) return `the address ${address} is not host:port: ${parsed.reason}`
  return { host: parsed.address.host === "" ? "127.0.0.1" : parsed.address.host, port: parsed.address.port }
}

const wrongNode = (identity: Identity["Service"], certificate: PeerCertificate, nodeId: string): string | undefined => {
  const checked = identity.check(certificate, "peer")
  if (!checked.ok) return checked.reason
  // In `netsy etcd` certificates name nobody, and what the callee answers decides.
  if (checked.name === undefined || checked.name === nodeId) return undefined
  return `the certificate is node ${checked.name}'s, not node ${nodeId}'s`
}

/** Calls `done` once, with a socket or with what is wrong. Returns how to give up. */
export const dial = (to: PeerAddress, options: DialOptions, done: (result: Dialled | string) => void): (() => void) => {
  let over = false
  const finish = (result: Dialled | string): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    if (typeof result === "string") raw?.destroy()
    done(result)
  }
  const timer = setTimeout(() => finish(`no connection to ${to.address} within ${connectMillis} ms`), connectMillis)
  const endpoint = endpointOf(to.address)
  let raw: Socket | undefined
  if (typeof endpoint === "string") queueMicrotask(() => finish(endpoint))
  else {
    const { host, port } = endpoint
    const name = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
    raw = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
    raw.on("error", (error) => finish(`cannot connect to ${to.address}: ${error.message}`))
    raw.on("close", () => finish(`the connection to ${to.address} was closed before it was of use`))
    if (!options.secure) raw.once("connect", () => finish({ socket: raw!, authority: `http://${name}` }))
    else {
      const { identity } = options
      const socket = connectTls({
        minVersion: "TLSv1.3",
        ...identity.clientOptions(),
        socket: raw,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        host,
        ALPNProtocols: ["h2"],
        rejectUnauthorized: options.verified,
        checkServerIdentity: (_host, certificate) => {
          const bad = checkServerIdentity(host, certificate)
          if (bad !== undefined) return bad
          const reason = wrongNode(identity, certificate, to.nodeId)
          return reason === undefined ? undefined : new Error(reason)
        }
      })
      socket.on("error", (error) => finish(`cannot connect to ${to.address}: ${error.message}`))
      socket.once("secureConnect", () => {
        if (socket.alpnProtocol !== "h2") return finish(`${to.address} does not speak HTTP/2`)
        finish({ socket, authority: `https://${name}` })
      })
    }
  }
  return () => {
    if (over) return
    over = true
    clearTimeout(timer)
    raw?.destroy()
  }
}

/** A refused or unroutable connection is dead, silence is not known. */
export const probe = (
  to: PeerAddress,
  timeoutMillis: number,
  reply: (found: "listening" | "dead" | "silent") => void
): (() => void) => {
  let over = false
  const finish = (found: "listening" | "dead" | "silent"): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    socket?.destroy()
    reply(found)
  }
  const timer = setTimeout(() => finish("silent"), timeoutMillis)
  const endpoint = endpointOf(to.address)
  let socket: Socket | undefined
  if (typeof endpoint === "string") queueMicrotask(() => finish("dead"))
  else {
    socket = connect(endpoint)
    socket.on("error", (error) => finish(isTimeout(error) ? "silent" : "dead"))
    socket.on("connect", () => finish("listening"))
  }
  return () => {
    over = true
    clearTimeout(timer)
    socket?.destroy()
  }
}

/** Neither the network's own patience nor a name that cannot be resolved for the moment says anything about the node. */
const isTimeout = (error: NodeJS.ErrnoException): boolean => error.code === "ETIMEDOUT" || error.code === "EAI_AGAIN"
