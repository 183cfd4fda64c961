import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { durationNanosMax, formatDuration, formatMillis, parseDuration } from "../../src/core/config/duration.ts"

const nanos = (text: string): bigint | string => {
  const parsed = parseDuration(text)
  return parsed.ok ? parsed.nanos : parsed.reason
}

describe("durations", () => {
  it("are read as Go reads them", () => {
    const expected: ReadonlyArray<readonly [string, bigint]> = [
      ["0", 0n],
      ["5s", 5_000_000_000n],
      ["1h30m", 5_400_000_000_000n],
      ["1.5s", 1_500_000_000n],
      [".5s", 500_000_000n],
      ["1.s", 1_000_000_000n],
      ["100ms", 100_000_000n],
      ["10\u00b5s", 10_000n],
      ["10\u03bcs", 10_000n],
      ["10us", 10_000n],
      ["7ns", 7n],
      ["-1m30s", -90_000_000_000n],
      ["+5s", 5_000_000_000n],
      ["1h1h", 7_200_000_000_000n],
      ["0.3333333333333333333h", 1_199_999_999_999n],
      ["9223372036854775807ns", durationNanosMax],
      ["-9223372036854775808ns", -(2n ** 63n)]
    ]
    for (const [text, value] of expected) assert.strictEqual(nanos(text), value, text)
  })

  it("without a number, a unit or a known unit are refused with the reason", () => {
    for (const text of [
      "",
      "-",
      "+",
      "3",
      "-1",
      ".",
      "s",
      ".s",
      "+.s",
      "1.5",
      "5 s",
      " 5s",
      "5S",
      "1d",
      "1h-5m",
      "1..5s",
      "9223372036854775808ns",
      "1e3s",
      "5s5"
    ]) {
      assert.isString(nanos(text), text)
    }
    assert.strictEqual(nanos("5"), "a unit is missing (ns, us, ms, s, m, h)")
    assert.include(String(nanos("1d")), 'unknown unit "d"')
    assert.include(String(nanos(`${"9".repeat(100)}h`)), "292 years")
    assert.isString(nanos("1toStrings"))
  })

  it("are printed as Go prints them", () => {
    const expected: ReadonlyArray<readonly [bigint, string]> = [
      [0n, "0s"],
      [1n, "1ns"],
      [1_100n, "1.1\u00b5s"],
      [2_200_000n, "2.2ms"],
      [3_300_000_000n, "3.3s"],
      [245_000_000_000n, "4m5s"],
      [18_367_001_000_000n, "5h6m7.001s"],
      [5_400_000_000_000n, "1h30m0s"],
      [-1_500_000_000n, "-1.5s"]
    ]
    for (const [value, text] of expected) assert.strictEqual(formatDuration(value), text)
    assert.strictEqual(formatMillis(1_500), "1.5s")
  })

  it.prop(
    "survive printing and reading",
    [Schema.Int, Schema.Int, Schema.Int],
    ([seconds, millis, single]) => {
      const value =
        BigInt(seconds % 1_000_000) * 1_000_000_000n + BigInt(millis % 1_000) * 1_000_000n + BigInt(single % 1_000)
      assert.strictEqual(nanos(formatDuration(value)), value)
    },
    { arbitrary: { runs: 500, seed: "durations" } }
  )

  it.prop(
    "never crash on any text",
    [Schema.String],
    ([text]) => {
      assert.isBoolean(parseDuration(text).ok)
      assert.isBoolean(parseDuration(`1${text}h`).ok)
    },
    { arbitrary: { runs: 500, seed: "duration texts" } }
  )
})
