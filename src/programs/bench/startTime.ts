/**
 * How long a start takes: from spawning `bin/netsy --storage dir:./data --insecure` to the first answered request, a
 * linearizable count of all keys. What it counted must be right, and an empty store must take a put afterwards.
 */
import { join } from "node:path"
import { Effect } from "effect"
import { keyCount, preload } from "./cells.ts"
import { census, put } from "./connection.ts"
import { BenchFailure } from "./failure.ts"
import { directory, firstAnswer, startNetsy } from "./servers.ts"

const startRuns = 5

export interface StartResult {
  readonly name: string
  readonly medianMillis: number
  readonly millis: ReadonlyArray<number>
}

const result = (name: string, millis: ReadonlyArray<number>): StartResult => {
  const sorted = millis.toSorted((a, b) => a - b)
  return { name, medianMillis: sorted[sorted.length >> 1]!, millis }
}

/** Starts, waits for the first answer, runs `then`, and ends the node. */
const startOnce = (folder: string, how: "SIGTERM" | "SIGKILL", request: "put" | "count") =>
  Effect.gen(function* () {
    const spawnedMillis = performance.now()
    const server = yield* startNetsy({ folder, storage: directory, profile: undefined })
    const client = yield* firstAnswer(server)
    const millis = performance.now() - spawnedMillis
    if (request === "put") yield* put(client, "first", "request")
    const { keys } = yield* census(client)
    const expected = request === "put" ? 1 : keyCount
    if (keys !== expected) return yield* new BenchFailure({ message: `${keys} keys after a start, not ${expected}` })
    yield* server.process.stop(how)
    return millis
  }).pipe(Effect.scoped)

/** A new folder each time; one start before the counted ones warms the caches. */
export const emptyStart = (folder: string): Effect.Effect<StartResult, BenchFailure> =>
  Effect.gen(function* () {
    const millis: Array<number> = []
    for (let run = 0; run <= startRuns; run++) {
      const took = yield* startOnce(join(folder, `empty-${run}`), "SIGTERM", "put")
      if (run > 0) millis.push(took)
    }
    return result("empty", millis)
  })

/** The same folder again and again, after a clean stop or after a kill. */
export const restart = (folder: string, how: "SIGTERM" | "SIGKILL"): Effect.Effect<StartResult, BenchFailure> =>
  Effect.gen(function* () {
    const home = join(folder, `restart-${how}`)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const server = yield* startNetsy({ folder: home, storage: directory, profile: undefined })
        yield* firstAnswer(server)
        yield* preload(server)
        yield* server.process.stop(how)
      })
    )
    const millis: Array<number> = []
    for (let run = 0; run < startRuns; run++) millis.push(yield* startOnce(home, how, "count"))
    return result(how === "SIGTERM" ? "restart" : "restart-killed", millis)
  })
