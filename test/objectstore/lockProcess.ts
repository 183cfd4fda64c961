/** A process of the directory test: takes the exclusive lock, says whether it got it, and stays until it is killed. */
import { Effect } from "effect"
import * as ObjectStoreDirectory from "../../src/layers/ObjectStoreDirectory.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"

const hold = Effect.gen(function* () {
  const store = yield* ObjectStore
  const taken = yield* store.exclusive!
  yield* Effect.sync(() => process.stdout.write(`${taken}\n`))
  return yield* Effect.never
})

// Keeps the process alive; Effect alone does not.
setInterval(() => {}, 1000)
Effect.runPromise(Effect.scoped(Effect.provide(hold, ObjectStoreDirectory.layerAt(process.argv[2] ?? "")))).catch(
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  }
)
