import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { stateWalk } from "./stateWalk.ts"

/** NETSY_SEED: one seed only. */
const given = process.env["NETSY_SEED"]
const seeds = given === undefined ? [1, 2, 3] : [Number(given)]

describe("a random walk over leases, alarms, users and compactions", () => {
  for (const seed of seeds) {
    it.effect(
      `with seed ${seed} shows the same after every restart, from the disk and from the bucket`,
      () =>
        Effect.gen(function* () {
          const folder = mkdtempSync(join(tmpdir(), "netsy-state-"))
          yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
          const equal = (found: unknown, expected: unknown, what: string) => assert.deepEqual(found, expected, what)
          const report = yield* stateWalk({ seed, rounds: 8, folder, equal })
          if (given !== undefined) process.stderr.write(`${JSON.stringify(report)}\n`)
          assert.isAbove(report.answered, 50)
        }),
      60_000
    )
  }
})
