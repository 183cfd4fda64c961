/** Two and three whole replicators whose roles go back and forth, with an Elector that the test plays. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { errors, isEtcdError } from "../../src/core/wire/errors.ts"
import { dice } from "../quorum/dice.ts"
import { elect, makeWorld, type Node, pass, startNode, until, type World, type Write } from "./clusterWorld.ts"
import { Told } from "./termWorld.ts"

const done = ["done"]
const timedOut = [errors.requestTimedOut.message]

const isActive = (node: Node): boolean => node.alive && node.replicator.role() === "active"
const active = (world: World): Node | undefined => [...world.nodes.values()].find(isActive)

/** Nobody has shown anything else than the others, and every node that lives has everything that was acknowledged. */
const sound = (world: World, complete = true) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(world.violations, [])
    for (const node of world.nodes.values()) {
      assert.isUndefined(node.failure)
      if (!node.alive || !complete) continue
      assert.isAtLeast(node.replicator.commitIndex(), world.acknowledged, node.nodeId)
      const entries = yield* node.local.entries(1, 1e6, 1e9)
      for (const entry of entries) {
        if (entry.index > node.replicator.commitIndex()) break
        const shown = `${entry.index}@${entry.term} ${Buffer.from(entry.records[0]!.value).toString()}`
        assert.strictEqual(shown, world.committed[entry.index], node.nodeId)
      }
    }
  })

const together = (...ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const world = yield* makeWorld
    for (const id of ids) yield* startNode(world, id)
    world.put({ primary: world.node(ids[0]!).name })
    world.tell()
    yield* until(world, () => [...world.nodes.values()].every((node) => node.started))
    return world
  })

const inQuorum = (...ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const world = yield* together(...ids)
    yield* until(world, () => world.arbiter!.voters.length === ids.length, 20_000)
    return world
  })

describe("a replica", () => {
  it.effect("shows what its Primary has committed, accepts no write, and asks the Primary for linearizable reads", () =>
    Effect.gen(function* () {
      const world = yield* together("a", "b")
      const [a, b] = [world.node("a"), world.node("b")]
      const write = world.written(a)
      const read = world.read(b)
      yield* pass(200)
      assert.deepStrictEqual([write.said, read.said], [done, done])
      assert.strictEqual(b.replicator.commitIndex(), write.index)
      assert.strictEqual(b.replicator.primary()?.name.nodeId, "a")
      assert.strictEqual(b.replicator.next(), errors.noLeader)
      yield* sound(world)
    })
  )

  it.effect("holds a linearizable read while there is no Primary, and fails it after etcd's request time", () =>
    Effect.gen(function* () {
      const world = yield* inQuorum("a", "b", "c")
      const write = world.written(world.node("a"))
      yield* pass(200)
      yield* world.node("a").kill
      const early = world.read(world.node("b"))
      yield* pass(6_900)
      assert.deepStrictEqual([write.said, early.said], [done, []])
      const late = world.read(world.node("b"))
      yield* pass(300)
      assert.deepStrictEqual([early.said, late.said], [timedOut, []])
      yield* elect(world, ["b", "c"], "b")
      yield* until(world, () => late.said.length > 0, 6_000)
      assert.deepStrictEqual(late.said, done)
      yield* sound(world)
    })
  )

  it.effect("that lost its disk is another node, catches up and becomes a voter again", () =>
    Effect.gen(function* () {
      const world = yield* inQuorum("a", "b", "c")
      for (let i = 0; i < 50; i++) world.written(world.node("a"))
      yield* pass(200)
      const before = world.node("c").name
      yield* world.node("c").kill
      const c = yield* startNode(world, "c")
      assert.notStrictEqual(c.name.incarnation, before.incarnation)
      const votes = (): boolean => world.arbiter!.voters.some(({ incarnation }) => incarnation === c.name.incarnation)
      yield* until(world, votes, 30_000)
      yield* sound(world)
    })
  )
})

