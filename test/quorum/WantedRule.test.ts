import { assert, describe, it } from "@effect/vitest"
import { sameNode } from "../../src/core/election/arbiter.ts"
import { mustStop } from "../../src/core/quorum/backPressure.ts"
import type { Follower } from "../../src/core/quorum/receipts.ts"
import { type CommitRule, storeRule } from "../../src/core/quorum/rule.ts"
import { type WantedRuleInput, wantedRule } from "../../src/core/quorum/wantedRule.ts"
import { dice, name, short } from "./dice.ts"

const now = 1_000_000

const quorum = (required: number, ...voters: ReadonlyArray<string>): CommitRule => ({
  mode: "quorum",
  voters: voters.map(name),
  required
})
/** Caught up for so long, last receipt so long ago. */
const follower = (n: string, caughtUp: number | undefined, silent = 100): Follower => ({
  name: name(n),
  match: 10,
  lastReceiptMillis: now - silent,
  caughtUpSinceMillis: caughtUp === undefined ? undefined : now - caughtUp
})
const input = (change: Partial<WantedRuleInput>): WantedRuleInput => ({
  quorum: -1,
  rule: storeRule,
  ruleSinceMillis: 0,
  self: name("a"),
  registered: ["a", "b", "c", "d", "e"].map(name),
  followers: [],
  nowMillis: now,
  listeningSinceMillis: 0,
  heartbeatMillis: 1_000,
  degradationCount: 3,
  caughtUpMillis: 10_000,
  deregistrationTimeoutMillis: 180_000,
  leaving: [],
  ...change
})
const show = (rule: CommitRule | undefined): string =>
  rule === undefined
    ? "stays"
    : rule.mode === "store"
      ? "store"
      : `${rule.required} of ${rule.voters.map(short).join(" ")}`
const wanted = (change: Partial<WantedRuleInput>): string => show(wantedRule(input(change)))

describe("from mode store", () => {
  it("mode quorum is entered when nodes have been caught up for ten seconds, with those nodes", () => {
    assert.strictEqual(wanted({ followers: [follower("b", 9_999), follower("c", undefined)] }), "stays")
    assert.strictEqual(wanted({ followers: [follower("b", 10_000), follower("c", 9_000)] }), "1 of a1 b1")
    assert.strictEqual(wanted({ followers: [follower("b", 10_000), follower("c", 20_000)] }), "1 of a1 b1 c1")
    assert.strictEqual(
      wanted({ followers: ["b", "c", "d", "e"].map((n) => follower(n, 10_000)) }),
      "2 of a1 b1 c1 d1 e1"
    )
  })

  it("a static quorum waits for one voter more than it requires", () => {
    assert.strictEqual(wanted({ quorum: 2, followers: [follower("b", 10_000)] }), "stays")
    assert.strictEqual(
      wanted({ quorum: 2, followers: [follower("b", 10_000), follower("c", 10_000)] }),
      "2 of a1 b1 c1"
    )
    assert.strictEqual(
      wanted({ quorum: 1, followers: [follower("b", 10_000), follower("c", 10_000)] }),
      "1 of a1 b1 c1"
    )
  })

  it("quorum 0 stays there", () => {
    assert.strictEqual(wanted({ quorum: 0, followers: [follower("b", 10_000)] }), "stays")
  })

  it("a mode that has just been left is not entered again for ten seconds", () => {
    const followers = [follower("b", 60_000)]
    assert.strictEqual(wanted({ followers, ruleSinceMillis: now - 9_999 }), "stays")
    assert.strictEqual(wanted({ followers, ruleSinceMillis: now - 10_000 }), "1 of a1 b1")
  })

  it("who is not registered in this incarnation, leaves, or has fallen silent does not count", () => {
    assert.strictEqual(wanted({ followers: [follower("b2", 10_000)] }), "stays")
    assert.strictEqual(wanted({ followers: [follower("x", 10_000)] }), "stays")
    assert.strictEqual(wanted({ followers: [follower("b", 10_000)], leaving: [name("b")] }), "stays")
    assert.strictEqual(wanted({ followers: [follower("b", 10_000, 3_001)] }), "stays")
    assert.strictEqual(wanted({ followers: [follower("a2", 10_000)] }), "stays")
  })
})

