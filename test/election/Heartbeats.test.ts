import { assert, describe, it } from "@effect/vitest"
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import { type HeartbeatTiming, NodeMap } from "../../src/core/election/heartbeats.ts"
import { patience, reasonToAct, type Reigning } from "../../src/core/election/reasons.ts"
import type { NodeInfo, NodeReport } from "../../src/core/wire/peer/messages.ts"
import { dice, name } from "../quorum/dice.ts"
import { reportOf } from "../support/reports.ts"

const timing: HeartbeatTiming = { degradedAfterMillis: 2_000, deregisteredAfterMillis: 10_000, tickMillis: 500 }
const info = (short: string, memberId = 1n): NodeInfo => ({
  name: name(short),
  memberId,
  peerAddress: `${short[0]}:2381`,
  clientAddress: `${short[0]}:2378`
})

/** A map that knows a and b, ticked up to `now`. */
const mapAt = (now: number): NodeMap => {
  const map = new NodeMap(timing)
  map.register(info("a", 1n), 0)
  map.register(info("b", 2n), 0)
  for (let at = 0; at <= now; at += 500) map.tick(at)
  return map
}

const ids = (entries: ReadonlyArray<{ readonly info: NodeInfo }>): string =>
  entries.map(({ info: { name: n } }) => n.nodeId).join(" ")

describe("the map of nodes", () => {
  it("degrades a node after its count of intervals without a heartbeat, and a heartbeat heals it", () => {
    const map = mapAt(1_500)
    map.heard(reportOf(name("b")), 1_500)
    assert.strictEqual(ids(map.tick(1_999)), "")
    assert.strictEqual(ids(map.tick(2_000)), "a")
    assert.strictEqual(map.get("a")!.degradedSince, 2_000)
    map.heard(reportOf(name("a")), 2_100)
    assert.isUndefined(map.get("a")!.degradedSince)
    assert.strictEqual(ids(map.tick(2_200)), "")
  })

  it("has a node taken out when it was degraded for long enough, and never without a timeout", () => {
    const map = mapAt(11_500)
    assert.strictEqual(ids(map.overdue(11_999)), "")
    assert.strictEqual(ids(map.overdue(12_000)), "a b")
    const never = new NodeMap({ ...timing, deregisteredAfterMillis: undefined })
    never.register(info("a"), 0)
    never.tick(1e9)
    assert.deepStrictEqual(never.overdue(1e12), [])
  })

  it("does not take its own pause for everybody's silence", () => {
    const map = mapAt(1_000)
    assert.strictEqual(ids(map.tick(31_000)), "")
    assert.strictEqual(ids(map.tick(31_500)), "")
    assert.strictEqual(ids(map.tick(32_000)), "a b")
  })

  it("knows another incarnation as another node", () => {
    const map = mapAt(1_000)
    map.heard(reportOf(name("a")), 1_000)
    assert.isTrue(map.register(info("a2", 1n), 1_100))
    assert.isUndefined(map.get("a")!.report)
    assert.isFalse(map.heard(reportOf(name("a")), 1_200), "the old one is not heard any more")
    assert.strictEqual(map.get("a")!.heardAt, 1_100)
  })

  it("says when what everybody is told has changed", () => {
    const map = mapAt(0)
    assert.isFalse(map.heard(reportOf(name("a")), 1))
    assert.isTrue(map.heard(reportOf(name("a"), { peerAddress: "new:1" }), 2))
    assert.strictEqual(map.infos()[0]!.peerAddress, "new:1")
    assert.isFalse(map.register({ ...info("a"), peerAddress: "new:1" }, 3))
  })

  it("counts heartbeats of an Active Primary that cannot acknowledge, in a row, and no other answers", () => {
    const map = mapAt(0)
    const cannot = reportOf(name("a"), { primary: "active", mayAcknowledge: false })
    for (const [isHeartbeat, refusals] of [
      [true, 1],
      [false, 1],
      [true, 2],
      [true, 3]
    ] as const) {
      map.heard(cannot, 1, isHeartbeat)
      assert.strictEqual(map.get("a")!.refusals, refusals)
    }
    map.heard(reportOf(name("a"), { primary: "active" }), 2)
    assert.strictEqual(map.get("a")!.refusals, 0)
    map.heard(reportOf(name("a"), { primary: "starting", mayAcknowledge: false }), 3)
    assert.strictEqual(map.get("a")!.refusals, 0)
  })

  it("agrees with a plain reading of the rule in random histories", () => {
    for (let seed = 0; seed < 200; seed++) {
      const roll = dice(seed)
      const map = mapAt(0)
      const heard = new Map([
        ["a", 0],
        ["b", 0]
      ])
      const degraded = new Map<string, number>()
      for (let now = 500; now < 30_000; now += 500) {
        for (const id of ["a", "b"]) {
          if (roll(6) !== 0) continue
          map.heard(reportOf(name(id)), now)
          heard.set(id, now)
          degraded.delete(id)
        }
        map.tick(now)
        for (const [id, at] of heard) if (now - at >= 2_000 && !degraded.has(id)) degraded.set(id, now)
        for (const id of ["a", "b"]) assert.strictEqual(map.get(id)!.degradedSince, degraded.get(id), `seed ${seed}`)
        const overdue = [...degraded].filter(([, at]) => now - at >= 10_000).map(([id]) => id)
        assert.deepStrictEqual(
          map
            .overdue(now)
            .map((e) => e.info.name.nodeId)
            .sort(),
          overdue.sort()
        )
      }
    }
  })
})

