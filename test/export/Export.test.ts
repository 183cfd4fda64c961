import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { errors } from "../../src/core/wire/errors.ts"
import { EtcdExport } from "../../src/services/EtcdExport.ts"
import { MemoryDisk, startNode } from "../node/world.ts"
import { random } from "../wire/random.ts"
import { Model } from "./model.ts"
import {
  assertRows,
  compactBoth,
  exported,
  hashKv,
  itemsOf,
  type Node,
  nodeIn,
  nodeOnDisk,
  randomWrite,
  write
} from "./support.ts"

const bucketNames = [
  "alarm",
  "auth",
  "authRoles",
  "authUsers",
  "cluster",
  "key",
  "lease",
  "members",
  "members_removed",
  "meta"
]

/** As the file's meta bucket says; −1 when it says nothing. */
const compactedOf = (buckets: Parameters<typeof itemsOf>[0]): number => {
  const fact = itemsOf(buckets, "meta").find(({ key }) => Buffer.from(key).toString() === "finishedCompactRev")
  return fact === undefined ? -1 : Number(Buffer.from(fact.value).readBigUInt64BE(0))
}

describe("an export", () => {
  it.live("of a new node has every bucket of etcd and no key", () =>
    Effect.gen(function* () {
      const { filesLeft, node } = yield* nodeIn
      const { buckets, revision } = yield* node.use(exported)
      assert.strictEqual(revision, 1)
      assert.deepStrictEqual(
        buckets.map(({ name }) => name),
        bucketNames
      )
      assertRows(itemsOf(buckets, "key"), [])
      assert.deepStrictEqual(
        itemsOf(buckets, "meta").map(({ key }) => Buffer.from(key).toString()),
        ["confState", "consistent_index", "storageVersion", "term"]
      )
      assert.deepStrictEqual(filesLeft(), [])
    })
  )

  it.live("and HashKV are what etcd would have after the same history, compacted where it was", () =>
    Effect.gen(function* () {
      for (const seed of [1, 2, 3]) {
        const source = random(seed)
        const { node } = yield* nodeIn
        const model = new Model()
        for (let i = 0; i < 150; i++) {
          yield* randomWrite(node, model, source)
          if (source.chance(8) && model.revision > model.compacted + 1) {
            const above = Math.max(model.compacted, 0)
            yield* compactBoth(node, model, above + 1 + source.int(model.revision - above))
          }
          if (!source.chance(12)) continue
          const { buckets, revision } = yield* node.use(exported)
          assert.strictEqual(revision, model.revision)
          assert.strictEqual(compactedOf(buckets), model.compacted)
          assertRows(itemsOf(buckets, "key"), model.rows())
          const low = Math.max(1, model.compacted)
          for (const asked of [0, model.revision, low, low + source.int(model.revision - low + 1)]) {
            const at = asked === 0 ? model.revision : asked
            assert.deepStrictEqual(
              yield* node.use(hashKv(asked)),
              { hash: model.hashKv(at), compactRevision: model.compacted, hashRevision: at },
              `seed ${seed}, write ${i}, revision ${asked}`
            )
          }
        }
      }
    })
  )

  const oneMoment = (node: Node) =>
    Effect.gen(function* () {
      const source = random(9)
      const model = new Model()
      for (let i = 0; i < 700; i++) yield* randomWrite(node, model, source)
      const files = yield* Effect.forkChild(
        Effect.gen(function* () {
          const done = []
          for (let i = 0; i < 12; i++) done.push(yield* node.use(exported))
          return done
        })
      )
      for (let i = 0; i < 60; i++) {
        for (let w = 0; w < 5; w++) yield* randomWrite(node, model, source)
        const floor = model.revision - source.int(10)
        if (floor > model.compacted) yield* compactBoth(node, model, floor)
      }
      for (const { buckets, revision } of yield* Fiber.join(files)) {
        assertRows(itemsOf(buckets, "key"), model.rows(revision, compactedOf(buckets)))
      }
    })

  it.live("is of one moment, while writes and compactions go on", () =>
    Effect.flatMap(nodeIn, ({ node }) => oneMoment(node))
  )

  it.live("is of one moment over the database file too, where removing goes on in steps", () =>
    Effect.flatMap(nodeOnDisk, ({ node }) => oneMoment(node))
  )

  it.live("and the hashes are the same after a restart, and on a node that has lost its disk", () =>
    Effect.gen(function* () {
      const { node, world } = yield* nodeIn
      const source = random(4)
      const model = new Model()
      for (let i = 0; i < 100; i++) yield* randomWrite(node, model, source)
      yield* compactBoth(node, model, 50)
      const hash = EtcdExport.use((exporter) => exporter.hash)
      const before = { keys: yield* node.use(hashKv(0)), all: yield* node.use(hash) }
      assert.strictEqual(before.keys.hash, model.hashKv())
      yield* node.stop
      const restarted = yield* startNode(world)
      assert.deepStrictEqual({ keys: yield* restarted.use(hashKv(0)), all: yield* restarted.use(hash) }, before)
      assertRows(itemsOf((yield* restarted.use(exported)).buckets, "key"), model.rows())
      yield* restarted.stop
      world.disk = new MemoryDisk()
      const again = yield* startNode(world)
      assert.deepStrictEqual({ keys: yield* again.use(hashKv(0)), all: yield* again.use(hash) }, before)
      yield* write(again, model, [{ key: "one", value: "more" }])
      assert.notStrictEqual((yield* again.use(hash)).hash, before.all.hash)
      assert.strictEqual((yield* again.use(hashKv(0))).hash, model.hashKv())
      yield* again.stop
    })
  )

  it.live("is refused beyond two at a time, and again possible when one of them is gone", () =>
    Effect.gen(function* () {
      const { filesLeft, node } = yield* nodeIn
      const open = Effect.gen(function* () {
        const scope = yield* Scope.make()
        const exporter = yield* EtcdExport
        const result = yield* Effect.exit(Scope.provide(exporter.file, scope))
        return { scope, result }
      })
      const [first, second] = [yield* node.use(open), yield* node.use(open)]
      assert.isTrue(Exit.isSuccess(first.result) && Exit.isSuccess(second.result))
      assert.deepStrictEqual((yield* node.use(open)).result, Exit.fail(errors.tooManyRequests))
      assert.deepStrictEqual(filesLeft(), [])
      yield* Scope.close(first.scope, Exit.void)
      const third = yield* node.use(open)
      assert.isTrue(Exit.isSuccess(third.result))
      for (const { scope } of [second, third]) yield* Scope.close(scope, Exit.void)
    })
  )
})

describe("HashKV", () => {
  it.live("refuses revisions that were compacted or are to come", () =>
    Effect.gen(function* () {
      const { node } = yield* nodeIn
      const model = new Model()
      for (const value of ["1", "2", "3"]) yield* write(node, model, [{ key: "a", value }])
      yield* compactBoth(node, model, 3)
      assert.strictEqual(yield* Effect.flip(node.use(hashKv(2))), errors.compacted)
      assert.strictEqual(yield* Effect.flip(node.use(hashKv(5))), errors.futureRevision)
      assert.strictEqual((yield* node.use(hashKv(3))).hashRevision, 3)
    })
  )

  it.live("at a revision answers the same while newer ones are written and older ones compacted", () =>
    Effect.gen(function* () {
      const { node } = yield* nodeIn
      const source = random(5)
      const model = new Model()
      for (let i = 0; i < 600; i++) yield* randomWrite(node, model, source)
      const at = model.revision
      const expected = model.hashKv(at)
      const asking = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let i = 0; i < 20; i++) assert.strictEqual((yield* node.use(hashKv(at))).hash, expected)
        })
      )
      for (let i = 0; i < 100; i++) yield* randomWrite(node, model, source)
      yield* Fiber.join(asking)
    })
  )
})
