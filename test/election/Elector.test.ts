import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { arbiterKey, encodeArbiter } from "../../src/core/election/arbiter.ts"
import { encodeLock, lockKey } from "../../src/core/election/lock.ts"
import { isoTime } from "../../src/core/isoTime.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import { announceHandOver, leaveForGood } from "./handOver.ts"
import { metricsOf, World } from "./world.ts"

const scene =
  (body: (world: World) => Promise<void>, env: Readonly<Record<string, string>> = {}, exclusive = false) =>
  async () => {
    const world = new World(env, exclusive)
    try {
      await body(world)
    } finally {
      world.end()
    }
  }

describe("a lone node", () => {
  it(
    "elects itself at once, in mode store, with the timeout that everybody counts",
    scene(async (w) => {
      const a = w.start("a")
      assert.isBelow(await w.until("a reigns", () => w.primary === a), 300)
      assert.deepInclude(w.arbiter, {
        term: 1,
        mode: "store",
        voters: [],
        leaseMillis: 3_000,
        timeoutMillis: 180_000,
        counter: 1,
        resigned: false
      })
      assert.isTrue(a.isLeader)
      assert.strictEqual(a.waitsFor, "")
    })
  )

  it(
    "that crashed reigns again at once: it holds the database of who the arbiter names",
    scene(async (w) => {
      const a = w.start("a")
      await w.until("a reigns", () => w.primary === a)
      a.kill()
      const again = w.start("a", a.disk)
      assert.isBelow(await w.until("a reigns again", () => w.primary === again), 300)
      assert.strictEqual(w.arbiter!.term, 2)
    })
  )

  it(
    "that lost its disk waits for 1.11 times the lease, and says so",
    scene(async (w) => {
      const a = w.start("a")
      await w.until("a reigns", () => w.primary === a)
      a.kill()
      const again = w.start("a")
      await w.pass(1_000)
      assert.match(again.waitsFor, /the lease of a\/.*, Primary of term 1, to end/)
      const took = 1_000 + (await w.until("a reigns again", () => w.primary === again))
      assert.isAtLeast(took, 3_330)
      assert.isBelow(took, 4_500)
    })
  )

  it(
    "goes on above its own terms when the bucket was emptied",
    scene(async (w) => {
      const a = w.start("a")
      await w.until("a reigns", () => w.primary === a)
      w.write({ term: 9 })
      await w.pass(1_000)
      a.kill()
      const disk = a.disk
      for (const { key } of w.bucket.list({ prefix: "" }).objects) w.bucket.delete(key)
      const again = w.start("a", disk)
      await w.until("a reigns again", () => w.primary === again)
      assert.isAbove(w.arbiter!.term, a.reigned)
      assert.strictEqual(a.reigned, 9)
    })
  )

  it(
    "renews the lock every 10 s with the ETag that it remembers, and lists and reads nothing while idle",
    scene(async (w) => {
      const a = w.start("a")
      await w.until("a reigns", () => w.primary === a)
      await w.pass(2_000)
      a.calls.length = 0
      await w.pass(60_000)
      assert.deepStrictEqual(new Set(a.calls), new Set([`put ${lockKey}`]))
      assert.strictEqual(a.calls.length, 6)
    })
  )

  it(
    "waits for another process that uses its storage, however the arbiter looks",
    scene(
      async (w) => {
        w.bucket.lockHeld = true
        const a = w.start("a")
        await w.pass(10_000)
        assert.isUndefined(w.arbiter)
        assert.strictEqual(a.waitsFor, "another process, which uses this storage, to end")
        w.bucket.lockHeld = false
        assert.isBelow(await w.until("a reigns", () => w.primary === a), 1_500)
      },
      {},
      true
    )
  )

  it(
    "whose storage has a lock waits for no lease: whoever reigned is dead",
    scene(
      async (w) => {
        const a = w.start("a")
        await w.until("a reigns", () => w.primary === a)
        a.kill()
        const again = w.start("a")
        assert.isBelow(await w.until("a reigns again", () => w.primary === again), 300)
      },
      {},
      true
    )
  )

  it(
    "ends with what is wrong when the arbiter cannot be read and never could",
    scene(async (w) => {
      w.bucket.put(arbiterKey, new TextEncoder().encode("{"), undefined, 0)
      const a = w.start("a")
      await w.until("a has ended", () => a.ended !== "")
      assert.match(a.ended, /leader\/primary\.json: not JSON/)
    })
  )
})

