import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chunkKey, snapshotKey } from "../../src/core/datafile/keys.ts"
import type { Entry, LogRecord } from "../../src/core/log/record.ts"
import { record, seeded, utf8 } from "../datafile/support.ts"
import { oldEntries, put as putObject, storeOldChunk, storeSnapshot } from "../history/support.ts"
import { everything, makeWorld, MemoryDisk, put, range, shown, startNode, type World } from "./world.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

/** Revision 1 as Netsy ≥ 1.0.5 writes it; before, the first client write had it. */
const internal: Entry = {
  index: 1,
  term: 0,
  revision: 1,
  records: [record({ revision: 1, term: 0, key: utf8("_netsy"), value: new Uint8Array(0) })]
}

const records = (entries: ReadonlyArray<Entry>): Array<LogRecord> => entries.flatMap((e) => e.records)
const oldSnapshot = (world: World, entries: ReadonlyArray<Entry>): string =>
  storeSnapshot(
    world.bucket,
    records(entries),
    { term: 0, lastIndex: entries.length, lastTerm: 0, revision: entries.length },
    false
  )

const expected = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `key-${from + i}=value-${from + i}`)
    .sort()
    .join(" ")

/** Opens the bucket, writes one more key, loses the disk, opens it again. */
const opensAndCarriesOn = (world: World, shows: string, revision: number) =>
  Effect.gen(function* () {
    const node = yield* startNode(world)
    assert.strictEqual(yield* node.use(everything), shows)
    assert.strictEqual((yield* node.use(range())).header!.revision, revision)
    assert.strictEqual((yield* node.use(put("new", "1"))).header!.revision, revision + 1)
    yield* node.stop
    world.disk = new MemoryDisk()
    const again = yield* startNode(world)
    assert.strictEqual(yield* again.use(everything), `${shows} new=1`)
    assert.strictEqual((yield* again.use(put("new", "2"))).header!.revision, revision + 2)
    yield* again.stop
  })

describe("a bucket that Netsy 1.x has written", () => {
  it.live(
    "with a raw snapshot, mixed chunks, overlapping duplicates and the internal record is opened and carried on",
    () =>
      Effect.gen(function* () {
        const world = makeWorld()
        const old = oldEntries(1, 12)
        old[0] = internal
        oldSnapshot(world, old.slice(0, 5))
        for (const e of old.slice(3, 7)) storeOldChunk(world.bucket, [e], false)
        storeOldChunk(world.bucket, old.slice(5, 10), true)
        storeOldChunk(world.bucket, old.slice(8, 11), false)
        storeOldChunk(world.bucket, old.slice(11), true)
        yield* opensAndCarriesOn(world, expected(2, 12), 12)
      })
  )

  it.live("with a client's write at revision 1 is opened and carried on", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      for (const e of oldEntries(1, 4)) storeOldChunk(world.bucket, [e], false)
      yield* opensAndCarriesOn(world, expected(1, 4), 4)
    })
  )

  it.live("whose old values were emptied refuses reads that would show the gaps", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const at = { seconds: 1700000900, nanos: 0 }
      const old = oldEntries(1, 4, { key: utf8("a"), value: utf8("new") }).map((e, i): Entry => ({
        ...e,
        records: [
          {
            ...e.records[0]!,
            createRevision: 1,
            created: i === 0,
            prevRevision: i,
            version: i + 1,
            ...(i < 2 ? { value: new Uint8Array(0), compactedAt: at } : {})
          }
        ]
      }))
      oldSnapshot(world, old)
      const node = yield* startNode(world)
      assert.include((yield* Effect.flip(node.use(range({ revision: 2 })))).message, "compacted")
      assert.strictEqual(shown(yield* node.use(range({ revision: 3 }))), "a=new")
      yield* node.stop
    })
  )

  it.live("and a local database with rows that the bucket lacks: they are imported as new entries", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const old = oldEntries(1, 6)
      for (const e of old.slice(0, 4)) storeOldChunk(world.bucket, [e], false)
      world.disk.offerImport(records(old))
      yield* opensAndCarriesOn(world, expected(1, 6), 6)
    })
  )
})

describe("a damaged bucket", () => {
  const store = () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      for (let i = 1; i <= 3; i++) yield* node.use(put(`k${i}`, `some value ${i}`))
      yield* node.stop
      world.disk = new MemoryDisk()
      return world
    })

  it.live(
    "stops the start and names key, check and offset, wherever in a chunk a bit has flipped; mended, all is there",
    () =>
      Effect.gen(function* () {
        const world = yield* store()
        const key = chunkKey(3)
        const whole = world.bucket.get(key)!.body
        const random = seeded(7)
        for (let i = 0; i < 10; i++) {
          const damaged = whole.slice()
          const offset = random(damaged.length)
          damaged[offset]! ^= 1 << random(8)
          putObject(world.bucket, key, damaged)
          world.disk = new MemoryDisk()
          const error = yield* Effect.flip(startNode(world))
          assert.include(error.message, key, `byte ${offset}`)
          assert.match(error.message, /byte \d+/, `byte ${offset}`)
        }
        putObject(world.bucket, key, whole)
        world.disk = new MemoryDisk()
        const node = yield* startNode(world)
        assert.strictEqual((yield* node.use(range())).count, 3)
        yield* node.stop
      })
  )

  it.live("with a chunk missing in the middle stops the start and names the index", () =>
    Effect.gen(function* () {
      const world = yield* store()
      world.bucket.delete(chunkKey(3))
      const error = yield* Effect.flip(startNode(world))
      assert.match(error.message, /\b3\b/)
      assert.strictEqual(world.bucket.get(snapshotKey(3)), undefined)
    })
  )

  it.live("that was emptied is filled again from a local database that has everything", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const node = yield* startNode(world)
      yield* node.use(put("a", "1"))
      yield* node.stop
      for (const key of [...world.bucket.keys()]) world.bucket.delete(key)
      const again = yield* startNode(world)
      yield* again.stop
      world.disk = new MemoryDisk()
      const third = yield* startNode(world)
      assert.strictEqual(yield* third.use(everything), "a=1")
      yield* third.stop
    })
  )
})

describe("snapshots", () => {
  it.live("are taken by the record threshold and are enough to start from, with what comes after them", () =>
    Effect.gen(function* () {
      const world = makeWorld({ NETSY_SNAPSHOT_THRESHOLD_RECORDS: "20", NETSY_DATA_DIR: yield* temporaryFolder })
      const node = yield* startNode(world)
      for (let i = 0; i < 50; i++) yield* node.use(put(`k${i % 7}`, `v${i}`))
      yield* Effect.sleep(300)
      const shows = yield* node.use(everything)
      yield* node.stop
      const snapshots = world.bucket.keys().filter((key) => key.startsWith("snapshots/"))
      assert.isAbove(snapshots.length, 0)
      const first = Number(snapshots[0]!.slice(10, -6))
      for (let i = 1; i <= first; i++) world.bucket.delete(chunkKey(i))
      world.disk = new MemoryDisk()
      const again = yield* startNode(world)
      assert.strictEqual(yield* again.use(everything), shows)
      assert.strictEqual((yield* again.use(range({ revision: 10 }))).kvs.length, 7)
      yield* again.stop
    })
  )
})
