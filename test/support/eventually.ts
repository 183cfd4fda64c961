/** Waits for what other parts of the process do, in real time under any clock. */
import { Effect } from "effect"

const stepMillis = 10
const limitMillis = 10_000

const step = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, stepMillis)))

export const eventually = (what: string, condition: (() => boolean) | Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const holds = Effect.isEffect(condition) ? condition : Effect.sync(condition)
    for (let waited = 0; waited < limitMillis; waited += stepMillis) {
      if (yield* holds) return
      yield* step
    }
    return yield* Effect.die(new Error(`did not happen: ${what}`))
  })
