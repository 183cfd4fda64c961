/**
 * The peer port of a node that runs alone: opens with mutual TLS for role `peer` and answers every gRPC call as
 * Unavailable, so that whoever dials knows that the node is there and that it serves no peers.
 */
import { Effect, Layer } from "effect"
import type { ListenFailed } from "../services/ClientListener.ts"
import { Identity } from "../services/Identity.ts"
import { Log } from "../services/Log.ts"
import { PeerListener } from "../services/PeerListener.ts"
import { Settings } from "../services/Settings.ts"
import { makeHttp1, notFound } from "./clientapi/http1.ts"
import { listen } from "./clientapi/listener.ts"
import { formatAddress } from "./clientapi/port.ts"
import { refusingPeers } from "./internal/refusingPeers.ts"

const connectionsMax = 1_000
const firstBytesMillis = 10_000
const stopMillis = 1_000

export const layer: Layer.Layer<PeerListener, ListenFailed, Identity | Settings | Log> = Layer.effect(
  PeerListener,
  Effect.gen(function* () {
    const settings = yield* Settings
    const log = yield* Log
    const peers = refusingPeers(settings.nodeId, log)
    const http1 = makeHttp1(notFound)
    const address = yield* listen({
      name: "peer",
      bind: settings.bind.peer,
      role: "peer",
      identity: yield* Identity,
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
    })
    log.info("listening", { component: "peer", address: formatAddress(address) })
    return PeerListener.of({ address, handleHttp: () => {} })
  })
)
