import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { formatJson, formatText } from "../../src/core/logging/format.ts"

const text = (fields: Readonly<Record<string, unknown>>, message = "m") =>
  formatText({ timeMillis: 0, level: "INFO", message, fields: Object.entries(fields) }).slice(
    "time=1970-01-01T00:00:00.000Z level=INFO ".length
  )

const json = (fields: Readonly<Record<string, unknown>>) =>
  formatJson({ timeMillis: 1_500, level: "WARN", message: "m", fields: Object.entries(fields) })

describe("log lines as text", () => {
  it("look like Go's slog", () => {
    assert.strictEqual(
      formatText({
        timeMillis: 1_763_691_000_123,
        level: "INFO",
        message: "node_registered",
        fields: [
          ["member_id", 12n],
          ["duration_ms", 3.5]
        ]
      }),
      "time=2025-11-21T02:10:00.123Z level=INFO msg=node_registered member_id=12 duration_ms=3.5\n"
    )
  })

  it("quote where slog quotes and only there", () => {
    const expected: ReadonlyArray<readonly [unknown, string]> = [
      ["plain", "plain"],
      ["c:\\dir", "c:\\dir"],
      ["", '""'],
      ["a b", '"a b"'],
      ["a=b", '"a=b"'],
      ['a"b', '"a\\"b"'],
      ["a\nb", '"a\\nb"'],
      ["a\\ b", '"a\\\\ b"'],
      ["\u0001", '"\\x01"'],
      ["\u00a0", '"\\u00a0"'],
      ["\u{1f600}", "\u{1f600}"],
      ["\u{e0001}", '"\\U000e0001"'],
      ["größe", "größe"],
      [true, "true"],
      [null, "null"],
      [new Error("no such file"), '"no such file"'],
      [["a", 1], '"[\\"a\\",1]"'],
      [new Uint8Array([1, 2]), '"AQI="']
    ]
    for (const [value, shown] of expected) assert.strictEqual(text({ k: value }), `msg=m k=${shown}\n`)
    assert.strictEqual(text({ "a key": 1, gone: undefined }, "two words"), 'msg="two words" "a key"=1\n')
  })
})

describe("log lines as JSON", () => {
  it("are one object a line with time, level and msg first", () => {
    assert.strictEqual(
      json({ revision: 3, big: 2n ** 63n, ok: false, error: new Error("x"), level: "y", list: [1n] }),
      '{"time":"1970-01-01T00:00:01.500Z","level":"WARN","msg":"m","revision":3,"big":"9223372036854775808","ok":false,"error":"x","level_":"y","list":["1"]}\n'
    )
  })
})

describe("log lines", () => {
  it("bound what a field holds and survive what cannot be printed", () => {
    const circular: Record<string, unknown> = {}
    circular["self"] = circular
    const hostile = {
      toJSON: () => {
        throw new Error("no")
      }
    }
    for (const value of [
      circular,
      hostile,
      Object.create(null),
      Symbol("s"),
      () => 1,
      Number.NaN,
      new Date(Number.NaN)
    ]) {
      assert.match(text({ k: value }), /\n$/)
      assert.isObject(JSON.parse(json({ k: value })))
    }
    assert.isBelow(text({ k: "x".repeat(1_000_000) }).length, 10_000)
    assert.isBelow(json({ k: { a: "x".repeat(1_000_000) } }).length, 10_000)
  })

  it.prop(
    "are always exactly one line, and JSON that can be read",
    [Schema.String, Schema.String, Schema.String],
    ([name, value, message]) => {
      const line = {
        timeMillis: 0,
        level: "INFO",
        message,
        fields: [
          [name, value],
          [value, name]
        ] as const
      }
      assert.strictEqual(formatText(line).indexOf("\n"), formatText(line).length - 1)
      assert.strictEqual(JSON.parse(formatJson(line)).msg, message)
    },
    { arbitrary: { runs: 300, seed: "lines" } }
  )
})