describe("in mode quorum", () => {
  const three = quorum(1, "a", "b", "c")

  it("one silent voter of three changes nothing", () => {
    assert.strictEqual(
      wanted({ rule: three, followers: [follower("b", undefined), follower("c", undefined, 9_000)] }),
      "stays"
    )
  })

  it("mode store follows when fewer than required voters sent a receipt for so many heartbeats", () => {
    const followers = [follower("b", 50_000, 3_000), follower("c", undefined, 9_000)]
    assert.strictEqual(wanted({ rule: three, followers }), "stays")
    assert.strictEqual(wanted({ rule: three, followers: [follower("b", 50_000, 3_001), followers[1]!] }), "store")
  })

  it("voters that never connected are given as long, from when this Primary listens", () => {
    assert.strictEqual(wanted({ rule: three, listeningSinceMillis: now - 3_000 }), "stays")
    assert.strictEqual(wanted({ rule: three, listeningSinceMillis: now - 3_001 }), "store")
    assert.strictEqual(wanted({ rule: three, listeningSinceMillis: Number.POSITIVE_INFINITY }), "stays")
  })

  it("a recovery and quorum 0 go to mode store", () => {
    assert.strictEqual(wanted({ rule: quorum(0, "a"), followers: [follower("b", 20_000)] }), "store")
    assert.strictEqual(wanted({ rule: three, quorum: 0, followers: [follower("b", 20_000)] }), "store")
  })

  it("a node becomes a voter once it has been caught up for ten seconds", () => {
    const followers = [follower("b", undefined), follower("c", undefined)]
    assert.strictEqual(wanted({ rule: three, followers: [...followers, follower("d", 9_999)] }), "stays")
    assert.strictEqual(wanted({ rule: three, followers: [...followers, follower("d", 10_000)] }), "2 of a1 b1 c1 d1")
    assert.strictEqual(
      wanted({ rule: three, quorum: 1, followers: [...followers, follower("d", 10_000)] }),
      "1 of a1 b1 c1 d1"
    )
  })

  it("a voter is removed that asked to leave, runs in another incarnation, or is neither registered nor heard of", () => {
    const b = follower("b", undefined)
    assert.strictEqual(
      wanted({ rule: three, followers: [b, follower("c", 9_000)], leaving: [name("c")] }),
      "1 of a1 b1"
    )
    assert.strictEqual(wanted({ rule: three, followers: [b, follower("c2", undefined)] }), "1 of a1 b1")
    const registered = ["a", "b"].map(name)
    assert.strictEqual(
      wanted({ rule: three, registered, followers: [b, follower("c", undefined, 3_001)] }),
      "1 of a1 b1"
    )
    assert.strictEqual(wanted({ rule: three, registered, followers: [b, follower("c", undefined, 3_000)] }), "stays")
    assert.strictEqual(
      wanted({ rule: three, registered: [], followers: [b, follower("c", undefined, 3_001)] }),
      "stays"
    )
  })

  it("a voter is removed that has been silent for the deregistration timeout, never without one", () => {
    const silent = (millis: number) => [follower("b", undefined), follower("c", undefined, millis)]
    assert.strictEqual(wanted({ rule: three, followers: silent(179_999) }), "stays")
    assert.strictEqual(wanted({ rule: three, followers: silent(180_000) }), "1 of a1 b1")
    assert.strictEqual(wanted({ rule: three, followers: silent(180_000), listeningSinceMillis: now - 60_000 }), "stays")
    assert.strictEqual(
      wanted({ rule: three, followers: silent(900_000), deregistrationTimeoutMillis: undefined }),
      "stays"
    )
  })

  it("the last other voter that leaves leaves a lone node in mode store", () => {
    assert.strictEqual(
      wanted({ rule: quorum(1, "a", "b"), followers: [follower("b", undefined)], leaving: [name("b")] }),
      "store"
    )
    assert.strictEqual(wanted({ rule: three, quorum: 3, followers: [follower("b", 0), follower("c", 0)] }), "store")
  })
})

