/** `bootstrap.netsy` with a whole node: an empty bucket begins with its contents, another one does not look at it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { snapshotKey } from "../../src/core/datafile/keys.ts"
import { membersKey } from "../../src/core/election/registry.ts"
import { bootstrapKey } from "../../src/layers/elector/bootstrap.ts"
import { record, utf8 } from "../datafile/support.ts"
import { put as putObject, storeSnapshot } from "../history/support.ts"
import { everything, makeWorld, MemoryBucket, MemoryDisk, put, range, shown, startNode, type World } from "./world.ts"

/** Three keys at revisions 2 … 4, the first changed at 5; as a file of Netsy 1.x: all revisions from 1 on, no term. */
const seed = (): Uint8Array => {
  const made = new MemoryBucket()
  const records = [
    record({ revision: 1, term: 0, key: utf8("_netsy"), value: utf8("{}") }),
    ...["a", "b", "c"].map((key, i) => record({ revision: i + 2, term: 0, key: utf8(key), value: utf8(`${key}1`) })),
    record({
      ...{ revision: 5, term: 0, key: utf8("a"), value: utf8("a2") },
      ...{ created: false, createRevision: 2, prevRevision: 2, version: 2 }
    })
  ]
  storeSnapshot(made, records, { term: 0, lastIndex: 5, lastTerm: 0, revision: 5 })
  return made.get(snapshotKey(5))!.body
}

const withSeed = (body: Uint8Array): World => {
  const world = makeWorld()
  putObject(world.bucket, bootstrapKey, body)
  return world
}

const promoted = (world: World): number => world.lines.filter(({ event }) => event === "bootstrap_promoted").length

describe("a bucket that holds nothing but bootstrap.netsy", () => {
  it.live("begins with its keys, values and revisions", () =>
    Effect.gen(function* () {
      const world = withSeed(seed())
      const node = yield* startNode(world)
      const all = yield* node.use(range())
      assert.strictEqual(shown(all), "a=a2 b=b1 c=c1")
      assert.strictEqual(all.header!.revision, 5)
      const [a] = all.kvs
      assert.deepStrictEqual([a!.createRevision, a!.modRevision, a!.version], [2, 5, 2])
      assert.strictEqual(shown(yield* node.use(range({ revision: 4 }))), "a=a1 b=b1 c=c1")
      assert.strictEqual((yield* node.use(put("d", "1"))).header!.revision, 6)
      assert.strictEqual(promoted(world), 1)
      yield* node.stop
      assert.deepStrictEqual(world.bucket.get(snapshotKey(5))!.body, seed(), "byte for byte")
      assert.isDefined(world.bucket.get(membersKey))
    })
  )

  it.live(
    "is seeded once: what was written since is there after a start without the disk, whatever the file says then",
    () =>
      Effect.gen(function* () {
        const world = withSeed(seed())
        const first = yield* startNode(world)
        yield* first.use(put("b", "changed"))
        yield* first.stop
        world.disk = new MemoryDisk()
        putObject(world.bucket, bootstrapKey, utf8("not a data file at all"))
        const second = yield* startNode(world)
        assert.strictEqual(yield* second.use(everything), "a=a2 b=changed c=c1")
        assert.strictEqual(promoted(world), 1)
        yield* second.stop
      })
  )

  it.live("is seeded by the next node when the first one died between the copy and the members", () =>
    Effect.gen(function* () {
      const world = withSeed(seed())
      world.decide = ({ key, operation }) =>
        operation === "put" && key === membersKey ? { kind: "hang", effect: false } : undefined
      const first = yield* Effect.forkChild(startNode(world))
      while (world.bucket.get(snapshotKey(5)) === undefined) yield* Effect.sleep(5)
      world.decide = () => undefined
      yield* Fiber.interrupt(first)
      world.disk = new MemoryDisk()
      const second = yield* startNode(world)
      assert.strictEqual(yield* second.use(everything), "a=a2 b=b1 c=c1")
      yield* second.stop
    })
  )
})

describe("bootstrap.netsy that cannot be used", () => {
  const refusal = (world: World) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(startNode(world))
      assert.isUndefined(world.bucket.get(membersKey), "no cluster was begun")
      return String("message" in error ? error.message : error)
    })

  it.live("is ignored once the bucket has members", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const first = yield* startNode(world)
      yield* first.use(put("own", "1"))
      yield* first.stop
      putObject(world.bucket, bootstrapKey, seed())
      const second = yield* startNode(world)
      assert.strictEqual(yield* second.use(everything), "own=1")
      assert.strictEqual(promoted(world), 0)
      yield* second.stop
    })
  )

  it.live("stops a node in a bucket that has data and no members: they would be two histories", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const first = yield* startNode(world)
      yield* first.use(put("own", "1"))
      yield* first.stop
      world.bucket.delete(membersKey)
      world.disk = new MemoryDisk()
      putObject(world.bucket, bootstrapKey, seed())
      const words = yield* refusal(world)
      assert.match(words, /bootstrap\.netsy: the bucket holds data already \(chunks\/.*\) and is not seeded/)
    })
  )

  it.live("stops a node with the file's name and the byte where it is damaged", () =>
    Effect.gen(function* () {
      const damaged = seed().slice()
      damaged[damaged.length - 6]! ^= 4
      const words = yield* refusal(withSeed(damaged))
      assert.match(words, /bootstrap\.netsy: .* at byte \d+/)
      const short = yield* refusal(withSeed(seed().subarray(0, 30)))
      assert.match(short, /bootstrap\.netsy: /)
    })
  )
})
