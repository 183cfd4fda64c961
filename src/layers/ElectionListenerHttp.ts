/**
 * The election port: `GET /health/leadership` says whether this node holds the Elector's lock (netsy-1x.md 5.4). TLS
 * 1.2 or newer with the node's server certificate and without client certificates; plain HTTP in insecure mode.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createSecureServer, type Server as SecureServer } from "node:https"
import type { SecureContext } from "node:tls"
import { Clock, Effect, Layer } from "effect"
import type { ListenFailed } from "../services/ClientListener.ts"
import { ElectionListener } from "../services/ElectionListener.ts"
import { Identity } from "../services/Identity.ts"
import { Leadership } from "../services/Leadership.ts"
import { Log } from "../services/Log.ts"
import { Settings } from "../services/Settings.ts"
import { formatAddress, openPort } from "./listening/port.ts"
import { leadershipHttp } from "./internal/leadershipHttp.ts"

const requestMillis = 10_000
const idleMillis = 60_000
const connectionsMax = 1_000

const timeouts = {
  headersTimeout: requestMillis,
  requestTimeout: requestMillis,
  keepAliveTimeout: idleMillis,
  connectionsCheckingInterval: 5_000
}

export const layer: Layer.Layer<ElectionListener, ListenFailed, Leadership | Identity | Settings | Log> = Layer.effect(
  ElectionListener,
  Effect.gen(function* () {
    const identity = yield* Identity
    const settings = yield* Settings
    const log = yield* Log
    const answer = leadershipHttp(yield* Leadership, yield* Clock.Clock)
    const server = identity.secure ? secureServer(identity, answer) : createServer(timeouts, answer)
    server.maxConnections = connectionsMax
    server.setTimeout(idleMillis)
    const address = yield* openPort(server, "election", settings.bind.election)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
    )
    log.info("listening", { component: "election", address: formatAddress(address) })
    return ElectionListener.of({ address })
  })
)

/** The newest certificate files hold for every new connection. */
const secureServer = (
  identity: Identity["Service"],
  answer: (request: IncomingMessage, response: ServerResponse) => void
): Server => {
  const options = () => ({ ...identity.serverOptions(), minVersion: "TLSv1.2" as const })
  const server: SecureServer = createSecureServer(
    { ...options(), ...timeouts, handshakeTimeout: requestMillis, requestCert: false },
    answer
  )
  let context: SecureContext = identity.serverContext()
  server.prependListener("connection", () => {
    const newest = identity.serverContext()
    if (newest === context) return
    server.setSecureContext(options())
    context = newest
  })
  return server
}
