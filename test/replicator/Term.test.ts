/** What a term decides: commits, reads, and who is told what when. */
import { assert, describe, it } from "@effect/vitest"
import { errors } from "../../src/core/wire/errors.ts"
import { b, c, d, quorumRule, self, storeRule, TermWorld, type Told } from "./termWorld.ts"
import { dice } from "../quorum/dice.ts"

const done = ["done"]
const timedOut = [errors.requestTimedOut.message]

describe("a term in mode store", () => {
  it("commits what is on the disk and in the bucket, in order, and not before either", () => {
    const w = new TermWorld(storeRule)
    w.term.advance()
    assert.strictEqual(w.commitIndex, 3)
    const first = w.write()
    const one = w.chunk()
    const second = w.write()
    const two = w.chunk()
    w.term.stored(two)
    w.term.persisted(5)
    assert.deepStrictEqual([first.said, second.said], [[], []])
    w.term.stored(one)
    assert.deepStrictEqual([first.said, second.said], [done, done])
    assert.deepStrictEqual(
      w.committed.map((entry) => entry.index),
      [1, 2, 3, 4, 5]
    )
    const third = w.write()
    w.term.stored(w.chunk())
    assert.deepStrictEqual(third.said, [], "its own disk lacks it")
    w.term.persisted(6)
    assert.deepStrictEqual(third.said, done)
  })

  it("commits no entry of an older term before one of its own is stored", () => {
    const w = new TermWorld(storeRule, [4, 4])
    w.term.advance()
    assert.strictEqual(w.commitIndex, 0)
    w.write()
    w.term.persisted(3)
    w.term.stored(w.chunk())
    assert.strictEqual(w.commitIndex, 3)
  })

  it("decides nothing outside the lease, and everything that was waiting once it is renewed", () => {
    const w = new TermWorld(storeRule)
    w.may = false
    const write = w.write()
    w.term.persisted(4)
    w.term.stored(w.chunk())
    const read = w.read()
    assert.deepStrictEqual([w.commitIndex, write.said, read.said], [0, [], []])
    w.may = true
    w.term.advance()
    assert.deepStrictEqual([w.commitIndex, write.said, read.said], [4, done, done])
  })

  it("serves a read of the head with the commit of the head", () => {
    const w = new TermWorld(storeRule)
    w.term.advance()
    w.write()
    const read = w.read(4)
    const atOnce = w.read()
    assert.deepStrictEqual([read.said, atOnce.said], [[], done])
    w.term.persisted(4)
    w.term.stored(w.chunk())
    assert.deepStrictEqual(read.said, done)
  })

  it("gives a read of the head a round of its own when mode quorum came between", () => {
    const w = new TermWorld(storeRule)
    w.term.advance()
    w.joined(b)
    w.write()
    w.term.persisted(4)
    w.receipt(b, 4)
    // The change may have landed long ago, and another Primary may reign by now: the receipt proves nothing for the read.
    w.may = false
    const read = w.read(4)
    w.rule(quorumRule)
    w.may = true
    w.term.release()
    assert.deepStrictEqual([w.commitIndex, read.said], [4, []])
    w.confirm(b)
    assert.deepStrictEqual(read.said, done)
  })

  it("commits nothing while a change of the rule is prepared, and by the new rule afterwards", () => {
    const w = new TermWorld(storeRule)
    w.term.advance()
    w.joined(b)
    w.term.holdBack()
    const write = w.write()
    w.term.persisted(4)
    w.receipt(b, 4)
    w.term.stored(w.chunk())
    assert.deepStrictEqual([w.commitIndex, write.said], [3, []])
    const pending = w.write()
    w.term.persisted(5)
    w.rule(quorumRule)
    w.term.release()
    assert.deepStrictEqual([w.commitIndex, write.said, pending.said], [4, done, []])
    w.receipt(b, 5)
    assert.deepStrictEqual(pending.said, done)
  })
})