describe("the Elector acts", () => {
  const arbiter: Arbiter = {
    term: 4,
    primary: name("a"),
    mode: "store",
    voters: [],
    required: 0,
    leaseMillis: 3_000,
    timeoutMillis: undefined,
    counter: 1,
    resigned: false,
    allStored: false,
    recovered: undefined
  }
  const reigning: Reigning = { arbiter, namedAtMillis: 0, patienceMillis: 5_000, heartbeatMillis: 1_000 }
  const active: Partial<NodeReport> = { primary: "active", term: 4 }
  const withReport = (change: Partial<NodeReport>, now = 1_000): NodeMap => {
    const map = mapAt(500)
    map.heard(reportOf(name("a"), change), now)
    return map
  }
  const why = (map: NodeMap, now = 1_000, given: Reigning = reigning): string => {
    const reason = reasonToAct(given, map.entries(), now)
    return reason === undefined ? "" : `${reason.kind}: ${reason.why}`
  }

  it("not while the Primary reigns, has just been named, or has said nothing yet", () => {
    assert.strictEqual(why(withReport(active)), "")
    assert.strictEqual(why(withReport({ primary: "starting", term: 4 })), "")
    assert.strictEqual(why(withReport({ primary: "replica", term: 4 })), "")
    assert.strictEqual(why(mapAt(500)), "")
    assert.strictEqual(why(withReport({ ...active, term: 3, mayAcknowledge: false, refusedTerm: 9 })), "")
  })

  it("when there is no Primary, or it has resigned, left, gone, or misses its heartbeats", () => {
    assert.match(why(mapAt(0), 0, { ...reigning, arbiter: undefined }), /^gone: there is no Primary yet/)
    assert.match(why(withReport(active), 1_000, { ...reigning, arbiter: { ...arbiter, resigned: true } }), /resigned/)
    assert.match(why(mapAt(2_500)), /^gone: .*misses its heartbeats/)
    const left = withReport(active)
    left.leaving("a", true)
    assert.match(why(left), /^gone: .*has left/)
    const removed = withReport(active)
    removed.remove("a")
    assert.match(why(removed), /^gone: .*not registered/)
    const reborn = withReport(active)
    reborn.register(info("a2"), 1_000)
    assert.match(why(reborn), /^gone: .*its node runs as a\/2/)
  })

  it("when it was started anew, and not for a start before the term", () => {
    const map = withReport(active)
    map.heard(reportOf(name("a"), { startedAtSeconds: 101 }), 1_500)
    assert.match(why(map, 1_500), /^gone: .*started anew/)
    assert.strictEqual(why(map, 2_000, { ...reigning, namedAtMillis: 1_501 }), "")
  })

  it("when it cannot acknowledge for three heartbeats in a row", () => {
    const map = withReport({ ...active, mayAcknowledge: false })
    map.heard(reportOf(name("a"), { ...active, mayAcknowledge: false }), 2_000)
    assert.strictEqual(why(map), "")
    map.heard(reportOf(name("a"), { ...active, mayAcknowledge: false }), 3_000)
    assert.match(why(map), /^unable: .*cannot acknowledge/)
  })

  it("when it is refused with a higher term, or any node is fenced above the arbiter's", () => {
    assert.match(why(withReport({ ...active, refusedTerm: 5 })), /^term: .*refused with term 5/)
    const map = withReport(active)
    map.heard(reportOf(name("b"), { fenced: 4 }), 1_000)
    assert.strictEqual(why(map), "")
    map.heard(reportOf(name("b"), { fenced: 5 }), 1_000)
    assert.match(why(map), /^term: b\/1 is fenced at term 5/)
  })

  it("when it answers Starting or Draining for longer than `primary_prior_timeout`", () => {
    for (const primary of ["starting", "draining"] as const) {
      const map = withReport({ primary, term: 4 })
      assert.strictEqual(why(map, 5_999), "")
      assert.match(why(map, 6_000), new RegExp(`^unable: .*has been ${primary}`))
    }
  })

  it("when it knows its term and does not begin it for three heartbeats", () => {
    const map = withReport({ primary: "replica", term: 4 })
    assert.strictEqual(why(map, 3_999), "")
    assert.match(why(map, 4_000), /^gone: .*not begun/)
    assert.strictEqual(why(withReport({ primary: "replica", term: 3 }), 4_000), "", "it may not have heard of it")
  })

  it("with twice the patience after each term that nobody made use of, up to a bound", () => {
    assert.deepStrictEqual(
      [0, 1, 2, 6, 50].map((n) => patience(5_000, n)),
      [5_000, 10_000, 20_000, 320_000, 320_000]
    )
  })
})
