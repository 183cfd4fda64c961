/**
 * The peer ports of `netsy etcd` for a node that runs alone: every address of `--listen-peer-urls` refuses gRPC calls
 * with a reason and answers `GET /health/leadership`.
 */
import { Clock, Effect, Layer } from "effect"
import { assert } from "../core/assert.ts"
import type { ListenFailed } from "../services/ClientListener.ts"
import { Identity } from "../services/Identity.ts"
import { Leadership } from "../services/Leadership.ts"
import { Log } from "../services/Log.ts"
import { PeerListener } from "../services/PeerListener.ts"
import { type ListenUrl, Settings } from "../services/Settings.ts"
import { makeHttp1 } from "./clientapi/http1.ts"
import { listen } from "./clientapi/listener.ts"
import { formatAddress } from "./clientapi/port.ts"
import { leadershipHttp } from "./internal/leadershipHttp.ts"
import { refusingPeers } from "./internal/refusingPeers.ts"

const connectionsMax = 1_000
const firstBytesMillis = 10_000
const stopMillis = 1_000

export const layer: Layer.Layer<PeerListener, ListenFailed, Leadership | Identity | Settings | Log> = Layer.effect(
  PeerListener,
  Effect.gen(function* () {
    const { etcd, nodeId } = yield* Settings
    assert(etcd !== undefined, "PeerListenerEtcd is for netsy etcd")
    const log = yield* Log
    const identity = yield* Identity
    const peers = refusingPeers(nodeId, log)
    const http1 = makeHttp1(leadershipHttp(yield* Leadership, yield* Clock.Clock))
    const open = ({ address: bind, secure }: ListenUrl) =>
      listen({
        name: "peer",
        bind,
        secure,
        reusePort: etcd.reusePort,
        role: "peer",
        identity,
        log,
        connectionsMax,
        firstBytesMillis,
        stopMillis,
        http2: peers.take,
        http1: http1.take,
        stop: () => {
          peers.stop()
          http1.stop()
        }
      }).pipe(
        Effect.tap((address) =>
          Effect.sync(() => log.info("listening", { component: "peer", address: formatAddress(address) }))
        )
      )
    const addresses = yield* Effect.forEach(etcd.listenPeer, open)
    return PeerListener.of({ address: addresses[0]!, handleHttp: () => {} })
  })
)
