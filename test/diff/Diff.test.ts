/**
 * The same random requests to Debian's etcd and to our node: every answer, error, revision and watch event is the same,
 * but for the intended differences. NETSY_DIFF_OPERATIONS: how many a seed; NETSY_SEED: this seed only;
 * NETSY_DIFF_SEEDS: how many seeds; NETSY_DIFF_SHRINK: how often a shorter sequence is looked for after a difference.
 */
import { readFileSync } from "node:fs"
import { assert, beforeAll, describe, it } from "vitest"
import { compareAnswers, compareStreams, givenOf } from "./compare.ts"
import type { Options } from "./generate.ts"
import { intended } from "./intended.ts"
import type { Operation } from "./operations.ts"
import { report } from "./report.ts"
import { type Outcome, runPair, sequence } from "./servers.ts"
import { shrink } from "./shrink.ts"
import { type Tampered, tampered } from "./tamper.ts"
import { hasCutTie } from "./ties.ts"

const operations = Number(process.env["NETSY_DIFF_OPERATIONS"] ?? "1000")
const shrinkTries = Number(process.env["NETSY_DIFF_SHRINK"] ?? "0")
const given = process.env["NETSY_SEED"]
const seedCount = Number(process.env["NETSY_DIFF_SEEDS"] ?? "1")
const seeds = given === undefined ? Array.from({ length: seedCount }, (_, at) => at + 1) : [Number(given)]
const timeoutMillis = 120_000 + operations * 60 + shrinkTries * (10_000 + operations * 60)

const optionsOf = (seed: number): Options => ({ seed, operations, auth: true, leases: true })

/**
 * What the comparison leaves out because two servers cannot have it in common: sizes, names, seconds; our words for what
 * is no message; and which of the keys that sort equal are within the limit.
 */
const ownOfAProcess =
  /^(Maintenance\.Status \.(version|dbSize|dbSizeInUse|dbSizeQuota|raft\w+|storageVersion|downgradeInfo\S*)|Cluster\.MemberList \.members\.(name|peerURLs|clientURLs)|Lease\.LeaseTimeToLive \.TTL|raw text|KV\.\w+ \S*\.kvs\.key)$/

/** As few operations as were found to show the same difference. */
const shortest = async (first: Outcome): Promise<Outcome> => {
  const { difference, sent } = first
  if (difference === undefined || shrinkTries === 0) return first
  const { what } = difference
  const last = sent.operations[difference.operation]!
  const whole = what === "the answer" ? difference.operation + 1 : sent.requests.length
  let best = first
  const shows = async (shorter: ReadonlyArray<Operation>): Promise<boolean> => {
    const result = await runPair(["etcd", "netsy"], shorter)
    const found = result.difference
    const same = found?.what === what && (what !== "the answer" || result.sent.operations[found.operation] === last)
    if (same) best = result
    return same
  }
  await shrink(sent.operations.slice(0, whole), shows, shrinkTries)
  return best
}

const repeat = (seed: number): string =>
  `NETSY_SEED=${seed} NETSY_DIFF_OPERATIONS=${operations} make test-diff; NETSY_DIFF_SHRINK=100 finds a shorter one`

describe("our node beside etcd", () => {
  const used = new Set<string>()
  let sample: Outcome | undefined

  for (const seed of seeds) {
    it(
      `answers ${operations} random requests of seed ${seed} as etcd does`,
      async () => {
        const result = await runPair(["etcd", "netsy"], sequence(optionsOf(seed)))
        for (const id of result.used) used.add(id)
        sample ??= result
        if (result.difference === undefined) return
        const shown = await shortest(result)
        assert.fail(`${report(shown, repeat(seed))}\n${shown.logs}`)
      },
      timeoutMillis
    )
  }

  it("meets every intended difference, and there are few", () => {
    assert.isAtMost(intended.length, 25)
    assert.deepStrictEqual(
      intended.map(({ id }) => id).filter((id) => !used.has(id)),
      []
    )
  })

  it("has all of them explained in the documentation", () => {
    const text = readFileSync(new URL("../../docs/etcd-compatibility.md", import.meta.url), "utf8")
    assert.deepStrictEqual(
      intended.filter(({ id, since }) => !text.includes(`| ${id} | ${since} |`)).map(({ id }) => id),
      []
    )
  })

  it("would notice every change of a revision, a code, a text, a field or an event", () => {
    assert.isDefined(sample)
    const { etcd, ours, sent } = sample!
    const isNoticed = (change: Tampered): boolean => {
      if (change.kind === "stream") {
        return compareStreams(sent, etcd.streams[change.stream]!, change.log, new Set()) !== undefined
      }
      return !compareAnswers(givenOf(sent, change.operation), etcd.answers[change.operation]!, change.answer, new Set())
    }
    const isComparable = (change: Tampered): boolean =>
      change.kind === "stream" ||
      !change.what.includes("kvs") ||
      !hasCutTie(givenOf(sent, change.operation), etcd.answers[change.operation]!, ours.answers[change.operation]!)
    const all = tampered(ours)
    const every = Math.max(1, Math.floor(all.length / 20_000))
    const missed = new Set(
      all
        .filter((change, at) => at % every === 0 && isComparable(change) && !isNoticed(change))
        .map((change) => {
          if (change.kind === "stream") return change.what
          const operation = sent.operations[change.operation]!
          return `${operation.kind === "call" ? operation.method : operation.kind} ${change.what}`
        })
    )
    assert.deepStrictEqual(
      [...missed].filter((what) => !ownOfAProcess.test(what)),
      []
    )
    assert.isAbove(all.length, operations)
  }, 60_000)
})

describe("two etcds", () => {
  let result: Outcome
  beforeAll(async () => {
    result = await runPair(["etcd", "etcd"], sequence({ seed: 1, operations: 200, auth: true, leases: false }))
  }, 60_000)

  it("answer alike, so that what differs is never chance", () => {
    assert.isUndefined(result.difference, report(result, "make test ARGS=test/diff"))
    assert.deepStrictEqual([...result.used], [])
  })
})
