/** The election port of a node that shares its process with the others: answers them without a socket. */
import { Effect, Layer } from "effect"
import { Leadership } from "../services/Leadership.ts"
import { Settings } from "../services/Settings.ts"
import type { MemoryElections } from "./internal/memoryElections.ts"

export const layer = (elections: MemoryElections): Layer.Layer<never, never, Leadership | Settings> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { current } = yield* Leadership
      const { advertise, nodeId } = yield* Settings
      const port = { nodeId, current }
      yield* Effect.acquireRelease(
        Effect.sync(() => elections.join(advertise.election, port)),
        () => Effect.sync(() => elections.leave(advertise.election, port))
      )
    })
  )