describe("a term in mode quorum", () => {
  it("commits what the Primary and enough other voters of that incarnation hold", () => {
    const w = new TermWorld(quorumRule)
    for (const name of [b, d]) w.joined(name)
    w.joined({ nodeId: "c", incarnation: "2" })
    const write = w.write()
    w.receipt(d, 4)
    w.receipt({ nodeId: "c", incarnation: "2" }, 4)
    w.receipt(self, 4)
    w.term.persisted(4)
    assert.strictEqual(w.commitIndex, 0)
    w.receipt(b, 4)
    assert.deepStrictEqual([w.commitIndex, write.said], [4, done])
  })

  it("does not commit what its own disk lacks, whoever holds it", () => {
    const w = new TermWorld(quorumRule)
    for (const name of [b, c]) w.joined(name)
    const write = w.write()
    w.receipt(b, 4)
    w.receipt(c, 4)
    assert.deepStrictEqual([w.commitIndex, write.said], [3, []])
    w.term.persisted(4)
    assert.deepStrictEqual(write.said, done)
  })

  it("counts no copies of older terms' entries before its own entry is held", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    w.receipt(b, 2)
    assert.strictEqual(w.commitIndex, 0)
    w.receipt(b, 3)
    assert.strictEqual(w.commitIndex, 3)
  })

  it("commits nothing where a recovery requires nobody", () => {
    const w = new TermWorld({ mode: "quorum", voters: [self], required: 0 })
    w.joined(b)
    w.receipt(b, 3)
    const read = w.read()
    w.confirm(b)
    assert.deepStrictEqual([w.commitIndex, read.said], [0, []])
  })

  it("acknowledges nothing while the buffer is overfull", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    w.term.overfull = true
    w.receipt(b, 3)
    const read = w.read()
    w.confirm(b)
    assert.deepStrictEqual([w.commitIndex, read.said], [0, []])
    w.term.overfull = false
    w.term.advance()
    assert.deepStrictEqual([w.commitIndex, read.said], [3, done])
  })

  it("serves a read by a round that was sent after it came", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    w.receipt(b, 3)
    const first = w.read()
    const early = w.round
    const second = w.read()
    assert.strictEqual(w.round, early, "one round is out at a time")
    w.confirm(b, early)
    assert.deepStrictEqual([first.said, second.said], [done, []])
    w.confirm(b, early)
    assert.deepStrictEqual(second.said, [])
    w.confirm(b)
    assert.deepStrictEqual(second.said, done)
  })

  it("counts neither itself nor strangers nor a lost voter's new incarnation in a round", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    const read = w.read()
    w.confirm(self)
    w.confirm(d)
    w.confirm({ ...c, incarnation: "2" })
    assert.deepStrictEqual(read.said, [])
    w.confirm(c)
    assert.deepStrictEqual(read.said, done)
  })

  it("asks again when a voter has come, and an answer to either sending counts", () => {
    const w = new TermWorld(quorumRule)
    const read = w.read()
    w.joined(b)
    w.term.repeatRound()
    assert.strictEqual(w.sentRounds.length, 1)
    w.confirm(b)
    assert.deepStrictEqual(read.said, done)
  })

  it("serves a read above the commit index after both the round and the commit, in this order", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    w.receipt(b, 3)
    w.write()
    const read = w.read(4)
    const late = w.read(4)
    w.confirm(b)
    assert.deepStrictEqual(read.said, [])
    w.term.persisted(4)
    w.receipt(b, 4)
    assert.deepStrictEqual([read.said, late.said], [done, []], "the second round is not confirmed")
    w.confirm(b)
    assert.deepStrictEqual(late.said, done)
  })

  it("serves reads by the lease when the mode becomes store, and by a round when it becomes quorum", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    w.receipt(b, 3)
    const byRound = w.read()
    w.may = false
    w.rule(storeRule)
    w.may = true
    w.term.release()
    assert.deepStrictEqual(byRound.said, done)
    w.may = false
    const byLease = w.read()
    w.rule(quorumRule)
    w.may = true
    w.term.release()
    assert.deepStrictEqual(byLease.said, [])
    w.confirm(b)
    assert.deepStrictEqual(byLease.said, done)
  })
})