describe("a bucket with a seed", () => {
  it(
    "that is no snapshot ends the first node with what is wrong, before anything is written for it",
    scene(async (w) => {
      w.bucket.put("bootstrap.netsy", new TextEncoder().encode("no data file"), undefined, 0)
      const a = w.start("a")
      await w.until("a has ended", () => a.ended !== "")
      assert.match(a.ended, /bootstrap\.netsy: /)
      assert.isUndefined(w.bucket.get("members.json"))
      assert.isUndefined(w.arbiter)
    })
  )
})

describe("an election in mode quorum", () => {
  it(
    "after the Primary was killed: the highest log wins, within half a second of the broken stream",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(3_000)
      // The Elector shall be another node than the Primary.
      await a.stop()
      await w.until("another one reigns", () => w.primary !== undefined && w.leader !== undefined)
      const leader = w.leader!
      const first = w.primary!
      assert.notStrictEqual(first, a)
      const back = w.start("a", a.disk)
      await w.pass(3_000)
      if (first === leader) w.write({ primary: back.name, term: w.arbiter!.term + 1 })
      await w.pass(3_000)
      const primary = w.primary!
      const [other] = [b, c, back].filter((n) => n !== primary && n !== leader)
      leader.last = { index: 5, term: 1 }
      other!.last = { index: 7, term: 1 }
      other!.commitIndex = 3
      const before = w.arbiter!
      primary.kill()
      leader.get(ClusterView).suspect(primary.id)
      const took = await w.until("the next one reigns", () => w.primary === other)
      assert.isBelow(took, 500)
      assert.deepInclude(w.arbiter, { term: before.term + 1, voters: before.voters, required: 1, mode: "quorum" })
      assert.isUndefined(w.arbiter!.recovered)
      assert.deepStrictEqual(leader.fences.at(-1), before.term + 1)
    })
  )

  it(
    "fences nobody while too few voters answer, and says who is waited for",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(2_000)
      b.kill()
      a.kill()
      await w.until("c leads", () => c.isLeader)
      await w.pass(30_000)
      assert.deepStrictEqual(c.fences, [])
      assert.strictEqual(w.arbiter!.term, 1)
      assert.match(c.waitsFor, /^a\/\w+, b\/\w+ to answer: 2 of the 3 voters of term 1 must answer, 1 do$/)
    })
  )

  it(
    "never takes a voter out, however long it is degraded, but takes another node out",
    scene(
      async (w) => {
        const [a, b, c] = await w.three()
        const d = w.start("d")
        await w.until("d is known", () => a.get(ClusterView).node("d") !== undefined)
        w.quorumOf([a, b, c])
        await w.pass(2_000)
        b.kill()
        d.kill()
        await w.until("d is taken out", () => a.get(ClusterView).node("d") === undefined, 60_000)
        assert.isUndefined(w.bucket.get("nodes/d.json"))
        await w.pass(60_000)
        assert.isDefined(w.bucket.get("nodes/b.json"))
        assert.isDefined(a.get(ClusterView).node("b"))
        // The Primary takes it out of the voters, and then the Elector does.
        w.quorumOf([a, c])
        await w.until("b is taken out", () => a.get(ClusterView).node("b") === undefined, 60_000)
        assert.isUndefined(w.bucket.get("nodes/b.json"))
      },
      { NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: "10s" }
    )
  )

  it(
    "deposes nobody who answers, even when its heartbeats do not arrive",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(2_000)
      const { decide } = w.peers
      w.peers.decide = (from, to, kind, method) =>
        from !== to && method.endsWith("SendHeartbeat") ? "drop" : decide(from, to, kind, method)
      const term = w.write({ primary: b.name, term: 2 }).term
      await w.pass(20_000)
      assert.strictEqual(w.arbiter!.term, term)
      assert.strictEqual(w.primary, b)
    })
  )

  it(
    "replaces a Primary that cannot acknowledge for three heartbeats, and does not ask it",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      w.write({ primary: b.name, term: 2 })
      await w.until("b reigns", () => w.primary === b)
      await w.pass(3_000)
      b.mayAcknowledge = false
      b.last = { index: 99, term: 2 }
      const took = await w.until("another reigns", () => w.primary !== undefined && w.primary !== b)
      assert.isAtLeast(took, 2_000)
      assert.isBelow(took, 5_000)
      assert.deepStrictEqual(b.fences, [])
      assert.strictEqual(w.arbiter!.term, 3)
    })
  )

  it(
    "leaves a Primary that cannot acknowledge where it is as long as nobody can take its place",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(2_000)
      b.kill()
      a.mayAcknowledge = false
      await w.pass(20_000)
      assert.strictEqual(w.arbiter!.term, 1)
      assert.deepStrictEqual([...a.fences, ...c.fences], [])
    })
  )
})