describe("a change of the Primary", () => {
  it.effect("loses nothing that was acknowledged when the Primary is killed, again and again", () =>
    Effect.gen(function* () {
      const world = yield* inQuorum("a", "b", "c")
      for (let round = 0; round < 4; round++) {
        const primary = active(world)!
        const writes: Array<Write> = []
        for (let i = 0; i < 20; i++) {
          writes.push(world.written(primary))
          yield* pass(i % 7 === 0 ? 50 : 0)
        }
        const others = [...world.nodes.keys()].filter((id) => id !== primary.nodeId)
        yield* primary.kill
        yield* elect(world, others)
        yield* until(world, () => active(world) !== undefined, 20_000)
        const told = world.read(world.node(others[0]!))
        yield* until(world, () => told.said.length > 0)
        assert.deepStrictEqual(told.said, done)
        yield* startNode(world, primary.nodeId, { disk: primary.disk })
        yield* until(world, () => [...world.nodes.values()].every((node) => node.started), 20_000)
        yield* until(world, () => world.arbiter!.mode === "quorum" && world.arbiter!.voters.length === 3, 30_000)
        yield* sound(world)
      }
      assert.isAbove(world.acknowledged, 20)
    })
  )

  it.effect("goes back and forth by hand-over under writes, and every write is answered", () =>
    Effect.gen(function* () {
      const world = yield* inQuorum("a", "b", "c")
      const writes: Array<Write> = []
      for (const to of ["b", "a", "c", "b"]) {
        const primary = active(world)!
        for (let i = 0; i < 10; i++) writes.push(world.written(primary))
        const told = new Told()
        primary.replicator.handOver(to, told)
        const reads = [...world.nodes.values()].map((node) => world.read(node))
        yield* until(world, () => world.arbiter!.resigned, 10_000)
        assert.isTrue(isEtcdError(primary.replicator.next()))
        yield* elect(world, ["a", "b", "c"], to)
        yield* until(world, () => isActive(world.node(to)) && reads.every(({ said }) => said.length > 0), 10_000)
        for (const read of reads) assert.deepStrictEqual(read.said, done)
        assert.deepStrictEqual(told.said, done)
      }
      for (const write of writes) assert.deepStrictEqual(write.said, done)
      yield* until(world, () =>
        [...world.nodes.values()].every((n) => n.replicator.commitIndex() >= world.acknowledged)
      )
      yield* sound(world)
    })
  )

  it.effect("makes an isolated Primary acknowledge and read nothing; what only it had is dropped when it is back", () =>
    Effect.gen(function* () {
      const world = yield* inQuorum("a", "b", "c")
      const [a, b] = [world.node("a"), world.node("b")]
      world.cut("ab", "ac", "aelector")
      const lost = world.written(a)
      const read = world.read(a)
      yield* elect(world, ["b", "c"], "b")
      // The isolated one has not heard of it.
      world.hub.decide = (from, to) => ((from === "a") !== (to === "a") ? "cut" : "deliver")
      yield* pass(500)
      const kept = isActive(b) ? world.written(b) : undefined
      yield* pass(3_000)
      assert.notDeepEqual(lost.said, done)
      assert.notDeepEqual(read.said, done)
      world.hub.decide = () => "deliver"
      yield* until(
        world,
        () => isActive(b) && a.replicator.commitIndex() >= world.acknowledged && a.replicator.role() === "replica"
      )
      const after = world.written(b)
      yield* until(world, () => a.replicator.commitIndex() >= after.index)
      assert.deepStrictEqual(lost.said, timedOut)
      if (kept !== undefined) assert.deepStrictEqual(kept.said, done)
      yield* sound(world)
    })
  )

  it.effect("in mode store waits for the lease, and the new one has what was acknowledged", () =>
    Effect.gen(function* () {
      const world = yield* together("a", "b")
      const writes = Array.from({ length: 10 }, () => world.written(world.node("a")))
      yield* pass(300)
      for (const write of writes) assert.deepStrictEqual(write.said, done)
      yield* world.node("a").kill
      yield* elect(world, ["b"], "b")
      yield* until(world, () => isActive(world.node("b")))
      yield* startNode(world, "a", { disk: world.node("a").disk })
      yield* until(world, () => world.node("a").started)
      yield* sound(world)
    })
  )

  it.effect("that is over before it is complete leaves the old state whole, and the next one goes on", () =>
    Effect.gen(function* () {
      const world = yield* together("a", "b")
      for (let i = 0; i < 5; i++) world.written(world.node("a"))
      yield* pass(300)
      yield* world.node("a").kill
      yield* pass(4_000)
      // It is named, cannot reach the bucket, and somebody else is named meanwhile.
      world.unreachableBucket("b")
      world.put({ primary: world.node("b").name })
      world.tell()
      yield* pass(2_000)
      assert.strictEqual(world.node("b").replicator.role(), "starting")
      const a = yield* startNode(world, "a", { disk: world.node("a").disk })
      world.put({ primary: a.name })
      world.tell()
      world.healBucket()
      yield* until(world, () => isActive(a) && world.node("b").replicator.role() === "replica")
      const write = world.written(a)
      yield* until(world, () => world.node("b").replicator.commitIndex() >= write.index)
      yield* sound(world)
    })
  )
})

