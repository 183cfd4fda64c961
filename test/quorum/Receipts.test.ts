import { assert, describe, it } from "@effect/vitest"
import { Receipts } from "../../src/core/quorum/receipts.ts"
import { type CommitRule, storeRule } from "../../src/core/quorum/rule.ts"
import { dice, name, short } from "./dice.ts"

const rule = (required: number, ...voters: ReadonlyArray<string>): CommitRule => ({
  mode: "quorum",
  voters: voters.map(name),
  required
})
const followed = (...names: ReadonlyArray<string>): Receipts => {
  const receipts = new Receipts(name("a"))
  for (const n of names) receipts.joined(name(n), 0)
  return receipts
}

describe("what receipts allow to commit", () => {
  it("is what the Primary and `required` other voters hold", () => {
    const receipts = followed("b", "c", "d", "e")
    receipts.receipt(name("b"), 9, 1)
    receipts.receipt(name("c"), 7, 1)
    receipts.receipt(name("d"), 5, 1)
    assert.strictEqual(receipts.committable(rule(1, "a", "b", "c"), 20), 9)
    assert.strictEqual(receipts.committable(rule(2, "a", "b", "c"), 20), 7)
    assert.strictEqual(receipts.committable(rule(2, "a", "b", "c"), 6), 6)
    assert.strictEqual(receipts.committable(rule(2, "a", "b", "d", "e"), 20), 5)
    assert.strictEqual(receipts.committable(rule(3, "a", "b", "c", "e"), 20), 0)
  })

  it("is nothing where nobody is required: mode store, and after a recovery", () => {
    const receipts = followed("b")
    receipts.receipt(name("b"), 9, 1)
    assert.strictEqual(receipts.committable(storeRule, 9), 0)
    assert.strictEqual(receipts.committable(rule(0, "a"), 9), 0)
  })

  it("counts neither the Primary's own name nor who has not joined", () => {
    const receipts = followed("b")
    receipts.joined(name("a"), 0)
    receipts.receipt(name("a"), 9, 1)
    receipts.receipt(name("c"), 9, 1)
    assert.strictEqual(receipts.committable(rule(1, "a", "b", "c"), 9), 0)
    assert.isUndefined(receipts.match(name("a")))
    assert.isUndefined(receipts.match(name("c")))
  })

  it("counts what a voter holds after its stream has ended, and never less than it said before", () => {
    const receipts = followed("b")
    receipts.receipt(name("b"), 9, 1)
    receipts.receipt(name("b"), 4, 2)
    receipts.left(name("b"))
    assert.strictEqual(receipts.committable(rule(1, "a", "b"), 20), 9)
    receipts.joined(name("b"), 3)
    assert.strictEqual(receipts.match(name("b")), 9)
  })

  it("forgets an incarnation when another of the same node joins", () => {
    const receipts = followed("b1")
    receipts.receipt(name("b1"), 9, 1)
    receipts.joined(name("b2"), 2)
    assert.strictEqual(receipts.committable(rule(1, "a", "b1"), 20), 0)
    assert.strictEqual(receipts.committable(rule(1, "a", "b2"), 20), 0)
    receipts.receipt(name("b2"), 5, 3)
    assert.strictEqual(receipts.committable(rule(1, "a", "b1"), 20), 0)
    assert.strictEqual(receipts.committable(rule(1, "a", "b2"), 20), 5)
  })

  it("is the same as counting index by index, over random receipts and rules", () => {
    const nodes = ["a1", "b1", "b2", "c1", "d1", "e1", "f1"]
    for (let seed = 1; seed <= 300; seed++) {
      const roll = dice(seed)
      const receipts = new Receipts(name("a"))
      const model = new Map<string, number>()
      let voters: ReadonlyArray<string> = nodes
      let wanted = rule(1, ...voters)
      for (let step = 0; step < 60; step++) {
        const node = nodes[roll(nodes.length)]!
        switch (roll(4)) {
          case 0:
            receipts.joined(name(node), step)
            if (node === "a1") break
            for (const other of model.keys()) if (other !== node && other[0] === node[0]) model.delete(other)
            if (!model.has(node)) model.set(node, 0)
            break
          case 1:
            receipts.left(name(node))
            break
          default: {
            const match = roll(30)
            receipts.receipt(name(node), match, step)
            if (model.has(node)) model.set(node, Math.max(model.get(node)!, match))
          }
        }
        // The same rule for some steps, as in a reign: who joins meanwhile counts.
        if (roll(4) === 0) {
          voters = nodes.filter(() => roll(2) === 0)
          wanted = rule(roll(5), ...voters)
        }
        const persisted = roll(30)
        let expected = 0
        for (let i = 1; i <= persisted && wanted.required > 0; i++) {
          if (voters.filter((v) => v !== "a1" && (model.get(v) ?? -1) >= i).length >= wanted.required) expected = i
        }
        assert.strictEqual(receipts.committable(wanted, persisted), expected, `seed ${seed} step ${step}`)
        assert.strictEqual(receipts.committable(wanted, persisted), expected, `asked again: seed ${seed} step ${step}`)
        assert.deepStrictEqual(
          new Map(receipts.followers().map((f) => [short(f.name), f.match] as const)),
          model,
          `seed ${seed} step ${step}`
        )
      }
    }
  })
})

