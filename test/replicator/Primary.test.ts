/** One node as Primary over a bucket with faults, with replicas that the test plays. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chunkKey } from "../../src/core/datafile/keys.ts"
import { errors, isEtcdError } from "../../src/core/wire/errors.ts"
import { encodeFenceRequest } from "../../src/core/wire/peer/codecs.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import { storeChunk } from "../history/support.ts"
import { entriesOf } from "./replicaWorld.ts"
import {
  heartbeatMillis,
  joinNetwork,
  leaseMillis,
  makeWorld,
  type Node,
  pass,
  play,
  startNode,
  timeoutMillis,
  until,
  type World
} from "./clusterWorld.ts"
import { Told } from "./termWorld.ts"

const done = ["done"]
const timedOut = [errors.requestTimedOut.message]

const chunks = (world: World): ReadonlyArray<string> =>
  Array.from({ length: 200 }, (_, i) => chunkKey(i + 1)).filter((key) => world.bucket.get(key) !== undefined)
const isActive = (node: Node): boolean => node.replicator.role() === "active"

/** A node that was elected in mode store. */
const reigning = (env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const world = yield* makeWorld
    const node = yield* startNode(world, "a", { env })
    world.put({ primary: node.name })
    world.tell()
    yield* until(world, () => isActive(node))
    return { world, node }
  })

/** … and that has two played replicas in mode quorum. */
const inQuorum = (env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const { node, world } = yield* reigning(env)
    const b = yield* play(world, "b")
    const c = yield* play(world, "c")
    for (const replica of [b, c]) replica.follow(node.info)
    yield* until(world, () => world.arbiter!.voters.length === 3, 15_000)
    return { world, node, b, c }
  })

const fence = (world: World, node: Node, term: number) =>
  Effect.gen(function* () {
    const network = yield* joinNetwork(world, `fencer${term}`)
    const to = { nodeId: node.nodeId, address: node.info.peerAddress }
    network.call(to, peerMethods.fence, encodeFenceRequest({ term }), 1_000, { succeed: () => {}, fail: () => {} })
    yield* pass(50)
  })

const sound = (world: World): void => {
  assert.deepStrictEqual(world.violations, [])
  for (const node of world.nodes.values()) assert.isUndefined(node.failure)
}

describe("a new Primary", () => {
  it.effect("begins an empty store with its own first entry, in the bucket before it is Active", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      assert.deepStrictEqual(chunks(world), [chunkKey(1)])
      assert.strictEqual(node.replicator.commitIndex(), 1)
      const write = world.written(node)
      yield* pass(100)
      assert.deepStrictEqual([write.said, chunks(world)], [done, [chunkKey(1), chunkKey(2)]])
      assert.isUndefined(node.status.waiting())
      sound(world)
    })
  )

  it.effect("takes over what the bucket has beyond its own log, and goes on behind it", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      storeChunk(world.bucket, entriesOf([1, 1, 1]), { term: 1 })
      const node = yield* startNode(world, "a")
      world.put({ primary: node.name, term: 2 })
      world.tell()
      yield* until(world, () => isActive(node))
      assert.deepStrictEqual([node.replicator.commitIndex(), node.machine.committed], [4, 4])
      const write = world.written(node)
      yield* pass(100)
      assert.deepStrictEqual([write.index, write.said], [5, done])
      sound(world)
    })
  )

  it.effect("is deposed by entries of a higher term in the bucket", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      storeChunk(world.bucket, entriesOf([7]), { term: 7 })
      const node = yield* startNode(world, "a")
      world.put({ primary: node.name, term: 2 })
      world.tell()
      yield* until(world, () => node.lines.some((line) => line.event === "reign_ended"))
      yield* pass(1_000)
      assert.strictEqual(node.replicator.role(), "replica")
      assert.notInclude(node.machine.events, "active")
      world.put({ primary: node.name, term: 8 })
      world.tell()
      yield* until(world, () => isActive(node))
      sound(world)
    })
  )

  it.effect("is not Active while the bucket cannot be reached, and can be deposed meanwhile", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const node = yield* startNode(world, "a")
      world.put({ primary: node.name })
      world.unreachableBucket()
      world.tell()
      yield* pass(5_000)
      assert.strictEqual(node.replicator.role(), "starting")
      assert.isTrue(isEtcdError(node.replicator.next()))
      assert.isDefined(node.status.waiting())
      yield* fence(world, node, 2)
      yield* pass(1_000)
      assert.strictEqual(node.replicator.role(), "replica")
      world.healBucket()
      world.put({ primary: node.name, term: 3 })
      world.tell()
      yield* until(world, () => isActive(node))
      sound(world)
    })
  )

  it.effect("never resumes a term, also not one that it has only begun", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      yield* node.kill
      const again = yield* startNode(world, "a", { disk: node.disk })
      yield* pass(5_000, world)
      assert.strictEqual(again.replicator.role(), "replica")
      assert.include(again.status.waiting()?.what ?? "", "above 1")
      world.put({ primary: again.name })
      world.tell()
      yield* until(world, () => isActive(again))
      sound(world)
    })
  )

  it.effect("that cannot get its first entry committed by its voters uploads, changes to mode store and goes on", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const node = yield* startNode(world, "a")
      const b = yield* play(world, "b")
      const c = yield* play(world, "c")
      const voters = [node.name, b.name, c.name]
      world.put({ primary: node.name, mode: "quorum", voters, required: 1 })
      world.tell()
      yield* pass(500)
      assert.strictEqual(node.replicator.role(), "starting")
      yield* until(world, () => isActive(node), 10_000)
      assert.strictEqual(world.rule, "store")
      assert.deepStrictEqual(world.written(node).said, [])
      sound(world)
    })
  )

  it.effect("of a recovery commits nothing before it is in mode store", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const node = yield* startNode(world, "a")
      const recovered = { term: 1, index: 1 }
      world.put({ primary: node.name, mode: "quorum", voters: [node.name], required: 0, recovered })
      world.tell()
      yield* until(world, () => node.replicator.commitIndex() > 0)
      assert.strictEqual(world.rule, "store")
      assert.deepStrictEqual(world.arbiter!.recovered, recovered)
      yield* until(world, () => isActive(node))
      sound(world)
    })
  )
})

