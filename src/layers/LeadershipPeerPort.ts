/** `GET /health/leadership` on the peer port, for `netsy etcd`, which has no election port. */
import { Clock, Effect, Layer } from "effect"
import { Leadership } from "../services/Leadership.ts"
import { PeerListener } from "../services/PeerListener.ts"
import { leadershipHttp } from "./internal/leadershipHttp.ts"

export const layer: Layer.Layer<never, never, Leadership | PeerListener> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { handleHttp } = yield* PeerListener
    handleHttp(leadershipHttp(yield* Leadership, yield* Clock.Clock))
  })
)