describe("a recovery with possible loss", () => {
  const short = { NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: "10s" }
  const lost = async (w: World) => {
    const [a, b, c] = await w.three()
    w.quorumOf([a, b, c])
    await w.pass(2_000)
    for (const node of [a, b, c]) node.kill()
    return [a, b, c] as const
  }

  it(
    "comes when too few voters are left for ever and the arbiter stood still for 1.11 times its timeout",
    scene(async (w) => {
      const [, , c] = await lost(w)
      const begun = w.time.now
      // Two machines come back without their disks, one with it.
      const fresh = (node: { last: { index: number; term: number }; commitIndex: number }): void => {
        node.last = { index: 0, term: 0 }
        node.commitIndex = 0
      }
      w.start("a", undefined, fresh)
      w.start("b", undefined, fresh)
      const back = w.start("c", c.disk, (node) => {
        node.last = { index: 12, term: 1 }
        node.commitIndex = 8
      })
      await w.until("c reigns", () => w.primary === back, 60_000)
      const took = w.time.now - begun
      assert.isAtLeast(took, 11_100)
      assert.isBelow(took, 16_000)
      assert.deepInclude(w.arbiter, {
        mode: "quorum",
        voters: [back.name],
        required: 0,
        recovered: { term: 2, index: 9 }
      })
      const events = w.nodes.flatMap((n) => n.events("recovered_with_possible_loss"))
      assert.strictEqual(events.length, 1)
      const elector = w.nodes.find((n) => n.events("recovered_with_possible_loss").length > 0)!
      const metrics = await metricsOf(elector)
      assert.match(metrics, /^netsy_elector_recoveries_with_possible_loss_total 1$/m)
      assert.match(metrics, /^netsy_elector_registered_nodes 3$/m)
      assert.match(metrics, /^netsy_elector_primary_elections_total\{result="success"\} 1$/m)
      assert.deepInclude(events[0]!.fields, { term: 2, index: 9 })
    }, short)
  )

  it(
    "is not needed where the last Primary has resigned with everything stored: whoever comes goes on from the bucket",
    scene(async (w) => {
      await lost(w)
      w.write({ resigned: true, allStored: true })
      const begun = w.time.now
      const fresh = (node: { last: { index: number; term: number }; commitIndex: number }): void => {
        node.last = { index: 0, term: 0 }
        node.commitIndex = 0
      }
      w.start("x", undefined, fresh)
      w.start("y", undefined, fresh)
      await w.until("one of them reigns", () => w.primary !== undefined, 60_000)
      assert.isBelow(w.time.now - begun, 9_000)
      assert.deepInclude(w.arbiter, {
        term: 2,
        mode: "store",
        voters: [],
        required: 0,
        resigned: false,
        allStored: true,
        recovered: undefined
      })
      assert.deepStrictEqual(
        w.nodes.flatMap((n) => n.events("recovered_with_possible_loss")),
        []
      )
    }, short)
  )

  it(
    "is not needed, nor the bucket alone, while enough voters answer a resignation with everything stored",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(2_000)
      a.kill()
      w.write({ resigned: true, allStored: true })
      await w.until("another one reigns", () => w.primary !== undefined, 60_000)
      assert.deepInclude(w.arbiter, { term: 2, mode: "quorum", required: 1, resigned: false, allStored: true })
      assert.strictEqual(w.arbiter!.voters.length, 3)
      assert.isTrue([b, c].includes(w.primary!))
    }, short)
  )

  it(
    "waits for a voter that may come back, for ever",
    scene(async (w) => {
      await lost(w)
      w.start("a")
      w.start("b")
      await w.pass(120_000)
      assert.strictEqual(w.arbiter!.term, 1)
      assert.match(w.leader!.waitsFor, /^c\/\w+ to answer: 2 of the 3 voters of term 1 must answer, 0 do$/)
      // The automation that destroyed its machine deletes its registration.
      w.bucket.delete("nodes/c.json")
      await w.until("another one reigns", () => w.primary !== undefined)
      assert.deepInclude(w.arbiter, { term: 2, required: 0 })
    }, short)
  )

  it(
    "never comes by itself without a timeout",
    scene(
      async (w) => {
        const [a, b, c] = await w.three()
        w.quorumOf([a, b, c])
        for (const node of [a, b, c]) node.kill()
        for (const id of ["a", "b", "c"]) w.start(id)
        await w.pass(120_000)
        assert.strictEqual(w.arbiter!.term, 1)
        assert.match(w.leader!.waitsFor, /^an operator: .*netsy recover/)
      },
      { NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: "0s" }
    )
  )

  it(
    "counts a voter as gone when it was abandoned",
    scene(
      async (w) => {
        const [, , c] = await lost(w)
        const back = w.start("c", c.disk)
        await w.until("c reigns", () => w.primary === back, 60_000)
        assert.deepInclude(w.arbiter, { term: 2, voters: [back.name], required: 0 })
      },
      { ...short, NETSY_ELECTOR_ABANDON_AFTER: "20s" }
    )
  )
})

