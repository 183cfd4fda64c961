/**
 * A store in S3. What this program writes is in the bucket when `put` succeeds; the data directory may be lost at any time.
 * Region, endpoint and credentials come from the environment (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`, …) or from `s3`.
 */
import { Effect } from "effect"
import { Client, Netsy } from "netsy"

const program = Effect.gen(function* () {
  const client = yield* Client

  yield* client.put("greetings/en", "hello")
  yield* client.put("greetings/de", "hallo")
  const { count, entries } = yield* client.range({ prefix: "greetings/" })

  console.log(`${count} greetings: ${entries.map(({ value }) => value).join(", ")}`)
})

const store = Netsy.layer({
  storage: process.env["BUCKET"] ?? "s3://netsy-dev/example",
  dataDir: "./node-1",
  nodeId: "node-1"
})

await program.pipe(Effect.provide(store), Effect.runPromise)
