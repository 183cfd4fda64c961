/**
 * A program for the crash tests: opens the database and appends without end, one batch after another, and prints a line
 * for each batch that is durable. Prints why and ends with code 3 when the local store fails.
 */
import { Effect } from "effect"
import * as LocalStoreSqlite from "../../src/layers/LocalStoreSqlite.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { puts } from "./records.ts"

const path = process.argv[2]!
const batchEntries = Number(process.argv[3] ?? "10")

const appendForever = Effect.gen(function* () {
  const store = yield* LocalStore
  process.stdout.write(`opened ${store.opened.last.index}\n`)
  for (let index = store.opened.last.index; ; index += batchEntries) {
    yield* store.append(puts(index + 1, index + batchEntries, 1, "x".repeat(1000)), index)
    process.stdout.write(`durable ${index + batchEntries}\n`)
  }
})

Effect.runPromise(appendForever.pipe(Effect.provide(LocalStoreSqlite.layer({ path })))).catch((error: unknown) => {
  process.stdout.write(`${String(error)}\n`)
  process.exitCode = 3
})
