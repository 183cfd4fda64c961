/** Directories of killed processes are removed, and nothing of anybody else's. */
import { mkdirSync, readdirSync, symlinkSync, utimesSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { prefix, removeLeftovers } from "../../scripts/release/inside/leftovers.ts"
import { Effect } from "effect"
import { temporaryFolder } from "../support/temporaryFolder.ts"

describe("what a killed executable left", () => {
  it.effect("is removed an hour later, by the user that it belongs to, and no link is followed", () =>
    Effect.gen(function* () {
      const place = yield* temporaryFolder
      const old = new Date(Date.now() - 2 * 60 * 60 * 1000)
      for (const name of [`${prefix}old`, `${prefix}new`, "other"]) mkdirSync(join(place, name))
      for (const name of [`${prefix}old`, "other"]) utimesSync(join(place, name), old, old)
      symlinkSync("other", join(place, `${prefix}link`))
      const names = ["other", `${prefix}link`, `${prefix}new`, `${prefix}old`]
      removeLeftovers(place, process.geteuid!() + 1)
      assert.sameMembers(readdirSync(place), names)
      removeLeftovers(place)
      assert.sameMembers(readdirSync(place), names.slice(0, 3))
    })
  )
})