describe("who answers and who is caught up", () => {
  it("counts the other voters whose last receipt is young enough", () => {
    const receipts = followed("b", "c", "d")
    receipts.receipt(name("b"), 1, 1_000)
    receipts.receipt(name("c"), 1, 2_000)
    receipts.receipt(name("d"), 1, 3_000)
    const voters = rule(1, "a", "b", "c")
    assert.strictEqual(receipts.answering(voters, 3_000, 500), 0)
    assert.strictEqual(receipts.answering(voters, 3_000, 1_000), 1)
    assert.strictEqual(receipts.answering(voters, 3_000, 2_000), 2)
  })

  const since = (receipts: Receipts, n: string): number | undefined =>
    receipts.followers().find((f) => short(f.name) === n)?.caughtUpSinceMillis

  it("knows since when a follower holds what was committed two seconds ago", () => {
    const receipts = followed("b1", "c1")
    for (let t = 0; t <= 20_000; t += 500) {
      receipts.receipt(name("b"), 1_000 + t - 900, t)
      receipts.receipt(name("c"), Math.min(1_000 + t, 6_000), t)
      receipts.observe(1_000 + t, t, 3_000)
    }
    assert.isBelow(since(receipts, "b1")!, 3_000)
    assert.isUndefined(since(receipts, "c1"))
  })

  it("starts again after a silence, and after the stream has ended", () => {
    const receipts = followed("b1")
    receipts.receipt(name("b"), 5, 0)
    receipts.observe(5, 0, 3_000)
    assert.strictEqual(since(receipts, "b1"), 0)
    receipts.observe(5, 3_001, 3_000)
    assert.isUndefined(since(receipts, "b1"))
    receipts.receipt(name("b"), 5, 4_000)
    receipts.observe(5, 4_000, 3_000)
    assert.strictEqual(since(receipts, "b1"), 4_000)
    receipts.left(name("b"))
    assert.isUndefined(since(receipts, "b1"))
    receipts.joined(name("b"), 4_100)
    receipts.receipt(name("b"), 5, 4_200)
    receipts.observe(5, 4_200, 3_000)
    assert.strictEqual(since(receipts, "b1"), 4_200)
  })

  it("does not take its own pause for the others' silence", () => {
    const receipts = followed("b1")
    assert.strictEqual(receipts.listeningSinceMillis(), Number.POSITIVE_INFINITY)
    receipts.observe(0, 1_000, 3_000)
    receipts.observe(0, 3_000, 3_000)
    assert.strictEqual(receipts.listeningSinceMillis(), 1_000)
    receipts.observe(0, 18_000, 3_000)
    assert.strictEqual(receipts.listeningSinceMillis(), 18_000)
  })

  it("remembers a bounded number of nodes that have left, and all that follow", () => {
    const receipts = new Receipts(name("a"))
    for (let i = 0; i < 1_000; i++) {
      const node = { nodeId: `node-${i}`, incarnation: "1" }
      receipts.joined(node, i)
      receipts.receipt(node, i, i)
      if (i >= 10) receipts.left(node)
    }
    const left = receipts.followers().map((f) => f.name.nodeId)
    assert.isAtMost(left.length, 256)
    for (let i = 0; i < 10; i++) assert.include(left, `node-${i}`)
    assert.include(left, "node-999")
  })
})
