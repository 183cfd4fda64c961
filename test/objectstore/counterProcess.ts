/**
 * A process of the directory test: increments the counter object through compare-and-set and reports every increment
 * that was acknowledged, until it is killed or has made as many as it was told. Arguments: directory, increments.
 */
import { Effect } from "effect"
import * as ObjectStoreDirectory from "../../src/layers/ObjectStoreDirectory.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"

const [directory = "", increments = "0"] = process.argv.slice(2)

const increment = Effect.gen(function* () {
  const store = yield* ObjectStore
  const { body, etag } = yield* store.get("counter")
  const next = Number(new TextDecoder().decode(body)) + 1
  yield* store.put("counter", new TextEncoder().encode(String(next)), { ifMatch: etag })
  // One line per acknowledged value, written at once: a kill never loses one that was reported.
  yield* Effect.sync(() => process.stdout.write(`${next}\n`))
}).pipe(Effect.retry({ while: (error) => error._tag === "PreconditionFailed" }))

const all = Effect.repeat(increment, { times: Number(increments) - 1 })

Effect.runPromise(Effect.provide(all, ObjectStoreDirectory.layerAt(directory))).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  }
)
