/**
 * `PeerNetwork` over the peer port: gRPC's wire format on HTTP/2 with mutual TLS, or in plain text. Owns the port, one
 * connection to each peer, and what is under way on them.
 */
import { Clock, Context, Effect, Layer, type Scope } from "effect"
import { assert } from "../core/assert.ts"
import { Code } from "../core/wire/errors.ts"
import type { ListenFailed } from "../services/ClientListener.ts"
import { Identity } from "../services/Identity.ts"
import { Log } from "../services/Log.ts"
import { PeerListener } from "../services/PeerListener.ts"
import {
  type PeerAddress,
  type PeerMethod,
  PeerNetwork,
  PeerRefused,
  type PeerStreamMethod
} from "../services/PeerNetwork.ts"
import { type ListenAddress, Settings } from "../services/Settings.ts"
import { type HttpHandler, makeHttp1, notFound } from "./listening/http1.ts"
import { listen } from "./listening/listener.ts"
import { formatAddress } from "./listening/port.ts"
import { messageBytesMax } from "./peers/bounds.ts"
import { Callee } from "./peers/Callee.ts"
import { Connection } from "./peers/Connection.ts"
import { probe } from "./peers/dial.ts"
import { OutgoingCall } from "./peers/OutgoingCall.ts"
import { OutgoingStream } from "./peers/OutgoingStream.ts"
import { tracedHandler, tracedOpen } from "./peers/traced.ts"

const connectionsMax = 1_000
const firstBytesMillis = 10_000
const stopMillis = 1_000

interface Port {
  readonly bind: ListenAddress
  /** TLS; absent: as the identity says. */
  readonly secure?: boolean
  readonly reusePort?: boolean
}

interface Options {
  readonly ports: readonly [Port, ...Array<Port>]
  /** How others are dialled. */
  readonly secure: boolean
  /** See `DialOptions`. */
  readonly verified: boolean
}

const make = (
  options: Options
): Effect.Effect<Context.Context<PeerNetwork | PeerListener>, ListenFailed, Identity | Settings | Log | Scope.Scope> =>
  Effect.gen(function* () {
    const { clusterId, nodeId } = yield* Settings
    const log = yield* Log
    const identity = yield* Identity
    const clock = yield* Clock.Clock
    const now = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const handlers = new Map<string, PeerMethod>()
    const streamHandlers = new Map<string, PeerStreamMethod>()

    const connections = new Map<string, Connection>()
    const probes = new Set<() => void>()
    let stopped = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        stopped = true
        for (const connection of connections.values()) connection.stop()
        for (const stop of probes) stop()
      })
    )
    const connection = (to: PeerAddress): Connection => {
      const key = `${to.nodeId} ${to.address}`
      const known = connections.get(key)
      if (known !== undefined) return known
      const fields = { component: "peer", node: to.nodeId, address: to.address }
      const made = new Connection(to, {
        identity,
        secure: options.secure,
        verified: options.verified,
        now,
        opened: () => log.debug("peer_connected", fields),
        // A node that stops closes its own port before whoever still calls it.
        failed: (reason, missed) =>
          log[missed && to.nodeId !== nodeId ? "warn" : "debug"]("peer_unreachable", { ...fields, reason }),
        idle: () => connections.delete(key)
      })
      connections.set(key, made)
      if (stopped) made.stop()
      return made
    }

    const caller = { clusterId, nodeId }
    const network = PeerNetwork.of({
      call: (to, method, request, timeoutMillis, reply) => {
        if (request.length > messageBytesMax) {
          const reason = `a request of ${request.length} bytes is longer than ${messageBytesMax}`
          let wanted = true
          queueMicrotask(() => {
            if (wanted) reply.fail(new PeerRefused({ nodeId: to.nodeId, method, code: Code.ResourceExhausted, reason }))
          })
          return () => {
            wanted = false
          }
        }
        const call = new OutgoingCall(to, method, request, timeoutMillis, caller, reply)
        call.release = connection(to).use(call)
        return () => call.giveUp()
      },
      open: (to, method, sink) =>
        tracedOpen(log, method, to.nodeId, sink, (traced) => {
          const stream = new OutgoingStream(to, method, caller, traced)
          stream.release = connection(to).use(stream)
          return stream
        }),
      handle: (method, handler) => {
        assert(!handlers.has(method), `two handlers of ${method}`)
        handlers.set(method, handler)
      },
      handleStream: (method, handler) => {
        assert(!streamHandlers.has(method), `two handlers of ${method}`)
        streamHandlers.set(method, tracedHandler(log, method, handler))
      },
      probe: (to, timeoutMillis, reply) => {
        const stop = probe(to, timeoutMillis, (found) => {
          probes.delete(stop)
          reply(found)
        })
        probes.add(stop)
      }
    })

    const callee = new Callee({ clusterId, nodeId, log, handlers, streamHandlers })
    let http: HttpHandler = notFound
    const http1 = makeHttp1((request, response) => http(request, response))
    yield* Effect.addFinalizer(() => Effect.sync(() => callee.destroy()))
    const addresses = yield* Effect.forEach(options.ports, (port) =>
      listen({
        name: "peer",
        ...port,
        role: "peer",
        identity,
        log,
        connectionsMax,
        firstBytesMillis,
        stopMillis,
        http2: (socket, shown) => callee.take(socket, shown?.identity),
        http1: http1.take,
        isQuiet: () => callee.isQuiet,
        stop: () => {
          callee.stop()
          http1.stop()
        }
      }).pipe(
        Effect.tap((address) =>
          Effect.sync(() => log.info("listening", { component: "peer", address: formatAddress(address) }))
        )
      )
    )
    const listener = PeerListener.of({
      address: addresses[0]!,
      handleHttp: (handler) => {
        http = handler
      }
    })
    return Context.make(PeerNetwork, network).pipe(Context.add(PeerListener, listener))
  })

export const layer: Layer.Layer<PeerNetwork | PeerListener, ListenFailed, Identity | Settings | Log> =
  Layer.effectContext(
    Effect.gen(function* () {
      const { bind } = yield* Settings
      const { secure } = yield* Identity
      return yield* make({ ports: [{ bind: bind.peer }], secure, verified: true })
    })
  )

/** For `netsy etcd`: the addresses of `--listen-peer-urls`, each of which says whether it is secure. */
export const layerEtcd: Layer.Layer<PeerNetwork | PeerListener, ListenFailed, Identity | Settings | Log> =
  Layer.effectContext(
    Effect.gen(function* () {
      const { etcd } = yield* Settings
      assert(etcd !== undefined, "PeerNetworkGrpc.layerEtcd is for netsy etcd")
      const [first, ...others] = etcd.listenPeer.map(({ address, secure }): Port => ({
        bind: address,
        secure,
        reusePort: etcd.reusePort
      }))
      assert(first !== undefined, "netsy etcd listens for peers")
      // Members of one cluster advertise the same scheme.
      const secure = etcd.advertisePeerUrls.some((url) => url.startsWith("https:") || url.startsWith("unixs:"))
      return yield* make({ ports: [first, ...others], secure, verified: etcd.peerTls?.files !== undefined })
    })
  )
