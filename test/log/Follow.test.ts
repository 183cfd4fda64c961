import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { bucketHelps, follow, type Following, offeredProblem } from "../../src/core/log/follow.ts"

/** A log as the terms of its entries; index 1 is element 0. */
type Terms = ReadonlyArray<number>
const last = (log: Terms) => ({ index: log.length, term: log[log.length - 1] ?? 0 })
const termOf = (log: Terms, index: number): number => (index === 0 ? 0 : log[index - 1]!)

interface Own {
  readonly log: Terms
  readonly commitIndex: number
  readonly firstIndex: number
}
const own = (log: Terms, commitIndex = 0, firstIndex = 1): Own => ({ log, commitIndex, firstIndex })

/** What the Primary with this log sends behind `prev`. */
const offer = (log: Terms, prev: number, count: number) => ({
  prev: { index: prev, term: termOf(log, prev) },
  entries: log.slice(prev, prev + count).map((term, i) => ({ index: prev + 1 + i, term }))
})

const run = ({ commitIndex, firstIndex, log }: Own, offered: ReturnType<typeof offer>): Following => {
  const questions = follow({ last: last(log), commitIndex }, offered)
  let asked = 0
  let step = questions.next()
  while (step.done !== true) {
    assert.isBelow(asked++, 64)
    step = questions.next(step.value > 0 && step.value < firstIndex - 1 ? undefined : termOf(log, step.value))
  }
  return step.value
}

const fits = (match: number, held = 0, truncateFrom?: number): Following => ({
  kind: "fits",
  held,
  truncateFrom,
  match
})
const mismatch = (index: number, term: number): Following => ({ kind: "mismatch", at: { index, term } })