/** Whatever happens for a while, in an order that the seed gives; then everything is healed and has to come back. */
const schedule = (seed: number) =>
  Effect.gen(function* () {
    const roll = dice(seed)
    const ids = ["a", "b", "c"]
    const world = yield* together(...ids)
    if (roll(4) > 0) yield* until(world, () => world.arbiter!.mode === "quorum", 20_000)
    const any = (): string => ids[roll(ids.length)]!
    for (let step = 0; step < 60; step++) {
      const what = roll(20)
      if (what <= 7) {
        for (const node of world.nodes.values())
          if (isActive(node)) for (let i = roll(6); i >= 0; i--) world.write(node)
      } else if (what <= 9) for (const node of world.nodes.values()) if (node.alive) world.read(node)
      if (what === 10 && [...world.nodes.values()].filter((node) => node.alive).length > 1)
        yield* world.node(any()).kill
      if (what === 11 || what === 12) {
        const node = world.node(any())
        if (!node.alive) yield* startNode(world, node.nodeId, { disk: node.disk })
      }
      if (what === 13) {
        const primary = active(world)
        if (primary === undefined || roll(4) === 0) world.cut(`${any()}${any()}`)
        else {
          // It goes on as if nothing had happened while the others choose another one.
          world.isolate(primary.nodeId)
          if (!isEtcdError(primary.replicator.next())) world.write(primary)
          yield* elect(world, ids)
          for (let i = 0; i < 10; i++) {
            yield* pass(100, world)
            for (const node of world.nodes.values()) {
              if (!isActive(node)) continue
              world.write(node)
              world.read(node)
            }
          }
        }
      }
      if (what === 14) world.hub.decide = () => (roll(3) === 0 ? { delayMillis: roll(700) } : "deliver")
      if (what === 15) {
        const fault = roll(3)
        world.decide = () => {
          if (fault === 0) return roll(3) === 0 ? { kind: "fail" } : undefined
          if (fault === 1) return roll(3) === 0 ? { kind: "lose" } : undefined
          return roll(3) === 0 ? { kind: "late", millis: roll(2_000) } : { kind: "delay", millis: roll(200) }
        }
      }
      if (what === 16) world.healBucket()
      if (what === 17) world.hub.decide = () => "deliver"
      if (what === 18 || active(world) === undefined) yield* elect(world, ids, roll(2) === 0 ? any() : undefined)
      if (what === 19) {
        const primary = active(world)
        if (primary !== undefined) primary.replicator.handOver(any(), new Told())
      }
      yield* pass(50 * (1 + roll(roll(4) === 0 ? 40 : 6)), roll(3) === 0 ? undefined : world)
      for (const node of world.nodes.values()) {
        if (node.failure !== undefined) throw new Error(`seed ${seed}, step ${step}, ${node.nodeId}: ${node.failure}`)
      }
      assert.deepStrictEqual(world.violations, [], `seed ${seed}, step ${step}`)
    }
    world.healBucket()
    world.hub.decide = () => "deliver"
    for (const id of ids) {
      const node = world.node(id)
      if (!node.alive) yield* startNode(world, id, { disk: node.disk })
    }
    yield* pass(2_000, world)
    // A node that has promised a term above the arbiter's follows nobody before there is a new one (design 6.4).
    const fencedHigher = (): boolean =>
      [...world.nodes.values()].some((node) => node.reports.current().fenced > world.arbiter!.term)
    for (let i = 0; i < 10 && (active(world) === undefined || fencedHigher()); i++) {
      yield* elect(world, ids)
      yield* pass(3_000, world)
    }
    yield* until(world, () => active(world) !== undefined, 30_000)
    const last = world.written(active(world)!)
    const everywhere = (): boolean => [...world.nodes.values()].every((n) => n.replicator.commitIndex() >= last.index)
    yield* until(world, () => last.said.length > 0 && everywhere(), 60_000)
    assert.deepStrictEqual(last.said, done, `seed ${seed}`)
    yield* sound(world)
    return world.acknowledged
  })

describe("whatever happens to nodes, network and bucket", () => {
  const seeds = process.env["NETSY_SEEDS"]?.split("-").map(Number) ?? [1, 8]
  for (let seed = seeds[0]!; seed <= seeds[1]!; seed++) {
    it.effect(
      `loses nothing acknowledged, shows nothing else, reads nothing stale, and comes back (seed ${seed})`,
      () => Effect.scoped(Effect.map(schedule(seed), (acknowledged) => assert.isAbove(acknowledged, 0))),
      60_000
    )
  }
})