describe("modes", () => {
  it.effect("enters mode quorum when its replicas were caught up for 10 s, and acknowledges by one of them", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      const b = yield* play(world, "b")
      const c = yield* play(world, "c")
      b.follow(node.info)
      c.follow(node.info)
      yield* pass(9_500, world)
      assert.strictEqual(world.rule, "store")
      yield* until(world, () => world.rule === "1 of abc", 5_000)
      const before = chunks(world).length
      c.answers = false
      const write = world.written(node)
      yield* pass(100)
      assert.deepStrictEqual([write.said, chunks(world).length], [done, before])
      b.answers = false
      const alone = world.written(node)
      const read = world.read(node)
      yield* pass(100)
      b.confirms = c.confirms = false
      const unconfirmed = world.read(node)
      yield* pass(500)
      assert.deepStrictEqual([alone.said, read.said, unconfirmed.said], [[], done, []])
      sound(world)
    })
  )

  it.effect("goes back to mode store when they vanish; writes in flight are committed there", () =>
    Effect.gen(function* () {
      const { b, c, node, world } = yield* inQuorum()
      b.answers = c.answers = false
      const write = world.written(node)
      yield* until(world, () => world.rule === "store", 10_000)
      yield* pass(200)
      assert.deepStrictEqual(write.said, done)
      assert.include(chunks(world), chunkKey(write.index))
      sound(world)
    })
  )

  it.effect("has everything that was committed in the bucket before the mode changes", () =>
    Effect.gen(function* () {
      const { b, c, node, world } = yield* inQuorum()
      const writes = Array.from({ length: 20 }, () => world.written(node))
      yield* pass(100)
      for (const write of writes) assert.deepStrictEqual(write.said, done)
      world.decide = (call) =>
        call.operation === "put" && call.key.startsWith("chunks/") ? { kind: "fail" } : undefined
      b.answers = c.answers = false
      yield* pass(6_000, world)
      assert.strictEqual(world.rule, "1 of abc")
      world.healBucket()
      yield* until(world, () => world.rule === "store", 10_000)
      assert.isAtLeast(node.replicator.storedIndex(), writes[19]!.index)
      sound(world)
    })
  )

  it.effect("goes on in mode quorum when its voters come back before the bucket does", () =>
    Effect.gen(function* () {
      const { b, c, node, world } = yield* inQuorum()
      world.unreachableBucket()
      b.answers = c.answers = false
      const write = world.written(node)
      yield* pass(5_000)
      assert.deepStrictEqual(write.said, [])
      b.answers = c.answers = true
      for (const replica of [b, c]) {
        replica.hangUp()
        replica.follow(node.info, { index: replica.match, term: 1 })
      }
      yield* pass(1_500)
      assert.deepStrictEqual(write.said, done)
      assert.deepStrictEqual(world.arbiter!.voters.length, 3)
      sound(world)
    })
  )

  it.effect("acknowledges through an outage of the bucket, and uploads everything afterwards", () =>
    Effect.gen(function* () {
      const { node, world } = yield* inQuorum()
      world.unreachableBucket()
      for (let second = 0; second < 40; second++) {
        const write = world.written(node)
        const read = world.read(node)
        yield* pass(1_000)
        assert.deepStrictEqual([write.said, read.said], [done, done], `after ${second} s`)
      }
      world.healBucket()
      const last = node.replicator.commitIndex()
      yield* until(world, () => node.replicator.storedIndex() >= last, 90_000)
      sound(world)
    })
  )

  it.effect("stops acknowledging and reading when the arbiter could not be renewed for most of the timeout", () =>
    Effect.gen(function* () {
      const { node, world } = yield* inQuorum({ NETSY_REPLICATION_CHUNK_BUFFER_THRESHOLD_AGE_MINUTES: "60" })
      world.unreachableBucket()
      yield* pass(0.8 * timeoutMillis)
      const write = world.written(node)
      const read = world.read(node)
      yield* pass(2_000)
      assert.deepStrictEqual([write.said, read.said, node.reports.current().mayAcknowledge], [[], [], false])
      world.healBucket()
      yield* pass(2_500)
      assert.deepStrictEqual([write.said, read.said], [done, done])
      sound(world)
    })
  )

  it.effect("takes a fourth node into the voters, lets one leave, and removes one that stays silent", () =>
    Effect.gen(function* () {
      const { b, c, node, world } = yield* inQuorum()
      const d = yield* play(world, "d")
      d.follow(node.info)
      yield* until(world, () => world.rule === "2 of abcd", 20_000)
      b.say({ kind: "leaving" })
      yield* until(world, () => world.rule === "1 of acd", 5_000)
      yield* until(world, () => b.received.some(({ kind }) => kind === "mayLeave"), 2_000)
      c.answers = c.confirms = false
      yield* pass(timeoutMillis - 5_000, world)
      assert.strictEqual(world.rule, "1 of acd")
      yield* until(world, () => world.rule === "1 of ad", 10_000)
      const write = world.written(node)
      yield* pass(100)
      assert.deepStrictEqual(write.said, done)
      sound(world)
    })
  )

  it.effect("flushes the buffer when its oldest entry is so old", () =>
    Effect.gen(function* () {
      const { node, world } = yield* inQuorum({ NETSY_REPLICATION_CHUNK_BUFFER_THRESHOLD_AGE_MINUTES: "1" })
      const write = world.written(node)
      yield* pass(50_000, world)
      assert.notInclude(chunks(world), chunkKey(write.index))
      yield* pass(11_000, world)
      assert.isAtLeast(node.replicator.storedIndex(), write.index)
      sound(world)
    })
  )
})

