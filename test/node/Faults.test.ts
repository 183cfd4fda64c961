import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { chunkKey } from "../../src/core/datafile/keys.ts"
import { arbiterKey, decodeArbiter } from "../../src/core/election/arbiter.ts"
import type { Call } from "../../src/layers/ObjectStoreFaulty.ts"
import { History } from "../../src/services/History.ts"
import { everything, makeWorld, MemoryDisk, put, range, startNode, type World } from "./world.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const arbiterOf = (world: World) => {
  const arbiter = decodeArbiter(world.bucket.get(arbiterKey)!.body)
  assert.ok(typeof arbiter !== "string")
  return arbiter
}
/** Another process over the same bucket, with a disk of its own. */
const twinOf = (world: World): World => ({ ...world, disk: new MemoryDisk(), lines: [], decide: () => undefined })
const waitedFor = (world: World): string =>
  world.lines
    .filter((l) => l.event === "waiting")
    .map((l) => String(l.fields["for"]))
    .join("\n")
const isPut = (call: Call, prefix: string): boolean => call.operation === "put" && call.key.startsWith(prefix)
/** Hangs the first call that `which` picks. */
const hangOnce = (world: World, which: (call: Call) => boolean): void => {
  let hung = false
  world.decide = (call) => {
    if (hung || !which(call)) return undefined
    hung = true
    return { kind: "hang", effect: false }
  }
}

describe("two processes on one bucket", () => {
  it.live("whose lock the first one holds: the second waits, however the first one came to reign", () =>
    Effect.gen(function* () {
      const world: World = { ...makeWorld(), exclusive: true }
      const first = yield* startNode(world)
      const twin = twinOf(world)
      const starting = yield* Effect.forkChild(startNode(twin))
      yield* Effect.sleep(600)
      assert.strictEqual(arbiterOf(world).term, 1)
      yield* first.use(put("a", "1"))
      assert.include(waitedFor(twin), "which uses this storage, to end")
      yield* first.stop
      const second = yield* Fiber.join(starting)
      assert.strictEqual(yield* second.use(everything), "a=1")
      yield* second.stop
    })
  )

  it.live("with one node_id: only one is Active, and the other says what is wrong", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const first = yield* startNode(world)
      const twin = twinOf(world)
      const starting = yield* Effect.forkChild(startNode(twin))
      yield* Effect.sleep(1_200)
      yield* first.use(put("a", "1"))
      assert.strictEqual(arbiterOf(world).term, 1)
      assert.match(waitedFor(twin), /another process runs with the node_id "[^"]+", which must be unique/)
      yield* first.stop
      const second = yield* Fiber.join(starting)
      assert.strictEqual(yield* second.use(everything), "a=1")
      yield* second.stop
    })
  )
})

describe("a request that hangs", () => {
  it.live("as a renewal: the lease is renewed by the next attempt", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      hangOnce(world, (call) => isPut(call, arbiterKey))
      yield* Effect.sleep(600)
      assert.isTrue(world.lines.some((l) => l.event === "arbiter_write_failed"))
      assert.strictEqual((yield* node.use(put("a", "1"))).header!.revision, 2)
      yield* node.stop
    })
  )

  it.live("as a renewal does not hold up a stop, which resigns", () =>
    Effect.gen(function* () {
      const world = makeWorld({ NETSY_REPLICATION_STORE_LEASE: "6s" })
      const node = yield* startNode(world)
      hangOnce(world, (call) => isPut(call, arbiterKey))
      yield* Effect.sleep(2_200)
      const startedAt = performance.now()
      yield* node.stop
      assert.isBelow(performance.now() - startedAt, 1_000)
      assert.isTrue(arbiterOf(world).resigned)
    })
  )

  it.live("as a chunk's PUT: the write is answered within its time", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      hangOnce(world, (call) => isPut(call, "chunks/"))
      assert.strictEqual((yield* node.use(put("a", "1"))).header!.revision, 2)
      yield* node.stop
    })
  )
})

