/** The SQLite layer in the common suite, and what its thread adds to it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Worker } from "node:worker_threads"
import { Requests } from "../../src/layers/localstore/requests.ts"
import * as LocalStoreSqlite from "../../src/layers/LocalStoreSqlite.ts"
import { conformance } from "./conformance.ts"
import { temporaryFile } from "./tempDisk.ts"

conformance(
  "LocalStoreSqlite",
  Effect.map(temporaryFile, (path) => LocalStoreSqlite.layer({ path, compaction: { batchLimit: 40, sleepMillis: 0 } })),
  { runs: 5, seeds: 2, steps: 60 }
)

describe("the database thread", () => {
  it.effect("fails everything under way and everything after it when it dies", () =>
    Effect.gen(function* () {
      // A thread that answers nothing and ends at the third request.
      const code = `const { parentPort } = require("node:worker_threads"); let count = 0
        parentPort.on("message", () => { if (++count === 3) process.exit(7) })`
      const requests = new Requests(new Worker(code, { eval: true }), "the/database")
      const calls = Array.from({ length: 3 }, () => Effect.exit(requests.call("bounds")))
      const exits = yield* Effect.all(calls, { concurrency: "unbounded" })
      for (const exit of [...exits, yield* Effect.exit(requests.call("size"))]) {
        assert.isTrue(Exit.isFailure(exit))
        assert.include(String(exit), "the database thread ended (exit code 7)")
      }
    })
  )

  it.effect("takes a request back that is interrupted while it waits its turn", () =>
    Effect.gen(function* () {
      const code = `const { parentPort } = require("node:worker_threads"); const held = []
        parentPort.on("message", (request) => {
          if (request.name !== "close") return void held.push(request)
          for (const { id, text } of held) {
            parentPort.postMessage({ id, numbers: [held.length], text, buffer: undefined, length: 0, failure: undefined })
          }
        })`
      const worker = yield* Effect.acquireRelease(
        Effect.sync(() => new Worker(code, { eval: true })),
        (thread) => Effect.promise(() => thread.terminate())
      )
      const requests = new Requests(worker, "the/database")
      const payload = (bytesMax: number) => ({ bytesMax, encode: () => ({ buffer: new ArrayBuffer(0), length: 0 }) })
      const limit = 64 * 1024 * 1024
      const first = yield* Effect.forkChild(requests.call("append", [], "first", payload(limit)), {
        startImmediately: true
      })
      const second = yield* Effect.forkChild(requests.call("append", [], "second", payload(1)), {
        startImmediately: true
      })
      yield* Fiber.interrupt(second)
      // Waits behind nothing: the interrupted one is out of the way, and this one has no bytes.
      yield* Effect.forkChild(requests.call("close"), { startImmediately: true })
      const { numbers, text } = yield* Fiber.join(first)
      assert.deepStrictEqual([numbers, text], [[1], "first"])
    })
  )
})