describe("a Primary in mode store", () => {
  it.effect("lets writes wait while the bucket is away, tells their clients in time, and stores them afterwards", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      world.unreachableBucket()
      const write = world.written(node)
      const read = world.read(node)
      yield* pass(5_500)
      assert.deepStrictEqual(write.said, [])
      assert.isAbove(node.status.troubles().length, 0)
      yield* pass(2_000)
      assert.deepStrictEqual(write.said, timedOut)
      assert.strictEqual(read.said.length, 1)
      world.healBucket()
      yield* until(world, () => node.replicator.commitIndex() >= write.index)
      yield* pass(2_000)
      assert.deepStrictEqual(node.status.troubles(), [])
      assert.deepStrictEqual(write.said, timedOut, "its client is told once")
      sound(world)
    })
  )

  it.effect("takes no more than so much, until something is stored", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      world.decide = (call) =>
        call.operation === "put" && call.key.startsWith("chunks/") ? { kind: "fail" } : undefined
      let refused: unknown
      for (let i = 0; i < 2_000 && refused === undefined; i++) {
        const write = world.write(node, 64 * 1024)
        if (isEtcdError(write)) refused = write
      }
      assert.strictEqual(refused, errors.tooManyRequests)
      world.healBucket()
      yield* until(world, () => !isEtcdError(node.replicator.next()), 10_000)
      sound(world)
    })
  )

  it.effect("ends a chunk elsewhere when a dead branch has its key", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      storeChunk(world.bucket, entriesOf([0, 0]).slice(1), { term: 0 })
      const write = world.written(node)
      yield* until(world, () => write.said.length > 0, 5_000)
      assert.deepStrictEqual(write.said, done)
      assert.include(chunks(world), chunkKey(3))
      const more = world.written(node)
      yield* pass(100)
      assert.deepStrictEqual([more.index, more.said], [4, done])
      sound(world)
    })
  )

  it.effect("resigns when a replica refuses it with a higher term", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      const b = yield* play(world, "b")
      b.fenced = 5
      b.follow(node.info)
      yield* until(world, () => world.arbiter!.resigned, 3_000)
      yield* pass(200)
      assert.strictEqual(node.replicator.role(), "replica")
      sound(world)
    })
  )

  it.effect("acknowledges and reads nothing once its lease is over", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      world.decide = (call) => (call.key.startsWith("leader/") ? { kind: "fail" } : undefined)
      yield* pass(leaseMillis + 100)
      const write = world.written(node)
      const read = world.read(node)
      yield* pass(1_000)
      assert.include(chunks(world), chunkKey(write.index))
      assert.deepStrictEqual([write.said, read.said], [[], []])
      world.healBucket()
      yield* pass(2_000)
      assert.deepStrictEqual([write.said, read.said], [done, done])
      sound(world)
    })
  )
})