describe("whoever waits for a term", () => {
  it("is told after etcd's request time that its fate is unknown, each at its own time", () => {
    const w = new TermWorld(quorumRule)
    const write = w.write()
    const first = w.read()
    w.passed(6_000)
    const second = w.read()
    const above = w.read(4)
    w.passed(999)
    assert.deepStrictEqual([write.said, first.said], [[], []])
    w.passed(1)
    assert.deepStrictEqual([write.said, first.said, second.said], [timedOut, timedOut, []])
    w.passed(5_999)
    assert.deepStrictEqual([second.said, above.said], [[], []])
    w.passed(1)
    assert.deepStrictEqual([second.said, above.said], [timedOut, timedOut])
  })

  it("is not told again when the round or the commit comes too late", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    const write = w.write()
    const read = w.read()
    w.passed(7_000)
    const next = w.read()
    w.term.persisted(4)
    w.receipt(b, 4)
    w.confirm(b)
    w.confirm(b)
    assert.deepStrictEqual([write.said, read.said, next.said], [timedOut, timedOut, done])
    assert.strictEqual(w.commitIndex, 4)
  })

  it("does not keep the place of others by having waited in vain", () => {
    const w = new TermWorld(quorumRule)
    for (let i = 0; i < 24; i++) {
      for (let n = 0; n < 5_000; n++) w.read()
      w.passed(7_000)
    }
    assert.isAtMost(w.term.rounds.waiting, 20_000)
    w.joined(b)
    w.term.repeatRound()
    const read = w.read()
    w.confirm(b)
    w.confirm(b)
    assert.deepStrictEqual(read.said, done)
  })

  it("is told at once when the term ends, and nothing is accepted, committed or read any more", () => {
    const w = new TermWorld(quorumRule)
    w.joined(b)
    w.receipt(b, 3)
    const waiting = [w.write(), w.read(), w.read(4)]
    w.confirm(b)
    w.term.stop(errors.requestTimedOut)
    assert.deepStrictEqual(
      waiting.map(({ said }) => said),
      [timedOut, done, timedOut]
    )
    w.term.persisted(4)
    w.receipt(b, 4)
    w.term.release()
    assert.strictEqual(w.commitIndex, 3)
    assert.deepStrictEqual(w.read().said, [errors.noLeader.message])
    assert.strictEqual(w.term.followers.size, 0)
  })
})

describe("any order of events", () => {
  it("commits exactly what the rule allows, never goes back, and tells everybody once", () => {
    for (let seed = 1; seed <= 400; seed++) {
      const roll = dice(seed)
      const w = new TermWorld(roll(2) === 0 ? storeRule : quorumRule)
      for (const name of [b, c]) w.joined(name)
      const match = new Map([
        ["b", 0],
        ["c", 0]
      ])
      const chunks: Array<ReturnType<typeof w.chunk>> = []
      const writes: Array<{ readonly index: number; readonly told: Told }> = []
      w.term.advance()
      let persisted = 3
      let held = false
      let rule = w.term.rule
      let before = w.commitIndex
      for (let step = 0; step < 120; step++) {
        const { pipeline } = w.term
        const what = roll(11)
        if (what <= 1) writes.push({ index: pipeline.headIndex + 1, told: w.write() })
        else if (what === 2 && persisted < pipeline.closedIndex) {
          persisted += 1 + roll(pipeline.closedIndex - persisted)
          w.term.persisted(persisted)
        } else if (what === 3) {
          const chunk = w.term.pipeline.nextChunk(rule.mode === "store" ? pipeline.closedIndex : pipeline.commitIndex)
          if (chunk !== undefined) chunks.push(chunk)
        } else if (what === 4 && chunks.length > 0) w.term.stored(chunks.splice(roll(chunks.length), 1)[0]!)
        else if (what <= 6) {
          const name = roll(2) === 0 ? b : c
          const to = Math.max(match.get(name.nodeId)!, roll(pipeline.closedIndex + 1))
          match.set(name.nodeId, to)
          w.receipt(name, to)
        } else if (what === 7) w.read(roll(2) === 0 ? w.commitIndex : pipeline.headIndex)
        else if (what === 8 && w.sentRounds.length > 0)
          w.confirm(roll(2) === 0 ? b : c, w.sentRounds[roll(w.sentRounds.length)])
        else if (what === 9) {
          if (held) {
            // Upload first: the new rule begins where the bucket ends.
            if (pipeline.storedIndex < w.commitIndex) continue
            rule = rule.mode === "store" ? quorumRule : storeRule
            w.rule(rule)
            held = false
            w.term.release()
          } else {
            held = true
            w.term.holdBack()
          }
        } else if (what === 10) {
          w.may = roll(3) > 0
          w.term.advance()
        }
        const allowed =
          rule.mode === "store"
            ? Math.min(pipeline.storedIndex, persisted)
            : Math.min(persisted, Math.max(match.get("b")!, match.get("c")!))
        assert.isAtLeast(w.commitIndex, before, `seed ${seed}`)
        if (!held && w.may && allowed >= 3) assert.strictEqual(w.commitIndex, Math.max(before, allowed), `seed ${seed}`)
        else assert.isTrue(w.commitIndex === before || (w.commitIndex >= 3 && w.commitIndex <= allowed), `seed ${seed}`)
        before = w.commitIndex
        for (const { index, told } of writes) {
          assert.deepStrictEqual(told.said, index <= before ? done : [], `seed ${seed}, entry ${index}`)
        }
      }
      w.term.stop(errors.requestTimedOut)
      for (const told of w.told) assert.strictEqual(told.said.length, 1, `seed ${seed}`)
    }
  })
})
