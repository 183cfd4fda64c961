/** Properties of the election's decisions, on random clusters, against the rules as the design words them. */
import { assert, describe, it } from "@effect/vitest"
import type { Arbiter, NodeName } from "../../src/core/election/arbiter.ts"
import { sameNode } from "../../src/core/election/arbiter.ts"
import {
  answersNeeded,
  bestByHealth,
  bestByLog,
  electByQuorum,
  electByStore,
  planFence,
  type Preferences,
  type QuorumRound,
  storeVerdict
} from "../../src/core/election/election.ts"
import { isGoneForGood } from "../../src/core/election/recovery.ts"
import type { NodeReport } from "../../src/core/wire/peer/messages.ts"
import { isHigher } from "../../src/core/log/record.ts"
import { dice, name, short } from "../quorum/dice.ts"
import { reportOf } from "../support/reports.ts"

const runs = 3_000
const nobody: Preferences = { elector: "", wanted: "", avoided: new Set() }

const arbiterOf = (change: Partial<Arbiter> = {}): Arbiter => ({
  term: 7,
  primary: name("a"),
  mode: "quorum",
  voters: [name("a"), name("b"), name("c")],
  required: 1,
  leaseMillis: 6_000,
  timeoutMillis: 10_000,
  counter: 4,
  resigned: false,
  allStored: false,
  recovered: undefined,
  ...change
})

/** A random cluster in mode quorum and what happened in one round. */
const scene = (seed: number) => {
  const roll = dice(seed)
  const N = 2 + roll(4)
  const ids = ["a", "b", "c", "d", "e", "f"]
  const voters = ids.slice(0, N).map(name)
  const required = roll(8) === 0 ? 0 : 1 + roll(N - 1)
  const recovered = roll(3) === 0 ? { term: 3, index: roll(6) } : undefined
  const arbiter = arbiterOf({
    voters: required === 0 ? voters.slice(0, 1) : voters,
    required,
    recovered,
    timeoutMillis: roll(4) === 0 ? undefined : 10_000
  })
  // Each node answers under its own name, under another incarnation, or not at all; some are not voters.
  const nodes: Array<NodeReport> = ids.flatMap((id) => {
    const kind = roll(4)
    if (kind === 0) return []
    const incarnation = kind === 1 && roll(2) === 0 ? `${id}2` : id
    return [
      reportOf(name(incarnation), {
        last: { index: roll(6), term: roll(4) },
        commitIndex: roll(6),
        health: roll(2) === 0 ? "healthy" : "degraded",
        startedAtSeconds: roll(3),
        primary: "replica"
      })
    ]
  })
  const gone = arbiter.voters.filter(() => roll(3) === 0)
  const round: QuorumRound = { arbiter, seenAtMillis: 1_000, nowMillis: 1_000 + roll(20_000), gone }
  const prefer: Preferences = {
    elector: ids[roll(6)]!,
    wanted: ids[roll(6)]!,
    avoided: new Set(ids.filter(() => roll(5) === 0))
  }
  return { roll, arbiter, nodes, round, prefer }
}

const has = (names: ReadonlyArray<NodeName>, one: NodeName): boolean => names.some((n) => sameNode(n, one))

/** The recovery's conditions, word by word. */
const mayRecover = ({ arbiter, gone, nowMillis, seenAtMillis }: QuorumRound, answered: ReadonlyArray<NodeName>) => {
  const notGone = arbiter.voters.filter((v) => !has(gone, v))
  return (
    notGone.length < arbiter.voters.length - arbiter.required &&
    notGone.every((v) => has(answered, v)) &&
    arbiter.timeoutMillis !== undefined &&
    nowMillis - seenAtMillis >= 1.11 * arbiter.timeoutMillis
  )
}