describe("a key that a dead branch has taken, in mode quorum", () => {
  it.effect("does not hold up the change to mode store when the voters are gone", () =>
    Effect.gen(function* () {
      const { b, c, node, world } = yield* inQuorum()
      const write = world.written(node)
      yield* pass(100)
      assert.deepStrictEqual(write.said, done)
      const alien = entriesOf(Array.from({ length: write.index }, () => 0)).slice(write.index - 1)
      storeChunk(world.bucket, alien, { term: 0 })
      b.answers = c.answers = false
      yield* until(world, () => world.rule === "store", 20_000)
      const next = world.written(node)
      yield* until(world, () => next.said.length > 0, 5_000)
      assert.deepStrictEqual(next.said, done)
      sound(world)
    })
  )
})

describe("the end of a reign", () => {
  it.effect("comes at once with a fence, the view, or a resignation; who waits is told that the fate is unknown", () =>
    Effect.gen(function* () {
      for (const how of ["fence", "view"]) {
        const { b, c, node, world } = yield* inQuorum()
        b.answers = c.answers = b.confirms = c.confirms = false
        const write = world.written(node)
        const read = world.read(node)
        yield* pass(50)
        if (how === "fence") yield* fence(world, node, 2)
        else {
          world.put({ primary: { nodeId: "c", incarnation: "played" } })
          world.tell()
          yield* pass(50)
        }
        yield* pass(200)
        assert.deepStrictEqual([write.said, read.said], [timedOut, timedOut], how)
        assert.strictEqual(node.replicator.role(), "replica")
        assert.isTrue(isEtcdError(node.replicator.next()))
        assert.deepStrictEqual(
          node.status.troubles().filter((trouble) => !trouble.includes("followed")),
          []
        )
        assert.isAbove(b.closed, 0)
        sound(world)
        yield* node.stop
      }
    })
  )

  it.effect("leaves no trouble and no wait behind from what it was waiting for", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      world.decide = (call) => (call.key.startsWith("chunks/") ? { kind: "fail" } : undefined)
      world.written(node)
      yield* pass(6_000)
      assert.isAbove(node.status.troubles().length, 0)
      yield* fence(world, node, 2)
      yield* pass(200)
      assert.deepStrictEqual(node.status.troubles(), [])
      sound(world)
    })
  )

  it.effect("when it stops: what is in flight is committed and stored, nothing more is taken, and it resigns", () =>
    Effect.gen(function* () {
      const { node, world } = yield* inQuorum()
      const write = world.written(node)
      const fiber = yield* Effect.forkChild(node.stop, { startImmediately: true })
      assert.isTrue(isEtcdError(node.replicator.next()))
      yield* until(world, () => fiber.pollUnsafe() !== undefined, 20_000)
      assert.deepStrictEqual(write.said, done)
      assert.include(chunks(world), chunkKey(write.index))
      assert.deepInclude(world.arbiter, { mode: "quorum", resigned: true, allStored: true })
      assert.deepStrictEqual(world.violations, [])
    })
  )

  it.effect("when it stops and the chunks cannot be stored: it resigns and does not say that they are", () =>
    Effect.gen(function* () {
      const { node, world } = yield* inQuorum()
      world.decide = (call) =>
        call.operation === "put" && call.key.startsWith("chunks/") ? { kind: "fail" } : undefined
      const write = world.written(node)
      yield* until(world, () => write.said.length > 0, 5_000)
      assert.deepStrictEqual(write.said, done)
      const fiber = yield* Effect.forkChild(node.stop, { startImmediately: true })
      yield* until(world, () => fiber.pollUnsafe() !== undefined, 20_000)
      assert.deepInclude(world.arbiter, { mode: "quorum", resigned: true, allStored: false })
    })
  )

  it.effect("when it stops and the others have stopped before: what was acknowledged is stored, and it says so", () =>
    Effect.gen(function* () {
      // Mode store does not come in time.
      const { node, world } = yield* inQuorum({ NETSY_REPLICATION_DEGRADATION_COUNT: "1000" })
      const acknowledged = world.written(node)
      yield* until(world, () => acknowledged.said.length > 0, 5_000)
      world.isolate("a")
      const write = world.written(node)
      const fiber = yield* Effect.forkChild(node.stop, { startImmediately: true })
      yield* until(world, () => fiber.pollUnsafe() !== undefined, 20_000)
      assert.deepStrictEqual([acknowledged.said, write.said], [done, timedOut])
      assert.include(chunks(world), chunkKey(acknowledged.index))
      assert.deepInclude(world.arbiter, { mode: "quorum", resigned: true, allStored: true })
      sound(world)
    })
  )

  it.effect("when it stops before it has committed anything: everything is stored if it was when the term began", () =>
    Effect.gen(function* () {
      for (const allStored of [true, false]) {
        const world = yield* makeWorld
        const node = yield* startNode(world, "a")
        const b = yield* play(world, "b")
        world.decide = (call) => (call.key.startsWith("chunks/") ? { kind: "fail" } : undefined)
        world.put({ primary: node.name, mode: "quorum", voters: [node.name, b.name], required: 1, allStored })
        world.tell()
        // Its first write takes it back, as from then on it might commit.
        yield* until(world, () => world.arbiter!.counter > 1)
        assert.deepInclude(world.arbiter, { resigned: false, allStored: false })
        const fiber = yield* Effect.forkChild(node.stop, { startImmediately: true })
        yield* until(world, () => fiber.pollUnsafe() !== undefined, 20_000)
        assert.deepInclude(world.arbiter, { term: 1, mode: "quorum", resigned: true, allStored })
      }
    })
  )

  it.effect("when it stops while it starts: it never becomes Active", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const node = yield* startNode(world, "a")
      const b = yield* play(world, "b")
      const voters = [node.name, b.name]
      world.put({ primary: node.name, mode: "quorum", voters, required: 1 })
      world.tell()
      yield* until(
        world,
        () => node.replicator.headIndex() === 1 && node.status.waiting()?.what.includes("first") === true
      )
      const fiber = yield* Effect.forkChild(node.stop, { startImmediately: true })
      yield* until(world, () => fiber.pollUnsafe() !== undefined, 20_000)
      assert.notInclude(node.machine.events, "active")
    })
  )

  it.effect("when it stops without the bucket: bounded in time", () =>
    Effect.gen(function* () {
      const { node, world } = yield* reigning()
      world.unreachableBucket()
      const write = world.written(node)
      const fiber = yield* Effect.forkChild(node.stop, { startImmediately: true })
      yield* until(world, () => fiber.pollUnsafe() !== undefined, 16_500)
      assert.deepStrictEqual(write.said, timedOut)
    })
  )
})

