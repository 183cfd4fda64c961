import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { isoTime } from "../../src/core/isoTime.ts"

/** What the language itself prints. */
const model = (millis: number): string => Reflect.construct(globalThis.Date, [millis]).toISOString()

describe("times in ISO form", () => {
  it("are those of the language at the edges", () => {
    for (const millis of [
      0, -1, 951_782_400_000, 951_868_799_999, 4_107_542_399_999, 253_402_300_799_999, -62_167_219_200_000, 1.9
    ]) {
      assert.strictEqual(isoTime(millis), model(millis))
    }
    assert.deepStrictEqual([isoTime(Number.NaN), isoTime(1e300), isoTime(-Infinity)], ["NaN", "1e+300", "-Infinity"])
  })

  it.prop(
    "are those of the language everywhere",
    [Schema.Int],
    ([seed]) => {
      const millis = -62_167_219_200_000 + (Math.abs(seed * 7_919_331) % 315_569_520_000_000)
      assert.strictEqual(isoTime(millis), model(millis))
    },
    { arbitrary: { runs: 2_000, seed: "times" } }
  )
})