describe("an election in mode store", () => {
  it(
    "waits for the lease of a Primary that stands still, and takes a healthy node",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.renews = true
      w.write({ primary: b.name, term: 2 })
      await w.until("b reigns", () => w.primary === b)
      await w.pass(2_000)
      c.last = { index: 9, term: 2 }
      b.life.pause(false)
      const took = await w.until("another one reigns", () => w.primary !== undefined && w.primary !== b)
      assert.isAtLeast(took, 2_330)
      assert.isBelow(took, 9_000)
      assert.strictEqual(w.primary, c)
      assert.deepStrictEqual(w.arbiter!.voters, [])
      assert.deepStrictEqual([...a.fences, ...b.fences, ...c.fences], [])
      b.life.resume()
      await w.pass(3_000)
      assert.strictEqual(b.role, "replica")
    })
  )

  it(
    "does not wait after a resignation, and hands over to whom the Primary has named",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      for (const wanted of [c, b]) {
        const primary = w.primary!
        await announceHandOver(w, primary, wanted.id)
        await w.pass(300)
        assert.strictEqual(w.primary, primary, "it has not resigned yet")
        w.write({ resigned: true })
        assert.isBelow(await w.until("the wanted one reigns", () => w.primary === wanted), 400)
        await w.pass(6_000)
      }
      assert.strictEqual(a.role, "replica")
    })
  )
})

describe("the bucket", () => {
  it(
    "that loses the answer to an election's write: what landed is what is told",
    scene(async (w) => {
      let lostOnce = false
      w.decide = (_id, { operation, key }) => {
        if (operation !== "put" || key !== arbiterKey || lostOnce) return undefined
        lostOnce = true
        return { kind: "lose" }
      }
      const a = w.start("a")
      await w.until("a reigns", () => w.primary === a)
      assert.strictEqual(w.arbiter!.term, 1)
    })
  )

  it(
    "that takes a write late: one of the two terms stands, and it is told",
    scene(async (w) => {
      let calls = 0
      w.decide = (_id, { operation, key }) =>
        operation === "put" && key === arbiterKey && calls++ < 2 ? { kind: "late", millis: 40 } : undefined
      const a = w.start("a")
      await w.until("a reigns", () => w.primary === a)
      await w.pass(1_000)
      assert.strictEqual(w.primary, a)
      assert.strictEqual(a.term, w.arbiter!.term)
    })
  )

  it(
    "that is away: the node says so, and goes on when it is back",
    scene(async (w) => {
      // It has registered, and seen that there is no arbiter, before.
      w.decide = (_id, { key, operation }) =>
        key === lockKey || (key === arbiterKey && operation === "put") ? { kind: "fail" } : undefined
      const a = w.start("a")
      await w.pass(20_000)
      assert.match(a.waitsFor, /^the bucket: /)
      w.decide = () => undefined
      assert.isBelow(await w.until("a reigns", () => w.primary === a), 1_500)
    })
  )

  it(
    "that is away while the Elector's lock is held: its node is troubled from the first renewal that fails until one lands",
    scene(async (w) => {
      const [a, b] = await w.three()
      const status = a.get(NodeStatus)
      await w.pass(8_000)
      assert.deepStrictEqual([status.health(), status.troubles()], ["healthy", []])
      w.decide = () => ({ kind: "fail" })
      await w.until("a renewal fails", () => a.events("elector_lock_failed").length > 0)
      assert.strictEqual(status.health(), "degraded")
      assert.match(status.troubles()[0]!, /^the bucket: .*leader\/elector\.json/)
      assert.strictEqual(b.get(NodeStatus).health(), "healthy")
      w.decide = () => undefined
      await w.until("it is well again", () => status.health() === "healthy", 2_000)
      assert.isTrue(a.isLeader)
    })
  )

  it(
    "whose lock another node has taken is no trouble",
    scene(async (w) => {
      const [a, b] = await w.three()
      const status = a.get(NodeStatus)
      let troubled = false
      w.bucket.put(lockKey, encodeLock({ leaderId: "b", leaderAddr: "b.test:8443" }, isoTime(w.time.now)), undefined, 0)
      await w.until("a has lost the lock", () => {
        troubled ||= status.troubles().length > 0
        return a.events("elector_lock_failed").length > 0 && !a.isLeader
      })
      assert.isFalse(troubled)
      assert.strictEqual(b.role, "replica")
    })
  )

  it(
    "that another Elector has written to: the write fails, and the other's Primary is told",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(2_000)
      // The arbiter changes between the reading and the writing.
      let raced = false
      w.decide = (id, { operation, key }) => {
        if (id === "a" && operation === "put" && key === arbiterKey && !raced) {
          raced = true
          const now = w.arbiter!
          w.bucket.put(
            arbiterKey,
            encodeArbiter({ ...now, term: now.term + 1, primary: c.name, resigned: false }),
            undefined,
            0
          )
        }
        return undefined
      }
      w.write({ resigned: true })
      await w.until("c reigns", () => w.primary === c)
      assert.isTrue(raced)
      assert.strictEqual(w.arbiter!.term, 2)
    })
  )
})