describe("a start", () => {
  it.live("waits for a bucket that goes away while its history is read, and then takes over", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const first = yield* startNode(world)
      yield* first.use(put("a", "1"))
      yield* first.stop
      world.disk = new MemoryDisk()
      let failures = 2
      world.decide = (call) =>
        (call.key === "snapshots/" || call.key === chunkKey(2)) && failures-- > 0 ? { kind: "fail" } : undefined
      const second = yield* startNode(world)
      assert.strictEqual(yield* second.use(everything), "a=1")
      assert.isTrue(world.lines.some((l) => l.event === "bucket_unavailable"))
      yield* second.stop
    })
  )

  it.live("that is broken off gives the term back, so that nobody waits for its lease", () =>
    Effect.gen(function* () {
      const world = makeWorld({ NETSY_REPLICATION_STORE_LEASE: "20s" })
      world.decide = (call) =>
        call.operation === "list" && call.key === "chunks/" && call.nth > 3 ? { kind: "fail" } : undefined
      const starting = yield* Effect.forkChild(startNode(world))
      yield* Effect.sleep(300)
      assert.isFalse(arbiterOf(world).resigned)
      yield* Fiber.interrupt(starting)
      assert.isTrue(arbiterOf(world).resigned)
    })
  )

  it.live("keeps its incarnation when the answer to its registration was lost", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const first = yield* startNode(world)
      const { incarnation } = arbiterOf(world).primary
      yield* first.kill
      let lost = false
      world.decide = (call) => {
        if (lost || !isPut(call, "nodes/")) return undefined
        lost = true
        return { kind: "lose" }
      }
      const again = yield* startNode(world)
      assert.isTrue(lost)
      assert.strictEqual(arbiterOf(world).primary.incarnation, incarnation)
      yield* again.stop
    })
  )

  it.live("removes what a killed process left of its snapshots, and nothing else", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      writeFileSync(join(folder, "snapshot_12_1700000000000.netsy.tmp"), "half")
      writeFileSync(join(folder, "snapshot_12.netsy"), "whole")
      const node = yield* startNode(makeWorld({ NETSY_DATA_DIR: folder }))
      assert.deepStrictEqual(readdirSync(folder), ["snapshot_12.netsy"])
      yield* node.stop
    })
  )
})

describe("a snapshot that is asked for while several batches are committed at once", () => {
  it.live("ends with the revision that belongs to its index", () =>
    Effect.gen(function* () {
      const world = makeWorld({ NETSY_SNAPSHOT_THRESHOLD_RECORDS: "2", NETSY_DATA_DIR: yield* temporaryFolder })
      const node = yield* startNode(world)
      // The first chunk comes late, so that all are committed with it.
      world.decide = (call) => (call.key === chunkKey(2) ? { kind: "delay", millis: 1_000 } : undefined)
      yield* Effect.forEach([2, 3, 4], (i) => Effect.delay(node.use(put(`k${i}`, "v")), i * 10), {
        concurrency: "unbounded"
      })
      yield* Effect.sleep(200)
      // Index = revision here: only key changes happened.
      const { snapshot } = yield* node.use(History.use((history) => history.read({ recoveredTerm: "unknown" })))
      assert.strictEqual(snapshot?.last.index, 4)
      assert.strictEqual(snapshot?.revision, 4)
      yield* node.stop
      for (const key of world.bucket.keys()) if (key.startsWith("chunks/")) world.bucket.delete(key)
      world.disk = new MemoryDisk()
      const again = yield* startNode(world)
      assert.strictEqual(yield* again.use(everything), "k2=v k3=v k4=v")
      assert.strictEqual((yield* again.use(range())).header!.revision, 4)
      assert.strictEqual((yield* again.use(put("next", "v"))).header!.revision, 5)
      yield* again.stop
    })
  )
})
