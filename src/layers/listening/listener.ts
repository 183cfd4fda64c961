/**
 * One TCP port or socket file with or without TLS: accepts, authenticates, finds out which protocol is spoken and hands the socket on.
 * Owns everything before the first request: limits on time and number of connections, certificates and their reload.
 */
import { constants } from "node:crypto"
import { createServer, type Socket } from "node:net"
import { createServer as createTlsServer, type SecureContext, type Server as TlsServer, type TLSSocket } from "node:tls"
import { Effect, type Scope } from "effect"
import type { Caller } from "../../services/ClientApi.ts"
import type { ListenFailed } from "../../services/ClientListener.ts"
import type { Identity, Role } from "../../services/Identity.ts"
import type { Log } from "../../services/Log.ts"
import type { HostPort, ListenAddress } from "../../services/Settings.ts"
import { holdOpening } from "./opening.ts"
import { openPort } from "./port.ts"

const keepAliveMillis = 30_000

export interface ListenerOptions {
  /** For messages: "client", "peer". */
  readonly name: string
  readonly bind: ListenAddress
  /** TLS; absent: as the identity says. */
  readonly secure?: boolean
  /** Other processes may listen here too. */
  readonly reusePort?: boolean
  /** Nobody is asked for a certificate. */
  readonly anonymous?: boolean
  /** Whose certificates are let in. */
  readonly role: Role
  readonly identity: Identity["Service"]
  readonly log: Log["Service"]
  /** Connections above this are closed at once. */
  readonly connectionsMax: number
  /** Time for the TLS handshake, and for the first bytes of a connection in plain text. */
  readonly firstBytesMillis: number
  /** How long connections may take to finish when the scope closes. */
  readonly stopMillis: number
  /** Takes a socket that speaks HTTP/2, with who has shown a certificate on it (undefined: none was asked for). */
  readonly http2: (socket: Socket, caller: Caller | undefined) => void
  readonly http1: (socket: Socket, caller: Caller | undefined) => void
  /** No call is under way: idle connections need not be waited for. Absent: each is given its time. */
  readonly isQuiet?: () => boolean
  /** Called when the port is closed: asks everything under way to come to an end. */
  readonly stop: () => void
}

/** After the last call its answer gets this time to leave. */
const flushMillis = 100
const quietPollMillis = 10

/** Succeeds when no call is under way any more; a client with an idle connection holds nobody up. */
const quiet = (options: ListenerOptions): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { isQuiet } = options
    if (isQuiet === undefined) return yield* Effect.never
    while (!isQuiet()) yield* Effect.sleep(quietPollMillis)
    yield* Effect.sleep(flushMillis)
  })

let localPeers = 0

/** Those who come through a socket file have no address; each gets one, because callers are told apart by it. */
const giveAddress = (socket: Socket, from: Socket | undefined): void => {
  if (socket.remoteAddress !== undefined) return
  const port = from?.remotePort ?? (localPeers = (localPeers % Number.MAX_SAFE_INTEGER) + 1)
  Object.defineProperty(socket, "remoteAddress", { value: "local" })
  Object.defineProperty(socket, "remotePort", { value: port })
}

/** With several common names the last one counts, as in Go. */
const commonNameOf = (socket: TLSSocket): string | undefined => {
  const name: unknown = socket.getPeerCertificate().subject?.CN
  const last: unknown = Array.isArray(name) ? name.at(-1) : name
  return typeof last === "string" ? last : undefined
}

const peerOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`

const preface = Buffer.from("PRI ")

/** What the first bytes are; undefined: too few to tell. */
export const protocolOf = (bytes: Uint8Array): "http2" | "http1" | "unknown" | undefined => {
  const length = Math.min(bytes.length, preface.length)
  if (length === 0) return undefined
  if (Buffer.compare(bytes.subarray(0, length), preface.subarray(0, length)) === 0) {
    return length === preface.length ? "http2" : undefined
  }
  // Methods of HTTP/1 are capital letters.
  return bytes[0]! >= 0x41 && bytes[0]! <= 0x5a ? "http1" : "unknown"
}

/** Reads until the protocol is known, puts the bytes back and hands the socket on through `take`. */
const sniff = (
  socket: Socket,
  options: ListenerOptions,
  take: (protocol: "http2" | "http1", socket: Socket) => void
): void => {
  let seen: Buffer = Buffer.alloc(0)
  const leave = (): void => {
    socket.removeListener("readable", onReadable)
    socket.removeListener("end", onEnd)
    socket.removeListener("timeout", onTimeout)
    socket.setTimeout(0)
  }
  const refuse = (reason: string): void => {
    leave()
    options.log.debug("connection_refused", { component: options.name, peer: peerOf(socket), reason })
    socket.destroy()
  }
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
    const protocol = protocolOf(seen)
    if (protocol === undefined) return
    if (protocol === "unknown") {
      return refuse(seen[0] === 0x16 ? "TLS on a plain text port" : "neither HTTP/2 nor HTTP/1")
    }
    leave()
    if (protocol === "http2") {
      return holdOpening(socket, seen, options.firstBytesMillis, (whole) => take("http2", whole), refuse)
    }
    socket.unshift(seen)
    take(protocol, socket)
  }
  const onEnd = (): void => refuse("closed before the first request")
  const onTimeout = (): void => refuse(`nothing to go by within ${options.firstBytesMillis} ms`)
  socket.setTimeout(options.firstBytesMillis)
  socket.on("timeout", onTimeout)
  socket.on("end", onEnd)
  socket.on("readable", onReadable)
}

/** Opens the port for as long as the scope lives; returns where. */
export const listen = (options: ListenerOptions): Effect.Effect<HostPort, ListenFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const { bind, identity, log, name } = options
    const sockets = new Set<Socket>()
    /** Those that have not said yet what they want: nothing is lost when they are cut off. */
    const early = new Map<string, Socket>()
    /** Set while the port is being closed: called when the last socket is gone. */
    let whenIdle: (() => void) | undefined

    const accepted = (socket: Socket): void => {
      if (bind.path !== undefined) giveAddress(socket, undefined)
      const peer = peerOf(socket)
      sockets.add(socket)
      early.set(peer, socket)
      // Resets and broken pipes are everyday; what they interrupt learns of it by "close".
      socket.on("error", (error) => log.debug("connection_error", { component: name, peer, error: error.message }))
      socket.once("close", () => {
        sockets.delete(socket)
        if (early.get(peer) === socket) early.delete(peer)
        if (sockets.size === 0) whenIdle?.()
      })
      socket.setNoDelay(true)
      socket.setKeepAlive(true, keepAliveMillis)
    }

    const take = (protocol: "http2" | "http1", socket: Socket, caller?: Caller): void => {
      early.delete(peerOf(socket))
      options[protocol](socket, caller)
    }
    const isSecure = options.secure ?? identity.secure
    const asks = isSecure && options.anonymous !== true && identity.asksCertificate(options.role)

    const authenticated = (socket: TLSSocket): void => {
      if (bind.path !== undefined) giveAddress(socket, (socket as unknown as { readonly _parent?: Socket })._parent)
      const peer = peerOf(socket)
      socket.on("error", (error) => {
        log.debug("connection_error", { component: name, peer, error: error.message })
        // Damaged bytes in the midst of a write: HTTP/2 would wait for it for ever.
        socket.destroy()
      })
      const refuse = (reason: string): void => {
        log.warn("connection_refused", { component: name, peer, reason })
        socket.destroy()
      }
      const protocol = socket.alpnProtocol === "h2" ? "http2" : "http1"
      if (!asks) return take(protocol, socket)
      if (!socket.authorized) {
        const reason = Object.keys(socket.getPeerCertificate()).length === 0 ? "no client certificate" : undefined
        return refuse(reason ?? `client certificate: ${String(socket.authorizationError)}`)
      }
      const checked = identity.check(socket.getPeerCertificate(), options.role)
      if (!checked.ok) return refuse(checked.reason)
      take(protocol, socket, { identity: checked.name, commonName: commonNameOf(socket) })
    }

    const secure = isSecure ? makeTls(options, asks, authenticated) : undefined
    const server = createServer({ allowHalfOpen: secure === undefined, noDelay: true }, (socket) => {
      accepted(socket)
      if (secure === undefined) sniff(socket, options, take)
      else secure(socket)
    })
    server.maxConnections = options.connectionsMax
    server.on("drop", (dropped) =>
      log.warn("connection_refused", {
        component: name,
        peer: `${dropped?.remoteAddress}:${dropped?.remotePort}`,
        reason: `more than ${options.connectionsMax} connections`
      })
    )

    const address = yield* openPort(server, name, bind, options.reusePort)
    yield* Effect.addFinalizer(() =>
      Effect.callback<void>((resume) => {
        whenIdle = () => resume(Effect.void)
        server.close()
        options.stop()
        for (const socket of early.values()) socket.destroy()
        if (sockets.size === 0) whenIdle()
      }).pipe(
        Effect.raceFirst(quiet(options)),
        Effect.timeoutOption(options.stopMillis),
        Effect.andThen(
          Effect.sync(() => {
            whenIdle = undefined
            for (const socket of sockets) socket.destroy()
          })
        )
      )
    )
    return address
  })

/** TLS 1.3 unless the identity says something else. The newest certificate files hold for every new connection. */
const makeTls = (
  options: ListenerOptions,
  asks: boolean,
  authenticated: (socket: TLSSocket) => void
): ((socket: Socket) => void) => {
  const { identity, log, name, role } = options
  const settings = () => ({
    minVersion: "TLSv1.3" as const,
    ...identity.serverOptions(role),
    // A resumed session would carry the certificate check of long ago.
    secureOptions: constants.SSL_OP_NO_TICKET
  })
  const server: TlsServer = createTlsServer({
    ...settings(),
    ALPNProtocols: ["h2", "http/1.1"],
    requestCert: asks,
    // Node closes such connections without a word; `authenticated` does the same and says why.
    rejectUnauthorized: false,
    handshakeTimeout: options.firstBytesMillis
  })
  server.on("secureConnection", authenticated)
  server.on("tlsClientError", (error, socket) => {
    const said = (error as { readonly reason?: string }).reason
    const plain = said === "http request" || said === "wrong version number"
    // Like a wrong certificate this is a client that somebody has to set right; a handshake given up is everyday.
    const reason = plain ? `no TLS: this port is for TLS (${said})` : (said ?? error.message)
    log[plain ? "warn" : "debug"]("connection_refused", { component: name, peer: peerOf(socket), reason })
    socket.destroy()
  })
  let context: SecureContext = identity.serverContext(role)
  return (socket) => {
    const newest = identity.serverContext(role)
    if (newest !== context) {
      server.setSecureContext(settings())
      context = newest
    }
    server.emit("connection", socket)
  }
}
