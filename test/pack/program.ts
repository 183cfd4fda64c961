/** A node inside somebody's program, written against the package; test/pack copies it into an empty project. */
import { Console, Effect } from "effect"
import { Client, Netsy, Txn } from "netsy"

const program = Effect.gen(function* () {
  const client = yield* Client
  const { succeeded } = yield* client.txn({ if: [Txn.absent("greeting")], then: [Txn.put("greeting", "hello")] })
  const entry = yield* client.get("greeting")
  yield* Console.log(`${entry?.value} ${succeeded}`)
})

await Effect.runPromise(program.pipe(Effect.provide(Netsy.layer({ storage: `dir:${process.argv[2]}` }))))
