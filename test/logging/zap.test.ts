import { assert, describe, it } from "@effect/vitest"
import { formatZapConsole, formatZapJson } from "../../src/core/logging/zap.ts"

const line = (message: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  timeMillis: 1_763_691_000_123,
  level: "WARN",
  message,
  fields: Object.entries(fields)
})

describe("log lines as etcd's logger writes them", () => {
  it("are JSON with level, ts and msg first", () => {
    assert.strictEqual(
      formatZapJson(line("slow", { took: "1s", count: 3n, gone: undefined })),
      '{"level":"warn","ts":"2025-11-21T02:10:00.123Z","msg":"slow","took":"1s","count":"3"}\n'
    )
    const twins = JSON.parse(formatZapJson(line("m", { level: "x", msg: "y", caller: "z" })))
    assert.deepInclude(twins, { level: "warn", msg: "m", level_: "x", msg_: "y", caller_: "z" })
  })

  it("or columns for people, of which a message cannot break out", () => {
    assert.strictEqual(formatZapConsole(line("plain")), "2025-11-21T02:10:00.123Z\twarn\tplain\n")
    assert.strictEqual(
      formatZapConsole(line("two\nlines\tx", { a: 'q"', b: true })),
      '2025-11-21T02:10:00.123Z\twarn\ttwo lines x\t{"a":"q\\"", "b":true}\n'
    )
  })

  it("never throw", () => {
    const loop: Record<string, unknown> = {}
    loop["self"] = loop
    for (const value of [loop, Symbol("s"), () => {}, new Uint8Array(3), "\ud800", null]) {
      assert.isObject(JSON.parse(formatZapJson(line("m", { value }))))
      assert.match(formatZapConsole(line("m", { value })), /\n$/)
    }
  })
})
