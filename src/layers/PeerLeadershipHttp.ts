/** `GET /health/leadership` on the peer port, for `netsy etcd`, which has no port for elections. */
import { Clock, Effect, Layer } from "effect"
import { Leadership } from "../services/Leadership.ts"
import { PeerListener } from "../services/PeerListener.ts"
import { leadershipHttp } from "./internal/leadershipHttp.ts"

export const layer: Layer.Layer<never, never, PeerListener | Leadership> = Layer.effectDiscard(
  Effect.gen(function* () {
    const listener = yield* PeerListener
    listener.handleHttp(leadershipHttp(yield* Leadership, yield* Clock.Clock))
  })
)