describe("whom to fence", () => {
  it("is nobody unless N − required voters answer, or a recovery may be held with all that are not gone", () => {
    let fenced = 0
    let recovered = 0
    for (let seed = 0; seed < runs; seed++) {
      const { arbiter, nodes, round, prefer } = scene(seed)
      const reachable = nodes.map((n) => n.name)
      const plan = planFence(round, reachable, prefer.avoided)
      const voters = reachable.filter((n) => has(arbiter.voters, n))
      const enough = voters.length >= arbiter.voters.length - arbiter.required
      const recovery = !enough && mayRecover(round, reachable)
      assert.strictEqual(plan.kind, enough || recovery ? "fence" : "wait", `seed ${seed}`)
      if (plan.kind === "wait") {
        for (const v of plan.missing) assert.isTrue(has(arbiter.voters, v) && !has(reachable, v))
        continue
      }
      assert.isTrue(plan.nodes.every((n) => has(reachable, n)))
      if (enough) {
        fenced++
        assert.isAtLeast(plan.nodes.length, arbiter.voters.length - arbiter.required)
        assert.isTrue(
          plan.nodes.every((n) => has(arbiter.voters, n)),
          "only voters promise anything"
        )
        const spared = voters.filter((n) => !has(plan.nodes, n))
        assert.isTrue(spared.every((n) => prefer.avoided.has(n.nodeId)))
      } else recovered++
    }
    assert.isAbove(fenced, 100)
    assert.isAbove(recovered, 20)
  })
})

describe("who is elected in mode quorum", () => {
  it("is the highest log among enough fenced voters, in the next term, and nothing else changes", () => {
    let elected = 0
    let recoveries = 0
    for (let seed = 0; seed < runs; seed++) {
      const { arbiter, nodes, round, prefer } = scene(seed)
      const next = electByQuorum(round, nodes, prefer)
      const voters = nodes.filter((n) => has(arbiter.voters, n.name))
      const enough = voters.length >= arbiter.voters.length - arbiter.required
      const recovery =
        !enough &&
        nodes.length > 0 &&
        mayRecover(
          round,
          nodes.map((n) => n.name)
        )
      assert.strictEqual(next !== undefined, enough || recovery, `seed ${seed}`)
      if (next === undefined) continue
      const candidates = voters.length > 0 ? voters : nodes
      const winner = candidates.find((n) => sameNode(n.name, next.primary))!
      assert.isDefined(winner, `seed ${seed}: only who answered`)
      assert.isFalse(
        candidates.some((n) => isHigher(n.last, winner.last)),
        `seed ${seed}: whatever its health`
      )
      const same = { term: arbiter.term + 1, primary: winner.name, counter: arbiter.counter + 1, resigned: false }
      if (enough) {
        elected++
        assert.deepStrictEqual(next, { ...arbiter, ...same })
      } else {
        recoveries++
        const index = Math.min(winner.commitIndex + 1, arbiter.recovered?.index ?? Infinity)
        assert.deepStrictEqual(next, {
          ...arbiter,
          ...same,
          voters: [winner.name],
          required: 0,
          recovered: { term: arbiter.term + 1, index }
        })
      }
    }
    assert.isAbove(elected, 100)
    assert.isAbove(recoveries, 20)
  })

  it("needs so many answers that they meet every set that can have committed", () => {
    const bits = (set: number): number => set.toString(2).replaceAll("0", "").length
    for (let n = 2; n <= 5; n++) {
      for (let required = 1; required < n; required++) {
        const arbiter = arbiterOf({ voters: ["a", "b", "c", "d", "e"].slice(0, n).map(name), required })
        const needed = answersNeeded(arbiter)
        for (let answered = 0; answered < 1 << n; answered++) {
          if (bits(answered) !== needed) continue
          // The Primary, which is voter 0, and `required` others.
          for (let others = 0; others < 1 << (n - 1); others++) {
            if (bits(others) === required) assert.notStrictEqual(answered & (1 | (others << 1)), 0)
          }
        }
      }
    }
  })

  it("does not depend on the order of the answers", () => {
    for (let seed = 0; seed < 500; seed++) {
      const { nodes, prefer } = scene(seed)
      const turned = [...nodes].reverse()
      for (const best of [bestByLog, bestByHealth]) {
        assert.strictEqual(best(nodes, prefer), best(turned, prefer), `seed ${seed}`)
      }
    }
  })
})

