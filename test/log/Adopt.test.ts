import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { adopt, type Adoption } from "../../src/core/log/adopt.ts"
import { isHigher } from "../../src/core/log/record.ts"

/** A log as the terms of its entries; index 1 is element 0. */
type Terms = ReadonlyArray<number>
const last = (log: Terms) => ({ index: log.length, term: log[log.length - 1] ?? 0 })

const run = (own: Terms, bucket: Terms, base = 0, firstIndex = 1, commitIndex = 0): Adoption => {
  const questions = adopt(
    { last: last(own), firstIndex, commitIndex },
    { last: last(bucket), base: { index: base, term: bucket[base - 1] ?? 0 } },
    (index) => (index >= base ? bucket[index - 1] : undefined)
  )
  let step = questions.next()
  while (step.done !== true) step = questions.next(own[step.value - 1])
  return step.value
}

/** Two logs with a common prefix and terms that never fall, as the protocol makes them. */
const Logs = Schema.Struct({
  common: Schema.Array(Schema.Literals([0, 1])),
  own: Schema.Array(Schema.Literals([0, 1])),
  bucket: Schema.Array(Schema.Literals([0, 1]))
})
const rising = (start: number, steps: ReadonlyArray<number>, stride: number): Array<number> => {
  let term = start
  return steps.map((s) => (term += s * stride))
}

describe("which log stands", () => {
  it("takes over a higher bucket from the first difference on", () => {
    assert.deepStrictEqual(run([1, 1, 2], [1, 1, 3, 3]), { kind: "append", common: 2 })
    assert.deepStrictEqual(run([], [1, 1]), { kind: "append", common: 0 })
  })

  it("keeps a higher own log and knows what the bucket has of it", () => {
    assert.deepStrictEqual(run([1, 1, 3], [1, 1, 2, 2]), { kind: "own", common: 2 })
    assert.deepStrictEqual(run([1, 1, 1], [1, 1]), { kind: "own", common: 2 })
    assert.deepStrictEqual(run([1], []), { kind: "own", common: 0 })
  })

  it("restores when the own log lacks the snapshot's end", () => {
    assert.deepStrictEqual(run([1, 1], [1, 1, 2, 2], 3), { kind: "restore" })
    assert.deepStrictEqual(run([], [1, 1, 2], 3), { kind: "restore" })
  })

  it("says where rather than drop an entry that was committed", () => {
    assert.deepStrictEqual(run([1, 1, 2], [1, 1, 3], 0, 1, 3), { kind: "conflict", index: 3 })
    assert.deepStrictEqual(run([1, 1, 2], [1, 1, 3, 3], 3, 1, 3), { kind: "conflict", index: 3 })
    assert.deepStrictEqual(run([1, 1, 2, 2], [1, 3], 0, 4, 4), { kind: "conflict", index: 3 })
  })

  it.effect.prop(
    "agrees with comparing entry by entry",
    [Logs],
    ([logs]) =>
      Effect.sync(() => {
        const common = rising(1, logs.common, 1)
        const from = common[common.length - 1] ?? 1
        // Different branches never share a term above the fork.
        const own = [...common, ...rising(from + 1, logs.own, 2)]
        const bucket = [...common, ...rising(from + 2, logs.bucket, 2)]
        let prefix = 0
        while (prefix < own.length && prefix < bucket.length && own[prefix] === bucket[prefix]) prefix++
        assert.deepStrictEqual(run(own, bucket), {
          kind: isHigher(last(bucket), last(own)) ? "append" : "own",
          common: prefix
        })
      }),
    { arbitrary: { runs: 300, seed: "adopt" } }
  )
})
