/**
 * A toy cluster that commits by `Receipts` and changes its rule by `wantedRule`, with crashes, lost disks, elections and
 * nodes that come and go. A log is a list of terms, so that (index, term) names an entry. Every change uploads first:
 * then whoever wins an election by the new rule has, or finds in the bucket, what was committed by any earlier one.
 */
import { assert, describe, it } from "@effect/vitest"
import { type NodeName, sameNode } from "../../src/core/election/arbiter.ts"
import { Receipts } from "../../src/core/quorum/receipts.ts"
import { type CommitRule, storeRule } from "../../src/core/quorum/rule.ts"
import { wantedRule } from "../../src/core/quorum/wantedRule.ts"
import { dice } from "./dice.ts"

const heartbeatMillis = 500
const caughtUpMillis = 2_000
const deregistrationTimeoutMillis = 8_000

interface ToyNode {
  name: NodeName
  log: ReadonlyArray<number>
  up: boolean
}

const lastTerm = (log: ReadonlyArray<number>): number => log.at(-1) ?? 0
const higher = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  lastTerm(a) > lastTerm(b) || (lastTerm(a) === lastTerm(b) && a.length > b.length)
const isPrefix = (a: ReadonlyArray<number>, of: ReadonlyArray<number>): boolean =>
  a.length <= of.length && a.every((term, i) => term === of[i])

interface Outcome {
  readonly changes: number
  readonly elections: number
  readonly committedByQuorum: number
  /** A new Primary that lacked what had been committed. */
  readonly lost: string | undefined
}

const run = (seed: number, uploadFirst: boolean): Outcome => {
  const roll = dice(seed)
  const count = 2 + roll(4)
  const quorum = roll(3) === 0 ? 1 + roll(2) : -1
  const nodes: Array<ToyNode> = Array.from({ length: count }, (_, i) => ({
    name: { nodeId: `n${i}`, incarnation: "1" },
    log: [],
    up: true
  }))
  let now = 0
  let term = 1
  let rule: CommitRule = storeRule
  let ruleSinceMillis = 0
  let bucket: ReadonlyArray<number> = []
  let committed: ReadonlyArray<number> = []
  let primary: ToyNode | undefined = nodes[0]!
  let receipts = new Receipts(primary.name, { lagMillis: 500 })
  let changes = 0
  let elections = 0
  let committedByQuorum = 0

  const commit = (of: ToyNode): void => {
    const top =
      rule.mode === "store" ? (isPrefix(bucket, of.log) ? bucket.length : 0) : receipts.committable(rule, of.log.length)
    if (top <= committed.length || of.log[top - 1] !== term) return
    if (rule.mode === "quorum") committedByQuorum++
    committed = of.log.slice(0, top)
  }

  const elect = (): string | undefined => {
    const alive = nodes.filter((node) => node.up)
    let candidates = alive
    if (rule.mode === "quorum") {
      const voters = alive.filter((node) => rule.voters.some((voter) => sameNode(voter, node.name)))
      const need = rule.voters.length - rule.required
      // Which voters answer is chance, as long as there are enough.
      while (voters.length > need && roll(2) === 0) voters.splice(roll(voters.length), 1)
      if (voters.length < need) return undefined
      candidates = [voters.reduce((best, node) => (higher(node.log, best.log) ? node : best))]
    }
    const winner = candidates[roll(candidates.length)]
    if (winner === undefined) return undefined
    term++
    elections++
    const log = higher(bucket, winner.log) ? bucket : winner.log
    if (!isPrefix(committed, log)) {
      return `seed ${seed}: ${winner.name.nodeId} has ${log.join()} in term ${term}, committed is ${committed.join()}`
    }
    winner.log = [...log, term]
    bucket = winner.log
    primary = winner
    receipts = new Receipts(winner.name, { lagMillis: 500 })
    ruleSinceMillis = now
    return undefined
  }

  for (let step = 0; step < 300; step++) {
    now += heartbeatMillis
    const node = nodes[roll(nodes.length)]!
    if (roll(12) === 0) node.up = !node.up
    if (roll(60) === 0) {
      // Its disk is lost; only as many as the rule bears, what more costs is `recovered_with_possible_loss`.
      const gone = rule.voters.filter((v) => !nodes.some((n) => sameNode(n.name, v)) || sameNode(v, node.name))
      if (rule.mode === "store" || gone.length <= rule.required) {
        node.name = { ...node.name, incarnation: `${node.name.incarnation}1` }
        node.log = []
        if (node === primary) primary = undefined
      }
    }
    if (primary?.up === false) primary = undefined
    if (primary === undefined || roll(80) === 0) {
      const lost = elect()
      if (lost !== undefined) return { changes, elections, committedByQuorum, lost }
    }
    if (primary === undefined) continue

    const reigning: ToyNode = primary
    for (let i = roll(3); i > 0; i--) reigning.log = [...reigning.log, term]
    for (const follower of nodes) {
      if (follower === reigning) continue
      if (!follower.up) {
        receipts.left(follower.name)
        continue
      }
      if (receipts.match(follower.name) === undefined || roll(30) === 0) receipts.joined(follower.name, now)
      if (roll(8) === 0) continue
      const match = Math.max(receipts.match(follower.name)!, reigning.log.length - roll(4))
      follower.log = reigning.log.slice(0, match)
      receipts.receipt(follower.name, match, now)
    }
    if (rule.mode === "store" ? roll(3) > 0 : roll(25) === 0) {
      bucket = reigning.log.slice(0, rule.mode === "store" ? reigning.log.length : committed.length)
    }
    commit(reigning)
    receipts.observe(committed.length, now, 3 * heartbeatMillis)
    const wanted = wantedRule({
      quorum,
      rule,
      ruleSinceMillis,
      self: reigning.name,
      registered: nodes.map((n) => n.name),
      followers: receipts.followers(),
      nowMillis: now,
      listeningSinceMillis: receipts.listeningSinceMillis(),
      heartbeatMillis,
      degradationCount: 3,
      caughtUpMillis,
      deregistrationTimeoutMillis,
      leaving: []
    })
    if (wanted !== undefined) {
      if (uploadFirst && bucket.length < committed.length) bucket = committed
      rule = wanted
      ruleSinceMillis = now
      changes++
    }
  }
  return { changes, elections, committedByQuorum, lost: undefined }
}

describe("a cluster that changes its voters", () => {
  const seeds = Array.from({ length: 400 }, (_, i) => i + 1)

  it("loses nothing that was committed by any rule, as long as each change uploads first", () => {
    let changes = 0
    let elections = 0
    let committedByQuorum = 0
    for (const seed of seeds) {
      const outcome = run(seed, true)
      assert.isUndefined(outcome.lost)
      changes += outcome.changes
      elections += outcome.elections
      committedByQuorum += outcome.committedByQuorum
    }
    assert.isAbove(changes, 2_000)
    assert.isAbove(elections, 2_000)
    assert.isAbove(committedByQuorum, 10_000)
  })

  it("loses entries when it does not", () => {
    assert.isTrue(seeds.some((seed) => run(seed, false).lost !== undefined))
  })
})