describe("between equal logs", () => {
  const last = { index: 5, term: 2 }
  const a = reportOf(name("a"), { last, startedAtSeconds: 10 })
  const b = reportOf(name("b"), { last, startedAtSeconds: 5 })
  const c = reportOf(name("c"), { last, startedAtSeconds: 20, health: "degraded" })
  const winner = (best: typeof bestByLog, prefer: Partial<Preferences>, ...of: ReadonlyArray<NodeReport>): string =>
    short(best(of, { ...nobody, ...prefer })!.name)

  it("health decides, then who is wanted, then who is not the Elector, then who runs longest", () => {
    for (const best of [bestByLog, bestByHealth]) {
      assert.strictEqual(winner(best, {}, a, b, c), "b1")
      assert.strictEqual(winner(best, { elector: "b" }, a, b, c), "a1")
      assert.strictEqual(winner(best, { elector: "b", wanted: "b" }, a, b, c), "b1")
      assert.strictEqual(winner(best, { wanted: "c" }, a, b, c), "b1")
      assert.strictEqual(winner(best, { avoided: new Set(["b"]) }, a, b, c), "a1")
      assert.strictEqual(winner(best, {}, c), "c1")
    }
  })

  it("a wanted node with a lower log is not taken", () => {
    const low = reportOf(name("d"), { last: { index: 4, term: 2 } })
    assert.strictEqual(winner(bestByLog, { wanted: "d" }, a, low), "a1")
    assert.strictEqual(winner(bestByHealth, { wanted: "d" }, a, low), "a1")
  })

  it("a higher log on an ill node wins in mode quorum only", () => {
    const high = reportOf(name("e"), { last: { index: 1, term: 3 }, health: "degraded" })
    assert.strictEqual(winner(bestByLog, {}, a, high), "e1")
    assert.strictEqual(winner(bestByHealth, {}, a, high), "a1")
  })

  it("who has promised the term away cannot be elected", () => {
    const promised = reportOf(name("f"), { last, fenced: 9 })
    assert.isUndefined(electByStore(8, [promised], nobody))
    assert.strictEqual(electByStore(9, [promised], nobody), promised)
  })
})

describe("in mode store", () => {
  const arbiter = arbiterOf({ mode: "store", voters: [], required: 0, leaseMillis: 3_000 })
  const round = { arbiter, seenAtMillis: 1_000, nowMillis: 2_000, lockProof: false }
  const old = (primary: NodeReport["primary"], who = "a") => reportOf(name(who), { primary })

  it("the lease is waited for, 1.11 times, from when its ETag was first seen", () => {
    assert.deepStrictEqual(storeVerdict(round, [old("replica", "b")]), { kind: "wait", untilMillis: 4_330 })
    assert.strictEqual(storeVerdict({ ...round, nowMillis: 4_330 }, []).kind, "go")
  })

  it("nobody waits when the old Primary has resigned, or its own database shows that its process is dead", () => {
    assert.strictEqual(storeVerdict({ ...round, arbiter: { ...arbiter, resigned: true } }, []).kind, "go")
    assert.strictEqual(storeVerdict(round, [old("replica")]).kind, "go")
    assert.strictEqual(storeVerdict({ ...round, lockProof: true }, []).kind, "go")
    for (const role of ["starting", "active", "draining"] as const) {
      assert.strictEqual(storeVerdict(round, [old(role)]).kind, "wait", role)
    }
    assert.strictEqual(storeVerdict(round, [old("replica", "a2")]).kind, "wait", "another incarnation proves nothing")
  })
})

describe("a voter", () => {
  const voter = name("a")
  const here = { registered: { incarnation: "1" }, heardAs: undefined, heardAtMillis: 5_000 }

  it("is gone for good when its node runs with another incarnation, is not registered, or was abandoned", () => {
    assert.isFalse(isGoneForGood(voter, here, 0, undefined, 1e9))
    assert.isTrue(isGoneForGood(voter, { ...here, registered: { incarnation: "2" } }, 0, undefined, 6_000))
    assert.isTrue(isGoneForGood(voter, { ...here, heardAs: name("a2") }, 0, undefined, 6_000))
    assert.isTrue(isGoneForGood(voter, { ...here, registered: undefined }, 0, undefined, 6_000))
    assert.isFalse(isGoneForGood(voter, here, 0, 2_000, 6_999))
    assert.isTrue(isGoneForGood(voter, here, 0, 2_000, 7_000))
    assert.isFalse(isGoneForGood(voter, here, 6_000, 2_000, 7_000), "the arbiter has changed since")
  })
})
