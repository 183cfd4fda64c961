/** `Leadership`, as the election port tells it, from the `Elector` of this node. */
import { Effect, Layer } from "effect"
import { Elector } from "../services/Elector.ts"
import { Leadership } from "../services/Leadership.ts"
import { Settings } from "../services/Settings.ts"

export const layer: Layer.Layer<Leadership, never, Elector | Settings> = Layer.effect(
  Leadership,
  Effect.gen(function* () {
    const elector = yield* Elector
    const settings = yield* Settings
    return Leadership.of({
      current: () =>
        elector.isLeader() ? { leaderID: settings.nodeId, leaderAddr: settings.advertise.election } : undefined
    })
  })
)