describe("what a replica does with an Append", () => {
  it("takes what follows its last entry", () => {
    assert.deepStrictEqual(run(own([]), offer([1, 1], 0, 2)), fits(2))
    assert.deepStrictEqual(run(own([1, 1]), offer([1, 1, 2], 2, 1)), fits(3))
    assert.deepStrictEqual(run(own([1, 1]), offer([1, 1], 2, 0)), fits(2))
  })

  it("keeps what it holds already", () => {
    assert.deepStrictEqual(run(own([1, 1, 2, 2]), offer([1, 1, 2, 2, 2], 1, 4)), fits(5, 3))
    assert.deepStrictEqual(run(own([1, 1, 2, 2]), offer([1, 1, 2, 2], 1, 1)), fits(2, 1))
  })

  it("drops own uncommitted entries from the first difference on", () => {
    assert.deepStrictEqual(run(own([1, 1, 2, 2]), offer([1, 1, 3, 3], 1, 3)), fits(4, 1, 3))
    assert.deepStrictEqual(run(own([1, 1, 2, 2], 2), offer([1, 1, 3], 2, 1)), fits(3, 0, 3))
  })

  it("refuses a gap with the newest entry that may fit", () => {
    assert.deepStrictEqual(run(own([1, 1]), offer([1, 1, 1, 2], 4, 0)), mismatch(2, 1))
    assert.deepStrictEqual(run(own([1, 2, 2]), offer([1, 1, 1, 1, 1], 5, 0)), mismatch(1, 1))
  })

  it("walks back by terms, never below the commit index", () => {
    assert.deepStrictEqual(run(own([1, 1, 2, 2, 2]), offer([1, 1, 3, 3, 3], 5, 0)), mismatch(2, 1))
    assert.deepStrictEqual(run(own([1, 1, 2, 2, 2], 3), offer([1, 1, 2, 3, 3], 5, 0)), mismatch(3, 2))
    assert.deepStrictEqual(run(own([2, 2, 2]), offer([1, 1, 1], 3, 0)), mismatch(0, 0))
  })

  it("says where the Primary differs from what is committed", () => {
    assert.deepStrictEqual(run(own([1, 1, 2], 3), offer([1, 1, 3], 3, 0)), { kind: "conflict", index: 3 })
    assert.deepStrictEqual(run(own([1, 1, 2, 2], 3), offer([1, 1, 3, 3], 1, 3)), { kind: "conflict", index: 3 })
  })

  it("asks to begin at the commit index where the log does not reach back any more", () => {
    assert.deepStrictEqual(run(own([1, 1, 1, 2, 2], 4, 4), offer([1, 1, 1, 2, 2], 1, 4)), mismatch(4, 2))
    assert.deepStrictEqual(run(own([1, 1, 1, 2, 2], 4, 4), offer([1, 1, 1, 2, 2], 0, 2)), mismatch(4, 2))
    assert.deepStrictEqual(run(own([1, 1, 1, 2, 2], 4, 4), offer([1, 1, 1, 2, 2], 0, 4)), fits(4, 4))
    assert.deepStrictEqual(run(own([1, 1, 1, 2], 3, 4), offer([1, 3], 2, 0)), { kind: "conflict", index: 2 })
  })

  it("knows an Append that no Primary may send", () => {
    assert.isUndefined(offeredProblem(2, offer([1, 1, 2], 1, 2)))
    const at = (index: number, term: number) => ({ index, term })
    assert.match(offeredProblem(2, { prev: at(1, 1), entries: [at(3, 1)] })!, /entry 3 follows entry 1/)
    assert.match(offeredProblem(2, { prev: at(1, 2), entries: [at(2, 1)] })!, /lower term/)
    assert.match(offeredProblem(2, { prev: at(1, 1), entries: [at(2, 3)] })!, /term 3 comes in term 2/)
    assert.match(offeredProblem(2, { prev: at(1, 3), entries: [] })!, /term 3 before/)
  })

  it("restores only from a bucket that is higher and reaches the Primary's log", () => {
    const at = (index: number, term: number) => ({ index, term })
    assert.isTrue(bucketHelps(at(5, 1), at(9, 1), 10))
    assert.isFalse(bucketHelps(at(5, 1), at(9, 1), 11))
    assert.isFalse(bucketHelps(at(5, 2), at(9, 1), 10))
  })

  const Step = Schema.Literals([0, 1])
  const Logs = Schema.Struct({
    common: Schema.Array(Step),
    own: Schema.Array(Step),
    theirs: Schema.Array(Step),
    prev: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
    count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
    commit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
    base: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
  })
  const rising = (start: number, steps: ReadonlyArray<number>, stride: number): Array<number> => {
    let term = start
    return steps.map((s) => (term += s * stride))
  }

  it.effect.prop(
    "agrees with comparing entry by entry, and comes to the Primary's log within as many questions as it has terms",
    [Logs],
    ([given]) =>
      Effect.sync(() => {
        const common = rising(1, given.common, 1)
        const from = common[common.length - 1] ?? 1
        // Different branches never share a term above the fork.
        const mine = [...common, ...rising(from + 1, given.own, 2)]
        const theirs = [...common, ...rising(from + 2, given.theirs, 2)]
        let prefix = 0
        while (prefix < mine.length && prefix < theirs.length && mine[prefix] === theirs[prefix]) prefix++
        const commitIndex = given.commit % (prefix + 1)
        const firstIndex = (given.base % (commitIndex + 1)) + 1
        const replica = own(mine, commitIndex, firstIndex)
        const prev = given.prev % (theirs.length + 1)
        const offered = offer(theirs, prev, given.count)
        const found = run(replica, offered)
        const held = Math.min(prefix, prev + offered.entries.length) - prev
        // Below the log's first index nothing is known but that it is committed.
        const top = prev + Math.min(mine.length - prev, offered.entries.length)
        const unknown = (index: number) => index > 0 && index < firstIndex - 1
        if (unknown(prev) || unknown(top))
          assert.deepStrictEqual(found, mismatch(commitIndex, termOf(mine, commitIndex)))
        else if (prev <= prefix) {
          const truncates = held < offered.entries.length && mine.length > prev + held
          assert.deepStrictEqual(
            found,
            fits(prev + offered.entries.length, held, truncates ? prev + held + 1 : undefined)
          )
        } else assert.strictEqual(found.kind, "mismatch")
        // A Primary that asks on where it is told to finds the fork.
        let at = prev
        for (let asked = 0; ; asked++) {
          const answer = run(replica, offer(theirs, at, 0))
          if (answer.kind === "fits") break
          assert.strictEqual(answer.kind, "mismatch")
          if (answer.kind !== "mismatch") return
          assert.isAtLeast(answer.at.index, commitIndex)
          if (!unknown(at)) assert.isBelow(answer.at.index, at)
          assert.isBelow(asked, new Set(mine).size + 3)
          at = answer.at.index
        }
        assert.isAtMost(at, prefix)
      }),
    { arbitrary: { runs: 500, seed: "follow" } }
  )
})