describe("handing over", () => {
  const handOver = (node: Node, to: string): Told => {
    const told = new Told()
    node.replicator.handOver(to, told)
    return told
  }

  it.effect("waits until the other node has everything, stores the buffer and resigns", () =>
    Effect.gen(function* () {
      const { b, node, world } = yield* inQuorum()
      const write = world.written(node)
      const told = handOver(node, "b")
      assert.isTrue(isEtcdError(node.replicator.next()))
      yield* until(world, () => told.said.length > 0, 5_000)
      assert.deepStrictEqual([told.said, write.said], [done, done])
      assert.isAtLeast(b.match, write.index)
      assert.isTrue(world.arbiter!.resigned)
      assert.include(chunks(world), chunkKey(write.index))
      sound(world)
    })
  )

  it.effect("that comes to nothing leaves a Primary that accepts writes and reads again, also those that waited", () =>
    Effect.gen(function* () {
      const { b, node, world } = yield* inQuorum()
      b.answers = false
      world.written(node)
      const told = handOver(node, "b")
      const read = world.read(node)
      yield* until(world, () => told.said.length > 0, 12_000)
      assert.deepStrictEqual(told.said, [errors.leaderTransferTimedOut.message])
      yield* pass(500)
      assert.isTrue(isActive(node))
      assert.deepStrictEqual(read.said, done)
      const write = world.written(node)
      yield* pass(200)
      assert.deepStrictEqual(write.said, done)
      assert.isFalse(world.arbiter!.resigned)
      sound(world)
    })
  )

  it.effect("does not resign while the bucket is away, since nobody could be elected", () =>
    Effect.gen(function* () {
      const { node, world } = yield* inQuorum()
      world.unreachableBucket()
      world.written(node)
      const told = handOver(node, "b")
      yield* until(world, () => told.said.length > 0, 16_000)
      assert.deepStrictEqual(told.said, [errors.leaderTransferTimedOut.message])
      assert.isTrue(isActive(node))
      sound(world)
    })
  )

  it.effect("needs a node that follows", () =>
    Effect.gen(function* () {
      const { node } = yield* reigning()
      assert.deepStrictEqual(handOver(node, "z").said, [errors.unhealthy.message])
      assert.deepStrictEqual(handOver(node, "a").said, done)
    })
  )
})

