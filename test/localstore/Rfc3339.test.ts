import { assert, describe, it } from "@effect/vitest"
import { fileStamp, parseRfc3339 } from "../../src/core/localstore/rfc3339.ts"

describe("RFC 3339 times", () => {
  it("agree with the platform's for every kind of day", () => {
    for (let day = -40_000; day < 60_000; day += 13) {
      const millis = day * 86_400_000 + ((day * 7919 * 1000) % 86_400_000)
      const date = new Date(millis)
      assert.deepStrictEqual(parseRfc3339(date.toISOString()), { seconds: millis / 1000, nanos: 0 })
      assert.strictEqual(fileStamp(millis), date.toISOString().replace(/\.000/, "").replace(/[-:]/g, ""))
    }
  })

  it("keep trimmed nanoseconds and offsets", () => {
    assert.deepStrictEqual(parseRfc3339("1970-01-01T00:00:01.12Z"), { seconds: 1, nanos: 120_000_000 })
    assert.deepStrictEqual(parseRfc3339("1970-01-01T00:00:00.000000001Z"), { seconds: 0, nanos: 1 })
    assert.deepStrictEqual(parseRfc3339("1970-01-01T01:30:00+01:30"), { seconds: 0, nanos: 0 })
    assert.deepStrictEqual(parseRfc3339("1969-12-31T23:00:00-01:00"), { seconds: 0, nanos: 0 })
  })

  it("are nothing else", () => {
    for (const text of [
      "",
      "2026-02-29T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-00-01T00:00:00Z",
      "2026-01-01T24:00:00Z",
      "2026-01-01T00:00:00",
      "2026-01-01",
      "2026-01-01T00:00:00.Z",
      "x2026-01-01T00:00:00Z"
    ]) {
      assert.isUndefined(parseRfc3339(text), text)
    }
  })
})
