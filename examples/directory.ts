/** A store in a directory. Run it twice: it remembers. */
import { Effect } from "effect"
import { Client, Netsy } from "netsy"

const program = Effect.gen(function* () {
  const client = yield* Client

  const runs = yield* client.get("runs")
  const count = Number(runs?.value ?? 0) + 1
  const { revision } = yield* client.put("runs", String(count))

  console.log(`run ${count}, revision ${revision}`)
})

await program.pipe(Effect.provide(Netsy.layer({ storage: "dir:./data" })), Effect.runPromise)
