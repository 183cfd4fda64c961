/**
 * A Primary over a bucket that loses, delays and reorders what it is asked, beside an observer who sees what stands there.
 * Whatever happens, the Primary acknowledges only while nobody else may act on the arbiter as if it had stopped, and only
 * by the rule that stands in the bucket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import { type CommitRule, storeRule } from "../../src/core/quorum/rule.ts"
import type { Fault } from "../../src/layers/ObjectStoreFaulty.ts"
import { dice } from "../quorum/dice.ts"
import { beginTerm, other, pass, quorumMode, quorumRule, self, storeMode, World } from "./world.ts"

const third = { nodeId: "c", incarnation: "1" }
const rules: ReadonlyArray<CommitRule> = [
  storeRule,
  quorumRule,
  { mode: "quorum", voters: [self, other, third], required: 1 },
  { mode: "quorum", voters: [self, third], required: 1 }
]
const ruleOf = ({ mode, voters, required }: Arbiter): CommitRule => ({ mode, voters, required })

const randomFault = (roll: (limit: number) => number): Fault | undefined => {
  switch (roll(8)) {
    case 0:
      return { kind: "fail" }
    case 1:
      return { kind: "lose" }
    case 2:
      return { kind: "late", millis: roll(4_000) }
    case 3:
      return { kind: "hang", effect: roll(2) === 0 }
    default:
      return { kind: "delay", millis: roll(4) === 0 ? roll(3_000) : roll(60) }
  }
}

/** When others stop to trust this version, counted from when it landed; without the factor 1.11 that is for the clocks. */
const trustedMillis = (arbiter: Arbiter): number =>
  arbiter.mode === "store" ? arbiter.leaseMillis : 0.8 * arbiter.timeoutMillis!

const run = (seed: number) =>
  Effect.gen(function* () {
    const roll = dice(seed)
    const world = new World()
    const initial: Arbiter = roll(2) === 0 ? storeMode : quorumMode
    const troubled = roll(4) > 0
    let now = 0
    /** From here on the bucket hardly answers, and somebody else acts as soon as the rules allow it. */
    const usurpAt = roll(3) === 0 ? 3_000 + roll(9_000) : Number.POSITIVE_INFINITY
    world.decide = () => {
      if (now > usurpAt && roll(20) > 0) return { kind: "fail" }
      return troubled && roll(3) === 0 ? randomFault(roll) : { kind: "delay", millis: roll(60) }
    }
    const term = yield* beginTerm(world, initial)
    const { hold } = term
    let seenEtag = world.etag
    let seenAt = 0
    let changing = false
    let wanted = ruleOf(initial)
    let acknowledged = 0
    let stopped = false

    const look = (): void => {
      now += 10
      if (world.etag !== seenEtag) {
        seenEtag = world.etag
        seenAt = now
      }
      if (!hold.mayAcknowledge()) return
      acknowledged++
      const stands = world.arbiter
      const what = `seed ${seed} at ${now}: ${JSON.stringify(stands)}`
      assert.isFalse(stopped || changing, what)
      assert.strictEqual(stands.term, hold.term, what)
      assert.isFalse(stands.resigned, what)
      assert.deepStrictEqual(ruleOf(stands), wanted, what)
      assert.deepStrictEqual(ruleOf(hold.arbiter()), wanted, what)
      assert.isBelow(now, seenAt + trustedMillis(stands) + 10, what)
    }

    while (now < 40_000 && !stopped) {
      if (!changing && roll(300) === 0) {
        const rule = rules[roll(rules.length)]!
        changing = true
        yield* Effect.forkChild(
          Effect.tap(Effect.exit(hold.change(rule)), () =>
            Effect.sync(() => {
              changing = false
              wanted = rule
            })
          ),
          { startImmediately: true }
        )
        // A lost answer that is found at once takes no time.
        if (changing) assert.isFalse(hold.mayAcknowledge())
      }
      if (roll(3_000) === 0) {
        stopped = true
        yield* Effect.forkChild(hold.resign, { startImmediately: true })
      }
      if (now > usurpAt && world.arbiter.term === 5 && now > seenAt + 1.11 * trustedMillis(world.arbiter)) {
        yield* world.write({ ...world.arbiter, term: 6, primary: other, counter: world.arbiter.counter + 1 })
      }
      yield* pass(10, look)
    }
    const usurped = world.arbiter.term !== 5
    world.heal()
    yield* pass(12_000, look)
    if (usurped) assert.strictEqual(world.arbiter.term, 6)
    assert.strictEqual(hold.mayAcknowledge(), !usurped && !stopped, `seed ${seed}: a bucket that works again is enough`)
    if (!usurped && !stopped) assert.isFalse(changing, `seed ${seed}`)
    if (!usurped && stopped) assert.isTrue(world.arbiter.resigned || world.arbiter.term === 5)
    yield* term.leave
    return { acknowledged, usurped }
  })

describe("over a faulty bucket", () => {
  it.effect(
    "a Primary acknowledges only by the rule that stands in the bucket, and never longer than others wait",
    () =>
      Effect.gen(function* () {
        let acknowledged = 0
        let usurped = 0
        for (let seed = 1; seed <= 25; seed++) {
          const result = yield* Effect.scoped(run(seed))
          acknowledged += result.acknowledged
          if (result.usurped) usurped++
        }
        assert.isAbove(acknowledged, 25 * 1_000)
        assert.isAbove(usurped, 0)
      }),
    60_000
  )
})
