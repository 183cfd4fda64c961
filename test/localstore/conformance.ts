/** What every `LocalStore` does, whatever it keeps its data on. */
import { describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { historySuite } from "./historySuite.ts"
import type { Disk } from "./lives.ts"
import { livesSuite } from "./livesSuite.ts"
import { logSuite } from "./logSuite.ts"
import { removalSuite } from "./removalSuite.ts"
import { behavesLikeTheModel, longHistory, Step } from "./property.ts"

/** `runs` of short histories that shrink when they fail, and `seeds` long ones of `steps` steps. */
export const conformance = (
  name: string,
  disk: Disk,
  options: { readonly runs: number; readonly seeds: number; readonly steps: number }
): void => {
  describe(name, () => {
    logSuite(disk)
    livesSuite(disk)
    historySuite(disk)
    removalSuite(disk)

    it.effect.prop(
      "any history of appends, truncations, compactions, restores and restarts reads as the model says",
      [Schema.Array(Step)],
      ([steps]) => Effect.scoped(Effect.flatMap(disk, (layer) => behavesLikeTheModel(layer, steps))),
      { arbitrary: { runs: options.runs, seed: "local store" }, timeout: 120_000 }
    )

    it.effect(
      "a long history reads as the model says after every step",
      () =>
        Effect.gen(function* () {
          for (let seed = 1; seed <= options.seeds; seed++) {
            yield* Effect.scoped(
              Effect.flatMap(disk, (layer) => behavesLikeTheModel(layer, longHistory(seed, options.steps)))
            )
          }
        }),
      120_000
    )
  })
}
