/**
 * A program for the crash tests: opens the database and without end appends, compacts and gives space back, and prints a
 * line for each thing that is durable. Compactions go to 100 entries before the last, with a state 50 before it.
 */
import { Effect } from "effect"
import * as LocalStoreSqlite from "../../src/layers/LocalStoreSqlite.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { entryAt, fill, stateAt } from "./versions.ts"

const path = process.argv[2]!

const compactForever = Effect.gen(function* () {
  const store = yield* LocalStore
  for (let last = store.opened.last.index; ;) {
    // A process that was killed may have ended amid its entries.
    const to = Math.ceil((last + 1) / 200) * 200
    yield* fill(store, last + 1, to, 500)
    last = to
    process.stdout.write(`durable ${last}\n`)
    yield* store.compact(entryAt(last - 100, 1).revision, stateAt(last - 50, 1500))
    process.stdout.write(`compacted ${last - 100}\n`)
    yield* store.defragment(0)
    process.stdout.write(`defragmented\n`)
  }
})

const layer = LocalStoreSqlite.layer({ path, compaction: { batchLimit: 10, sleepMillis: 0 } })
Effect.runPromise(compactForever.pipe(Effect.provide(layer))).catch((error: unknown) => {
  process.stdout.write(`${String(error)}\n`)
  process.exitCode = 3
})