describe("two Electors at once", () => {
  it(
    "do no harm: terms only grow, one Primary a term, and one of them gives in",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      // b believes that nobody holds the lock.
      w.bucket.delete(lockKey)
      w.cuts.add("a b")
      await w.until("both lead", () => a.isLeader && b.isLeader, 20_000)
      w.cuts.clear()
      await w.until("one leads", () => [a, b, c].filter((n) => n.isLeader).length === 1, 20_000)
      await w.pass(5_000)
      assert.strictEqual([a, b, c].filter((n) => n.role === "active").length, 1)
    })
  )
})

describe("the lock", () => {
  it(
    "of a killed Elector is taken early, and the Primary on the same node is replaced, in less than four seconds",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(5_000)
      assert.strictEqual(w.leader, a)
      a.kill()
      for (const node of [b, c]) node.get(ClusterView).suspect("a")
      const took = await w.until("another one reigns", () => w.primary !== undefined)
      assert.isAtLeast(took, 2_000)
      assert.isBelow(took, 4_000)
      assert.strictEqual(w.arbiter!.term, 2)
    })
  )

  it(
    "of an Elector that is merely silent is left alone for 15 s",
    scene(async (w) => {
      const [a] = await w.three()
      await w.pass(5_000)
      a.life.pause(false)
      const took = await w.until("another one leads", () => w.leader !== undefined && w.leader !== a, 40_000)
      assert.isAtLeast(took, 7_400)
      assert.isBelow(took, 17_000)
    })
  )

  it(
    "is given back by a stop, and another node has it within a little more than a second",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      await w.pass(3_000)
      const begun = w.time.now
      w.write({ resigned: true })
      await a.stop()
      assert.notStrictEqual(w.arbiter!.primary.nodeId, "a", "the Primary is handed over first")
      assert.strictEqual(w.lock!.lastUpdatedMillis, 0)
      await w.until("another one leads", () => w.leader !== undefined)
      assert.isBelow(w.time.now - begun, 2_500)
      assert.isFalse(w.primary === a)
    })
  )

  it(
    "is taken by the last node that stops as Primary, which does not elect itself",
    scene(async (w) => {
      await w.three()
      const last = w.nodes.find((node) => node !== w.leader)!
      w.write({ primary: last.name, term: 2 })
      await w.until("the last one reigns", () => w.primary === last && last.get(NodeStatus).primary() === "active")
      for (const other of w.nodes) if (other !== last) other.kill()
      last.get(NodeStatus).setPrimary("draining")
      const { term } = w.write({ resigned: true })
      await w.until("the last one is Elector", () => last.isLeader)
      await w.pass(10_000)
      assert.strictEqual(w.arbiter!.term, term)
      const again = w.start("z")
      await w.until("another one reigns", () => w.primary === again)
    })
  )

  it(
    "is not taken by a node that stands aside because it stops, and is kept by one that has it",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      for (const node of [a, b]) Effect.runSync(node.elector!.standAside)
      await w.pass(20_000)
      assert.isTrue(a.isLeader)
      a.kill()
      c.kill()
      await w.pass(20_000)
      assert.strictEqual(w.lock!.leaderId, "a")
      assert.isFalse(b.isLeader)
      const back = w.start("c", c.disk)
      await w.until("one that stays takes it", () => w.leader === back)
    })
  )

  it(
    "does not let a node that stops elect itself, when all others are dead",
    scene(async (w) => {
      await w.three()
      const last = w.leader!
      w.bucket.put(
        arbiterKey,
        encodeArbiter({ ...w.arbiter!, primary: last.name, resigned: true, counter: 9 }),
        undefined,
        0
      )
      for (const other of w.nodes) if (other !== last) other.kill()
      const { term } = w.arbiter!
      await last.stop()
      assert.strictEqual(w.arbiter!.term, term)
    })
  )

  it(
    "is not read while its holder answers, and followers list nothing",
    scene(async (w) => {
      const [, b, c] = await w.three()
      await w.pass(5_000)
      b.calls.length = c.calls.length = 0
      await w.pass(60_000)
      assert.deepStrictEqual([...b.calls, ...c.calls], [])
    })
  )

  it(
    "is lost by an Elector that cannot reach the bucket, while the nodes that can go on",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      w.write({ primary: b.name, term: 2 })
      await w.until("b reigns", () => w.primary === b)
      w.withoutBucket.add("a")
      await w.until("another one leads", () => b.isLeader || c.isLeader, 60_000)
      assert.isFalse(a.isLeader)
      assert.strictEqual(w.primary, b)
      w.withoutBucket.clear()
      await w.pass(15_000)
      assert.strictEqual([a, b, c].filter((n) => n.isLeader).length, 1)
      assert.strictEqual(w.arbiter!.term, 2)
    })
  )

  it(
    "shared by two processes of one node_id: only one reigns, and the other says what is wrong",
    scene(async (w) => {
      const a = w.start("a")
      await w.until("a reigns", () => w.primary === a)
      w.renews = true
      const twin = w.start("a", new MemoryDisk())
      await w.pass(10_000)
      assert.match(twin.waitsFor, /another process runs with the node_id "a", which must be unique/)
      assert.strictEqual(w.arbiter!.term, 1)
    })
  )
})

