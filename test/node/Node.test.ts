import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { chunkKey } from "../../src/core/datafile/keys.ts"
import { arbiterKey, decodeArbiter, encodeArbiter } from "../../src/core/election/arbiter.ts"
import type { Call, Fault } from "../../src/layers/ObjectStoreFaulty.ts"
import { compact, everything, makeWorld, MemoryDisk, put, range, shown, startNode, type World } from "./world.ts"

const arbiterOf = (world: World) => {
  const arbiter = decodeArbiter(world.bucket.get(arbiterKey)!.body)
  assert.ok(typeof arbiter !== "string")
  return arbiter
}

const chunkPut = (call: Call): boolean => call.operation === "put" && call.key.startsWith("chunks/")

/** Puts `count` keys and kills the node while the last ones are under way; returns what was acknowledged. */
const burst = (world: World, count: number) =>
  Effect.gen(function* () {
    const node = yield* startNode(world)
    const acknowledged: Array<string> = []
    for (let i = 0; i < count; i++) {
      yield* node.use(put(`k${i}`, "v"))
      acknowledged.push(`k${i}=v`)
    }
    return { node, acknowledged }
  })

describe("a node", () => {
  it.live("starts an empty store at revision 1 and answers its own writes", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      assert.strictEqual((yield* node.use(range())).header!.revision, 1)
      assert.strictEqual((yield* node.use(put("a", "1"))).header!.revision, 2)
      assert.strictEqual(yield* node.use(everything), "a=1")
      yield* node.stop
      assert.isTrue(arbiterOf(world).resigned)
    })
  )

  it.live("has every acknowledged write in the bucket before the answer", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      const { header } = yield* node.use(put("a", "1"))
      // Index = revision here: only key changes happened.
      assert.ok(world.bucket.get(chunkKey(header!.revision)) !== undefined)
      yield* node.stop
    })
  )

  it.live("begins a new term at each start and resumes none", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      for (let term = 1; term <= 3; term++) {
        const node = yield* startNode(world)
        assert.strictEqual((yield* node.use(range())).header!.raftTerm, term)
        yield* node.stop
      }
    })
  )

  it.live("comes back with everything after it lost its disk", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const { node, acknowledged } = yield* burst(world, 5)
      yield* node.kill
      world.disk = new MemoryDisk()
      const again = yield* startNode(world)
      assert.strictEqual(yield* again.use(everything), acknowledged.join(" "))
      assert.strictEqual((yield* again.use(put("z", "1"))).header!.revision, 7)
      yield* again.stop
    })
  )

  it.live("waits for the old lease when its disk is gone, and not when its lock proves the old process dead", () =>
    Effect.gen(function* () {
      const world = makeWorld({ NETSY_REPLICATION_STORE_LEASE: "600ms" })
      const first = yield* startNode(world)
      yield* first.kill
      const startedAt = performance.now()
      const second = yield* startNode(world)
      assert.isBelow(performance.now() - startedAt, 550)
      yield* second.kill
      world.disk = new MemoryDisk()
      const waitedFrom = performance.now()
      const third = yield* startNode(world)
      assert.isAtLeast(performance.now() - waitedFrom, 660)
      yield* third.stop
    })
  )

  it.live("takes a new incarnation when its disk was put back to an older state, and keeps every write", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const first = yield* startNode(world)
      yield* first.use(put("a", "1"))
      yield* first.stop
      const older = world.disk.snapshot()
      const second = yield* startNode(world)
      yield* second.use(put("b", "2"))
      const before = arbiterOf(world).primary
      yield* second.kill
      world.disk.putBack(older)
      const third = yield* startNode(world)
      assert.strictEqual(yield* third.use(everything), "a=1 b=2")
      assert.notStrictEqual(arbiterOf(world).primary.incarnation, before.incarnation)
      yield* third.stop
    })
  )

  it.live("acknowledges a write whose PUT answer was lost, once", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      let lost = 0
      world.decide = (call): Fault | undefined => (chunkPut(call) && lost++ === 0 ? { kind: "lose" } : undefined)
      assert.strictEqual((yield* node.use(put("a", "1"))).header!.revision, 2)
      assert.isAbove(lost, 0)
      assert.strictEqual(yield* node.use(everything), "a=1")
      yield* node.stop
    })
  )

  it.live("ends a chunk elsewhere when a dead branch has taken its key", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      yield* node.use(put("a", "1"))
      // What a late PUT of a deposed Primary leaves behind: another term's entries under the next key.
      world.bucket.put(chunkKey(3), Buffer.from("somebody else's"), undefined, 0)
      assert.strictEqual((yield* node.use(put("b", "2"))).header!.revision, 3)
      assert.strictEqual((yield* node.use(put("c", "3"))).header!.revision, 4)
      yield* node.stop
      world.bucket.delete(chunkKey(3))
      world.disk = new MemoryDisk()
      const again = yield* startNode(world)
      assert.strictEqual(yield* again.use(everything), "a=1 b=2 c=3")
      yield* again.stop
    })
  )

  it.live("commits in order although a later PUT is stored first", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      let puts = 0
      world.decide = (call) => (chunkPut(call) && ++puts % 2 === 1 ? { kind: "delay", millis: 40 } : undefined)
      const revisions = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => i),
        (i) =>
          Effect.delay(
            Effect.map(node.use(put(`k${i}`, "v")), (r) => r.header!.revision),
            i * 3
          ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        [...revisions].sort((a, b) => a - b),
        Array.from({ length: 40 }, (_, i) => i + 2)
      )
      yield* node.stop
    })
  )

  it.live("acknowledges and reads nothing while another process is Primary, and goes on when it is chosen again", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      yield* node.use(put("a", "1"))
      const present = arbiterOf(world)
      world.bucket.put(
        arbiterKey,
        encodeArbiter({ ...present, term: present.term + 1, primary: { nodeId: "other", incarnation: "x" } }),
        undefined,
        0
      )
      const isDeposed = (): boolean =>
        world.lines.some(({ event, fields }) => event === "reign_ended" && String(fields["by"]).includes("other/x"))
      while (!isDeposed()) yield* Effect.sleep(5)
      const write = yield* Effect.flip(node.use(put("a", "2")))
      assert.strictEqual(write.message, "etcdserver: no leader")
      assert.strictEqual(shown(yield* node.use(range({ serializable: true }))), "a=1")
      const read = yield* Effect.forkChild(node.use(range()), { startImmediately: true })
      // The other one never shows itself: after its lease this node is chosen, and only then the read is answered.
      for (let waits = true; waits; yield* Effect.sleep(5)) {
        waits = read.pollUnsafe() === undefined
        if (arbiterOf(world).primary.nodeId === "other") assert.isTrue(waits)
      }
      const answer = yield* Fiber.join(read)
      assert.strictEqual(answer.header!.raftTerm, present.term + 2)
      assert.strictEqual(shown(answer), "a=1")
      assert.strictEqual((yield* node.use(put("a", "3"))).header!.revision, 3)
      assert.strictEqual(yield* node.use(everything), "a=3")
      yield* node.stop
    })
  )

  it.live(
    "serves no linearizable read while the bucket is away for longer than the lease, and goes on afterwards",
    () =>
      Effect.gen(function* () {
        const world = makeWorld()
        const node = yield* startNode(world)
        yield* node.use(put("a", "1"))
        world.decide = () => ({ kind: "fail" })
        yield* Effect.sleep(400)
        const blocked = yield* node.use(range()).pipe(Effect.timeoutOption(100))
        assert.strictEqual(blocked._tag, "None")
        assert.strictEqual(shown(yield* node.use(range({ serializable: true }))), "a=1")
        world.decide = () => undefined
        assert.strictEqual(yield* node.use(everything), "a=1")
        yield* node.stop
      })
  )

  it.live("keeps a write that was in flight when the bucket went away, and answers it when it is back", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      world.decide = (call) => (chunkPut(call) ? { kind: "fail" } : undefined)
      const fiber = yield* Effect.forkChild(node.use(put("a", "1")))
      yield* Effect.sleep(200)
      world.decide = () => undefined
      const { header } = yield* Fiber.join(fiber)
      assert.strictEqual(header!.revision, 2)
      yield* node.stop
    })
  )

  it.live("reads superseded values from the disk and none below the floor, also after a restart", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      for (let i = 1; i <= 5; i++) yield* node.use(put("a", `v${i}`))
      assert.strictEqual(shown(yield* node.use(range({ revision: 3 }))), "a=v2")
      yield* node.use(compact(4))
      assert.strictEqual(shown(yield* node.use(range({ revision: 4 }))), "a=v3")
      assert.include((yield* Effect.flip(node.use(range({ revision: 3 })))).message, "compacted")
      yield* node.kill
      const again = yield* startNode(world)
      assert.strictEqual(shown(yield* again.use(range({ revision: 4 }))), "a=v3")
      assert.include((yield* Effect.flip(again.use(range({ revision: 3 })))).message, "compacted")
      assert.include((yield* Effect.flip(again.use(compact(4)))).message, "compacted")
      yield* again.kill
      world.disk = new MemoryDisk()
      const third = yield* startNode(world)
      assert.strictEqual(shown(yield* third.use(range({ revision: 5 }))), "a=v4")
      assert.include((yield* Effect.flip(third.use(range({ revision: 3 })))).message, "compacted")
      yield* third.stop
    })
  )

  it.live("sets a damaged database aside, says so, and rebuilds it from the bucket", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const { node, acknowledged } = yield* burst(world, 3)
      yield* node.stop
      world.disk.corrupt("row 7: crc")
      const again = yield* startNode(world)
      assert.strictEqual(yield* again.use(everything), acknowledged.join(" "))
      assert.isTrue(
        world.lines.some((l) => l.event === "local_db_set_aside" && String(l.fields["reason"]).includes("row 7"))
      )
      yield* again.stop
    })
  )
})