describe("streams of replicas", () => {
  it.effect("are refused while nobody reigns, and with nonsense", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const node = yield* startNode(world, "a")
      const b = yield* play(world, "b")
      b.follow(node.info)
      yield* pass(200)
      assert.strictEqual(b.closed, 1)
      world.put({ primary: node.name })
      world.tell()
      yield* until(world, () => isActive(node))
      const network = yield* joinNetwork(world, "x")
      let closed = 0
      const sink = { message: () => {}, drained: () => {}, closed: () => void closed++ }
      const out = network.open({ nodeId: "a", address: node.info.peerAddress }, peerMethods.follow, sink)
      out.send(new Uint8Array([255, 255, 255]))
      out.send(new Uint8Array([1]))
      yield* pass(200)
      assert.strictEqual(closed, 1)
      sound(world)
    })
  )

  it.effect("are refused to a node whose log ends below what it has sent a receipt for: its disk is an older one", () =>
    Effect.gen(function* () {
      const { b, node, world } = yield* inQuorum()
      world.written(node)
      yield* pass(heartbeatMillis)
      b.follow(node.info, { index: b.match - 1, term: 1 })
      yield* pass(200)
      const { length } = b.received
      yield* pass(3 * heartbeatMillis)
      assert.strictEqual(b.received.length, length, "nothing more is sent to it")
      assert.ok(node.lines.some((line) => line.event === "follower_lost_entries"))
      sound(world)
    })
  )

  it.effect("of the same node replace each other", () =>
    Effect.gen(function* () {
      const { b, node, world } = yield* inQuorum()
      b.follow(node.info, { index: b.match, term: 1 })
      yield* pass(200)
      assert.strictEqual(b.closed, 1)
      const write = world.written(node)
      yield* pass(heartbeatMillis)
      assert.deepStrictEqual(write.said, done)
      assert.strictEqual(b.match, write.index)
      sound(world)
    })
  )
})