describe("the nodes", () => {
  it(
    "are told at once of a new one, and of one that leaves for good",
    scene(async (w) => {
      const [a, b] = await w.three()
      await leaveForGood(w, b)
      await w.until("b is forgotten", () => a.get(ClusterView).node("b") === undefined)
      assert.isUndefined(w.bucket.get("nodes/b.json"))
    })
  )

  it(
    "that were taken out and come back are members again, without a restart",
    scene(
      async (w) => {
        const [a, b] = await w.three()
        b.life.pause(false)
        await w.until("b is taken out", () => a.get(ClusterView).node("b") === undefined, 60_000)
        assert.isUndefined(w.bucket.get("nodes/b.json"))
        b.life.resume()
        await w.until("b is back", () => a.get(ClusterView).node("b") !== undefined, 10_000)
        assert.isDefined(w.bucket.get("nodes/b.json"))
        assert.deepStrictEqual(a.get(ClusterView).node("b")!.name, b.name)
        assert.strictEqual(a.get(ClusterView).node("b")!.memberId, 2n)
      },
      { NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: "10s" }
    )
  )

  it(
    "are looked at twice a heartbeat interval, each time with a line of the debug log",
    scene(async (w) => {
      const [a, , c] = await w.three()
      await w.pass(2_000)
      c.kill()
      await w.until("c is missed", () => a.events("node_degraded").length > 0)
      await w.pass(1_000)
      const [earlier, later] = a.events("degradation_check").slice(-2)
      assert.deepInclude(later, { level: "DEBUG" })
      assert.deepInclude(later!.fields, { nodes: 3, degraded: ["c"] })
      const waited = Number(later!.fields["longest_silence_ms"]) - Number(earlier!.fields["longest_silence_ms"])
      assert.approximately(waited, 500, 20)
    })
  )

  it(
    "are not degraded by a pause of the Elector itself",
    scene(async (w) => {
      const [a, b, c] = await w.three()
      w.quorumOf([a, b, c])
      w.write({ primary: b.name, term: 2 })
      await w.until("b reigns", () => w.primary === b)
      await w.pass(2_000)
      a.life.pause(false)
      await w.pass(5_000)
      a.life.resume()
      await w.pass(5_000)
      assert.strictEqual(w.arbiter!.term, 2)
      assert.deepStrictEqual(a.events("node_degraded"), [])
    })
  )
})