describe("whatever the input", () => {
  const nodes = ["b1", "b2", "c1", "d1", "e1", "f1"]
  const random = (seed: number): WantedRuleInput => {
    const roll = dice(seed)
    /** A node has one incarnation in each list, perhaps another one in the next. */
    const some = () => {
      const other = roll(2) === 0 ? "b1" : "b2"
      return nodes.filter((n) => n !== other && roll(2) === 0)
    }
    const voters = some()
    return input({
      quorum: roll(5) - 1,
      rule: roll(3) === 0 ? storeRule : quorum(roll(voters.length + 1), "a", ...voters),
      ruleSinceMillis: now - roll(20_000),
      registered: roll(8) === 0 ? [] : ["a1", ...some()].map(name),
      followers: some().map((n) =>
        follower(n, roll(3) === 0 ? undefined : roll(25_000), roll(3) === 0 ? roll(300_000) : roll(4_000))
      ),
      listeningSinceMillis: now - (roll(2) === 0 ? roll(6_000) : roll(400_000)),
      deregistrationTimeoutMillis: roll(3) === 0 ? undefined : 180_000,
      leaving: roll(3) === 0 ? some().map(name) : []
    })
  }
  const seeds = Array.from({ length: 20_000 }, (_, i) => i + 1)

  it("the answer, once it is the rule, stands", () => {
    let changes = 0
    for (const seed of seeds) {
      const before = random(seed)
      const answer = wantedRule(before)
      if (answer === undefined) continue
      changes++
      assert.notDeepEqual(answer, before.rule)
      const after = { ...before, rule: answer, ruleSinceMillis: now }
      assert.strictEqual(show(wantedRule(after)), "stays", `seed ${seed}: ${show(before.rule)} → ${show(answer)}`)
    }
    assert.isAbove(changes, 5_000)
  })

  it("the answer does not depend on the order of names", () => {
    for (const seed of seeds.slice(0, 5_000)) {
      const forward = random(seed)
      const backward = {
        ...forward,
        rule: { ...forward.rule, voters: forward.rule.voters.toReversed() },
        registered: forward.registered.toReversed(),
        followers: forward.followers.toReversed(),
        leaving: forward.leaving.toReversed()
      }
      assert.deepStrictEqual(wantedRule(backward), wantedRule(forward), `seed ${seed}`)
    }
  })

  it("a rule of mode quorum has this Primary, every node once, 1 … N − 1 required, and enough voters that are not degraded", () => {
    let found = 0
    for (const seed of seeds) {
      const given = random(seed)
      const answer = wantedRule(given)
      if (answer === undefined || answer.mode === "store") continue
      found++
      const { voters, required } = answer
      assert.isTrue(
        voters.some((v) => sameNode(v, given.self)),
        `seed ${seed}`
      )
      assert.strictEqual(new Set(voters.map((v) => v.nodeId)).size, voters.length, `seed ${seed}`)
      assert.isTrue(required >= 1 && required <= voters.length - 1, `seed ${seed}`)
      for (const voter of voters) {
        if (sameNode(voter, given.self)) continue
        const as = given.followers.find((f) => sameNode(f.name, voter))
        assert.isFalse(
          given.leaving.some((n) => sameNode(n, voter)),
          `seed ${seed}`
        )
        if (given.rule.voters.some((v) => sameNode(v, voter))) continue
        assert.isTrue(
          as?.caughtUpSinceMillis !== undefined && now - as.caughtUpSinceMillis >= 10_000,
          `seed ${seed}: ${short(voter)} became a voter`
        )
      }
    }
    assert.isAbove(found, 2_000)
  })
})

describe("a backlog for the bucket stops the Primary", () => {
  const minute = 60_000
  const backlog = { oldestMillis: 0, bytes: 99, nowMillis: 3 * minute, ageLimitMillis: minute, limitBytes: 100 }

  it("when the oldest committed entry is older than three times the age limit", () => {
    assert.isUndefined(mustStop(backlog))
    assert.match(mustStop({ ...backlog, nowMillis: 3 * minute + 1 })!, /has waited 180 s/)
    assert.isUndefined(mustStop({ ...backlog, oldestMillis: undefined, nowMillis: 99 * minute }))
    assert.isUndefined(mustStop({ ...backlog, ageLimitMillis: 0, nowMillis: 99 * minute }))
  })

  it("when it holds the limit", () => {
    assert.match(mustStop({ ...backlog, bytes: 100 })!, /100 bytes wait/)
    assert.isUndefined(mustStop({ ...backlog, limitBytes: 0, bytes: 1e12 }))
  })
})
