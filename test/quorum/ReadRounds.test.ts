import { assert, describe, it } from "@effect/vitest"
import { ReadRounds } from "../../src/core/quorum/readRounds.ts"
import { type CommitRule, storeRule } from "../../src/core/quorum/rule.ts"
import { dice, name, short } from "./dice.ts"

const rule = (required: number, ...voters: ReadonlyArray<string>): CommitRule => ({
  mode: "quorum",
  voters: voters.map(name),
  required
})

describe("read rounds", () => {
  it("serve the reads of a round that `required` other voters have confirmed", () => {
    const rounds = new ReadRounds<string>(name("a"))
    assert.isFalse(rounds.startable())
    rounds.join("r1", 5)
    const id = rounds.start()
    const voters = rule(2, "a", "b", "c", "d")
    rounds.confirm(name("a"), id)
    rounds.confirm(name("b"), id)
    rounds.confirm(name("b"), id)
    rounds.confirm(name("x"), id)
    rounds.confirm(name("c2"), id)
    assert.isUndefined(rounds.done(voters))
    rounds.confirm(name("d"), id)
    assert.deepStrictEqual(rounds.done(voters), [{ waiter: "r1", index: 5 }])
    assert.isUndefined(rounds.done(voters))
    assert.strictEqual(rounds.waiting, 0)
  })

  it("let a read that comes later wait for the next round", () => {
    const rounds = new ReadRounds<string>(name("a"))
    const voters = rule(1, "a", "b")
    rounds.join("r1", 1)
    const first = rounds.start()
    rounds.join("r2", 2)
    assert.isFalse(rounds.startable())
    assert.strictEqual(rounds.waiting, 2)
    rounds.confirm(name("b"), first)
    assert.deepStrictEqual(
      rounds.done(voters)?.map((r) => r.waiter),
      ["r1"]
    )
    assert.isTrue(rounds.startable())
    const second = rounds.start()
    rounds.confirm(name("b"), first)
    assert.isUndefined(rounds.done(voters))
    rounds.confirm(name("b"), second)
    assert.deepStrictEqual(
      rounds.done(voters)?.map((r) => r.waiter),
      ["r2"]
    )
  })

  it("can be sent again without losing what was confirmed", () => {
    const rounds = new ReadRounds<string>(name("a"))
    assert.isUndefined(rounds.restart())
    rounds.join("r1", 1)
    const first = rounds.start()
    rounds.confirm(name("b"), first)
    const again = rounds.restart()!
    assert.isAbove(again, first)
    rounds.confirm(name("c"), again)
    assert.strictEqual(rounds.done(rule(2, "a", "b", "c", "d"))?.length, 1)
  })

  it("serve nothing by a rule that requires nobody", () => {
    const rounds = new ReadRounds<string>(name("a"))
    rounds.join("r1", 1)
    rounds.confirm(name("b"), rounds.start())
    assert.isUndefined(rounds.done(rule(0, "a")))
    assert.isUndefined(rounds.done(storeRule))
    rounds.join("r2", 1)
    assert.deepStrictEqual(rounds.failAll(), ["r1", "r2"])
    assert.strictEqual(rounds.waiting, 0)
    assert.isFalse(rounds.startable())
  })

  it("give every read back once, and none that fewer voters confirmed after it had come", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const roll = dice(seed)
      const rounds = new ReadRounds<number>(name("a"))
      /** Per read: the voters of whom a confirmation was sent after the read came. */
      const confirmed = new Map<number, Set<string>>()
      const given = new Set<number>()
      const sent: Array<{ readonly id: number; readonly reads: ReadonlyArray<number> }> = []
      const nodes = ["a1", "b1", "c1", "c2", "d1"]
      let next = 0
      const give = (reads: ReadonlyArray<number>) => {
        for (const read of reads) {
          assert.isFalse(given.has(read))
          given.add(read)
        }
      }
      for (let step = 0; step < 120; step++) {
        switch (roll(6)) {
          case 0:
            confirmed.set(next, new Set())
            rounds.join(next++, step)
            break
          case 1:
            if (rounds.startable()) sent.push({ id: rounds.start(), reads: [...confirmed.keys()] })
            break
          case 2: {
            const id = rounds.restart()
            if (id !== undefined) sent.push({ id, reads: [...confirmed.keys()] })
            break
          }
          case 3: {
            const voters = nodes.filter(() => roll(3) > 0)
            const required = roll(4)
            for (const { waiter } of rounds.done(rule(required, ...voters)) ?? []) {
              const by = [...confirmed.get(waiter)!].filter((v) => v !== "a1" && voters.includes(v))
              assert.isTrue(required > 0 && by.length >= required, `seed ${seed} step ${step}`)
              give([waiter])
            }
            break
          }
          default: {
            const round = sent[roll(sent.length + 1)]
            if (round === undefined) break
            const voter = nodes[roll(nodes.length)]!
            rounds.confirm(name(voter), round.id)
            for (const read of round.reads) confirmed.get(read)!.add(short(name(voter)))
          }
        }
        assert.strictEqual(rounds.waiting, next - given.size)
      }
      give(rounds.failAll())
      assert.strictEqual(given.size, next)
    }
  })
})
