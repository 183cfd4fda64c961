import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { chunkKey, snapshotKey } from "../../src/core/datafile/keys.ts"
import type { Entry, LogRecord } from "../../src/core/log/record.ts"
import * as HistoryBucket from "../../src/layers/HistoryBucket.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import { History, HistoryBroken, type HistoryError } from "../../src/services/History.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { entry, opRecord, record, seeded, utf8 } from "../datafile/support.ts"
import { grow } from "./branches.ts"
import {
  entriesIn,
  historyOf,
  oldEntries,
  put,
  readHistory,
  type Reads,
  snapshotIn,
  storeChunk,
  storeOldChunk,
  storeSnapshot
} from "./support.ts"

const puts = (from: number, to: number, term: number): Array<Entry> =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(record({ revision: from + i, term })))

/** Lets the pauses between readings pass. */
const failing = <A>(effect: Effect.Effect<A, HistoryError>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.flip(effect))
    yield* TestClock.adjust("10 seconds")
    const error = yield* Fiber.join(fiber)
    if (!(error instanceof HistoryBroken)) return assert.fail(`not HistoryBroken: ${error}`)
    return error
  })

const newReads = (): Reads => ({ gets: [], ranges: [], streams: [] })

describe("the history of a bucket", () => {
  it.effect("that is empty is empty", () =>
    Effect.gen(function* () {
      const found = yield* readHistory(new MemoryBucket())
      assert.deepStrictEqual([found.last, found.lastRevision, found.snapshot], [{ index: 0, term: 0 }, 0, undefined])
      assert.deepStrictEqual(yield* entriesIn(found), [])
      assert.strictEqual(
        yield* Effect.flatMap(History, (h) => h.highestTerm).pipe(Effect.provide(historyOf(new MemoryBucket()))),
        0
      )
    })
  )

  it.effect("is its chunks in order: plain and compressed ones, transactions and ops", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const txn = [0, 1, 2].map((sub) => record({ revision: 4, index: 5, sub, term: 2, value: new Uint8Array(3000) }))
      const entries = [
        ...puts(1, 3, 1),
        entry(opRecord({ kind: "noOp" }, { revision: 3, index: 4, term: 2 })),
        entry(...txn),
        entry(record({ revision: 5, index: 6, term: 2 }))
      ]
      storeChunk(bucket, entries.slice(0, 2), { term: 1 })
      storeChunk(bucket, entries.slice(2, 5), { term: 2, prevTerm: 1 })
      storeChunk(bucket, entries.slice(5), { term: 2, prevTerm: 2 })
      put(bucket, "chunks/readme.txt", utf8("passed over"))
      const found = yield* readHistory(bucket)
      assert.deepStrictEqual([found.last, found.lastRevision, found.highestTerm], [{ index: 6, term: 2 }, 5, 2])
      assert.deepStrictEqual(yield* entriesIn(found), entries)
      assert.deepStrictEqual(yield* entriesIn(found, 3), entries.slice(3))
      assert.deepStrictEqual(yield* entriesIn(found, 6), [])
      assert.deepStrictEqual([0, 1, 3, 4, 6, 7].map(found.termAt), [undefined, 1, 1, 2, 2, undefined])
      assert.strictEqual(found.takenKeys.size, 0)
      assert.isAbove(found.chunkBytes, 200)
    })
  )

  it.effect("begins at the newest snapshot; its floor and revision are stated in it", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const records = [
        opRecord({ kind: "leaseGrant", id: 5n, ttlSeconds: 60, remainingTtlSeconds: 0 }, { revision: 2, index: 2 }),
        record({ revision: 3 })
      ]
      storeChunk(bucket, puts(1, 3, 1), { term: 1 })
      storeChunk(bucket, puts(4, 5, 1), { term: 1, prevTerm: 1 })
      storeSnapshot(bucket, records, { term: 1, lastIndex: 4, lastTerm: 1, revision: 4, floor: 3 })
      const found = yield* readHistory(bucket)
      const { key, last, revision, floor } = found.snapshot!
      assert.deepStrictEqual([key, last, revision, floor], [snapshotKey(4), { index: 4, term: 1 }, 4, 3])
      assert.deepStrictEqual(yield* snapshotIn(found), records)
      assert.deepStrictEqual(yield* entriesIn(found), puts(5, 5, 1))
      assert.deepStrictEqual([3, 4, 5].map(found.termAt), [undefined, 1, 1])
    })
  )

  it.effect("may end with a snapshot whose last changes were deletions", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeSnapshot(bucket, [record({ revision: 3 })], { term: 2, lastIndex: 9, lastTerm: 2, revision: 7 })
      const found = yield* readHistory(bucket)
      assert.deepStrictEqual([found.last, found.lastRevision], [{ index: 9, term: 2 }, 7])
    })
  )

  it.effect("passes over dead branches, names their keys as taken and their terms as seen", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeChunk(bucket, puts(1, 2, 1), { term: 1 })
      storeChunk(bucket, puts(3, 4, 1), { term: 1, prevTerm: 1 })
      storeChunk(bucket, puts(3, 3, 2), { term: 2, prevTerm: 1, stored: 2 })
      storeChunk(bucket, puts(8, 8, 5), { term: 5, prevTerm: 5, stored: 6 })
      const found = yield* readHistory(bucket)
      assert.deepStrictEqual(found.last, { index: 3, term: 2 })
      assert.deepStrictEqual([...found.takenKeys].sort(), [4, 8])
      assert.deepStrictEqual(found.skippedTips, [{ key: chunkKey(8), tip: { index: 8, term: 5 }, brokenAt: 7 }])
      const highest = Effect.flatMap(History, (h) => h.highestTerm)
      assert.strictEqual(yield* highest.pipe(Effect.provide(historyOf(bucket))), 5)
    })
  )

  it.effect("that was warmed up is found without fetching an object again, chunks behind a snapshot included", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeChunk(bucket, puts(1, 2, 1), { term: 1 })
      storeSnapshot(bucket, [record({ revision: 2 })], { term: 1, lastIndex: 2, lastTerm: 1, revision: 2 })
      storeChunk(bucket, puts(3, 4, 1), { term: 1, prevTerm: 1 })
      const reads = newReads()
      const fetched = () => reads.gets.length + reads.ranges.length + reads.streams.length
      yield* Effect.gen(function* () {
        const history = yield* History
        yield* history.warm({ recoveredTerm: "unknown" })
        const before = fetched()
        assert.strictEqual(before, 3)
        const found = yield* history.read({ recoveredTerm: "unknown" })
        assert.deepStrictEqual(found.last, { index: 4, term: 1 })
        assert.strictEqual(fetched(), before)
      }).pipe(Effect.provide(historyOf(bucket, reads)))
    })
  )

  it.effect("with a hole where something was stored is an error that names the index", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeChunk(bucket, puts(1, 2, 1), { term: 1 })
      storeChunk(bucket, puts(4, 5, 1), { term: 1, prevTerm: 1 })
      const error = yield* failing(readHistory(bucket))
      assert.strictEqual(error.key, chunkKey(5))
      assert.match(error.reason, /index 3$/)
    })
  )

  it.effect("that changes while it is read is read again", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeChunk(bucket, puts(1, 2, 1), { term: 1 })
      storeChunk(bucket, puts(3, 4, 1), { term: 1, prevTerm: 1 })
      let lists = 0
      const changing = Layer.effect(
        ObjectStore,
        Effect.map(ObjectStore, (store) =>
          ObjectStore.of({
            ...store,
            list: (options) =>
              Effect.tap(store.list(options), () =>
                Effect.sync(() => {
                  // Behind a snapshot that the same reading no longer lists, everything before it is cleaned up.
                  if (++lists === 2) {
                    storeSnapshot(bucket, [record({ revision: 4 })], {
                      term: 1,
                      lastIndex: 4,
                      lastTerm: 1,
                      revision: 4
                    })
                    bucket.delete(chunkKey(2))
                    bucket.delete(chunkKey(4))
                  }
                })
              )
          })
        )
      ).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket })))
      const history = Layer.provide(HistoryBucket.layer, changing)
      const fiber = yield* Effect.forkChild(
        Effect.flatMap(History, (h) => h.read({ recoveredTerm: "unknown" })).pipe(Effect.provide(history))
      )
      yield* TestClock.adjust("10 seconds")
      const found = yield* Fiber.join(fiber)
      assert.strictEqual(found.snapshot?.key, snapshotKey(4))
      assert.isAbove(lists, 2)
    })
  )

  it.effect(
    "is not fetched twice: a second reading only lists, and chunks behind a snapshot are judged by their headers",
    () =>
      Effect.gen(function* () {
        const bucket = new MemoryBucket()
        for (let i = 1; i <= 20; i++)
          storeChunk(bucket, [entry(record({ revision: i, value: new Uint8Array(2000) }))], {
            term: 1,
            prevTerm: i > 1 ? 1 : 0
          })
        storeSnapshot(
          bucket,
          puts(1, 15, 1).flatMap((e) => e.records),
          { term: 1, lastIndex: 15, lastTerm: 1, revision: 15 }
        )
        const reads = newReads()
        yield* Effect.gen(function* () {
          const history = yield* History
          const found = yield* history.read({ recoveredTerm: "unknown" })
          assert.strictEqual((yield* entriesIn(found)).length, 5)
          assert.deepStrictEqual([reads.gets.length, reads.ranges.length, reads.streams.length], [5, 15, 1])
          yield* history.read({ recoveredTerm: "unknown" })
          assert.deepStrictEqual([reads.gets.length, reads.ranges.length, reads.streams.length], [5, 15, 1])
        }).pipe(Effect.provide(historyOf(bucket, reads)))
      })
  )

  it.effect(
    "is found without a look at chunks behind the newest snapshot, unless a later recovery may have given it up",
    () =>
      Effect.gen(function* () {
        const bucket = new MemoryBucket()
        for (let i = 1; i <= 20; i++) storeChunk(bucket, puts(i, i, 2), { term: 2, prevTerm: i > 1 ? 2 : 0 })
        const records = puts(1, 15, 2).flatMap((e) => e.records)
        storeSnapshot(bucket, records, { term: 2, lastIndex: 15, lastTerm: 2, revision: 15 })
        const whole = yield* readHistory(bucket)
        for (const [recoveredTerm, headers] of [
          [undefined, 0],
          [1, 0],
          [2, 0],
          [3, 15],
          ["unknown", 15]
        ] as const) {
          const reads = newReads()
          const found = yield* readHistory(bucket, reads, { recoveredTerm })
          // Small chunks: the first piece is the whole object.
          assert.deepStrictEqual([reads.gets.length, reads.ranges.length, reads.streams.length], [5 + headers, 0, 1])
          assert.deepStrictEqual(found.last, { index: 20, term: 2 })
          assert.deepStrictEqual(yield* entriesIn(found), puts(16, 20, 2))
          assert.strictEqual(found.chunkBytes, whole.chunkBytes)
          assert.deepStrictEqual([...found.takenKeys], [...whole.takenKeys])
          assert.isTrue(found.takenKeys.has(7) && !found.takenKeys.has(17))
        }
      })
  )

  it.effect("that a recovery has continued below the end of a snapshot is found with the recovery's term", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeChunk(bucket, puts(1, 4, 1), { term: 1 })
      storeChunk(bucket, puts(5, 9, 1), { term: 1, prevTerm: 1 })
      storeChunk(bucket, puts(5, 6, 3), { term: 3, prevTerm: 1, stored: 4 })
      const records = puts(1, 9, 1).flatMap((e) => e.records)
      storeSnapshot(bucket, records, { term: 1, lastIndex: 9, lastTerm: 1, revision: 9 })
      for (const recoveredTerm of [3, 2, "unknown"] as const) {
        const found = yield* readHistory(bucket, undefined, { recoveredTerm })
        assert.deepStrictEqual([found.last, found.snapshot], [{ index: 6, term: 3 }, undefined])
      }
      const before = yield* readHistory(bucket, undefined, { recoveredTerm: 1 })
      assert.deepStrictEqual([before.last, before.snapshot?.key], [{ index: 9, term: 1 }, snapshotKey(9)])
    })
  )

  it.effect("is read whole if its path does not come by the newest snapshot", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeChunk(bucket, puts(1, 2, 1), { term: 1 })
      storeChunk(bucket, puts(3, 4, 2), { term: 2, prevTerm: 1 })
      storeChunk(bucket, puts(3, 6, 3), { term: 3, prevTerm: 1, stored: 2 })
      const records = puts(1, 4, 2).flatMap((e) => e.records)
      storeSnapshot(bucket, records, { term: 2, lastIndex: 4, lastTerm: 2, revision: 4 })
      const found = yield* readHistory(bucket, undefined, { recoveredTerm: undefined })
      assert.deepStrictEqual([found.last, found.snapshot], [{ index: 6, term: 3 }, undefined])
      assert.deepStrictEqual(yield* entriesIn(found), [...puts(1, 2, 1), ...puts(3, 6, 3)])
    })
  )

  it.effect("with a tip that lacks its predecessor above the snapshot is not read further back for that", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      for (let i = 1; i <= 8; i++) storeChunk(bucket, puts(i, i, 1), { term: 1, prevTerm: i > 1 ? 1 : 0 })
      storeChunk(bucket, puts(12, 12, 1), { term: 1, prevTerm: 1, stored: 8 })
      const records = puts(1, 6, 1).flatMap((e) => e.records)
      storeSnapshot(bucket, records, { term: 1, lastIndex: 6, lastTerm: 1, revision: 6 })
      const reads = newReads()
      const found = yield* readHistory(bucket, reads, { recoveredTerm: undefined })
      assert.deepStrictEqual([found.last.index, found.skippedTips.length], [8, 1])
      assert.deepStrictEqual(reads.gets.sort(), [7, 8, 12].map(chunkKey).sort())
      assert.isTrue(found.takenKeys.has(12))
    })
  )

  it.effect("holds chunks of many megabytes without having them in memory whole", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const large = Array.from({ length: 40 }, (_, i) =>
        entry(...[0, 1].map((sub) => record({ revision: i + 1, sub, value: new Uint8Array(90_000).fill(i + sub) })))
      )
      storeChunk(bucket, large, { term: 1 }, false)
      const reads = newReads()
      const found = yield* readHistory(bucket, reads)
      const batches = yield* Stream.runCollect(found.entriesAfter(10))
      assert.deepStrictEqual(batches.flat(), large.slice(10))
      assert.isAbove(batches.length, 10)
      assert.deepStrictEqual(reads.gets, [])
    })
  )
})

describe("the history of a bucket with lost reigns in it", () => {
  it.effect("is what the design's model finds, with each chunk fetched at most once", () =>
    Effect.gen(function* () {
      let fetched = 0
      let quickly = 0
      let stored = 0
      for (let seed = 1; seed <= 250; seed++) {
        const { chunks, snapshots, bucket: terms } = grow(seeded(seed))
        const bucket = new MemoryBucket()
        const entryAt = (index: number, term: number) => entry(record({ revision: index, term }))
        for (const [, c] of chunks) {
          const entries = c.terms.map((term, i) => entryAt(c.first + i, term))
          storeChunk(bucket, entries, { term: c.terms[c.terms.length - 1]!, prevTerm: c.prevTerm, stored: c.stored })
        }
        for (const [end, log] of snapshots) {
          const records = log.flatMap((term, i) => entryAt(i + 1, term).records)
          const lastTerm = log[end - 1]!
          storeSnapshot(bucket, records, { term: lastTerm, lastIndex: end, lastTerm, revision: end }, seed % 2 === 0)
        }
        const reads = newReads()
        const found = yield* readHistory(bucket, reads)
        fetched += reads.gets.length
        stored += chunks.size
        assert.deepStrictEqual(found.last, { index: terms.length, term: terms[terms.length - 1] ?? 0 }, `seed ${seed}`)
        assert.strictEqual(found.lastRevision, terms.length)
        const all = [...(yield* snapshotIn(found)), ...(yield* entriesIn(found)).flatMap((e) => e.records)]
        const expected = terms.flatMap((term, i) => entryAt(i + 1, term).records)
        assert.deepStrictEqual(all, expected, `seed ${seed}`)
        const from = found.snapshot?.last.index ?? 1
        for (let i = from; i <= terms.length; i++) assert.strictEqual(found.termAt(i), terms[i - 1])
        const fewer = newReads()
        const quick = yield* readHistory(bucket, fewer, { recoveredTerm: undefined })
        quickly += fewer.gets.length
        assert.deepStrictEqual(
          [quick.last, quick.lastRevision, quick.snapshot, quick.chunkBytes, [...quick.takenKeys]],
          [found.last, found.lastRevision, found.snapshot, found.chunkBytes, [...found.takenKeys]],
          `seed ${seed}`
        )
        assert.deepStrictEqual(yield* entriesIn(quick), yield* entriesIn(found), `seed ${seed}`)
        for (const [end] of chunks) {
          const onPath = end <= terms.length && !found.takenKeys.has(end)
          if (onPath) assert.isAbove(end, found.snapshot?.last.index ?? 0, `seed ${seed}`)
        }
      }
      assert.isAtMost(fetched, stored)
      assert.isBelow(quickly, fetched * 0.9)
    })
  )
})

describe("a damaged object of the bucket", () => {
  it.effect("stops the reader with its key, the byte offset and the failing check", () =>
    Effect.gen(function* () {
      const random = seeded(3)
      for (let i = 0; i < 10; i++) {
        const bucket = new MemoryBucket()
        storeChunk(bucket, puts(1, 3, 1), { term: 1 })
        const key = storeChunk(bucket, puts(4, 9, 1), { term: 1, prevTerm: 1 })
        const body = bucket.get(key)!.body.slice()
        body[random(body.length)]! ^= 1 << random(8)
        put(bucket, key, body)
        const error = yield* failing(readHistory(bucket))
        assert.strictEqual(error.key, key)
        assert.match(error.reason, /^(header|record|footer|records|truncated|message) ?\w* at byte \d+: /)
      }
    })
  )

  it.effect("under another object's key is found out", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const key = storeChunk(bucket, puts(1, 3, 1), { term: 1 })
      put(bucket, chunkKey(4), bucket.get(key)!.body)
      assert.match((yield* failing(readHistory(bucket))).message, /0004\.netsy: last index .* ends at 3/)
    })
  )

  it.effect("that is empty is damaged", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      put(bucket, chunkKey(1), new Uint8Array(0))
      assert.match((yield* failing(readHistory(bucket))).reason, /^truncated at byte 0/)
    })
  )

  it.effect("that is a snapshot fails before its last page is handed out", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const records = Array.from({ length: 3000 }, (_, i) => record({ revision: i + 1 }))
      const key = storeSnapshot(bucket, records, { term: 1, lastIndex: 3000, lastTerm: 1, revision: 3000 }, false)
      const body = bucket.get(key)!.body.slice()
      body[body.length - 3]! ^= 4
      put(bucket, key, body)
      const found = yield* readHistory(bucket)
      const seen: Array<LogRecord> = []
      const error = yield* failing(
        found.snapshotRecords().pipe(Stream.runForEach((page) => Effect.sync(() => seen.push(...page))))
      )
      assert.match(error.reason, /^footer crc at byte \d+/)
      assert.isBelow(seen.length, 3000)
    })
  )
})

describe("a bucket of Netsy 1.x", () => {
  for (const internal of [true, false]) {
    it.effect(
      `is read: raw snapshot, mixed chunks, overlapping duplicates, revision 1 ${internal ? "with" : "without"} _netsy`,
      () =>
        Effect.gen(function* () {
          const bucket = new MemoryBucket()
          const all = oldEntries(1, 12)
          if (internal) all[0] = entry(record({ revision: 1, term: 0, key: utf8("_netsy"), value: new Uint8Array(0) }))
          storeSnapshot(
            bucket,
            all.slice(0, 4).flatMap((e) => e.records),
            { term: 0, lastIndex: 4, lastTerm: 0, revision: 4 },
            false
          )
          storeOldChunk(bucket, all.slice(2, 6), true)
          storeOldChunk(bucket, all.slice(4, 8), false)
          storeOldChunk(bucket, all.slice(8, 9), false)
          storeOldChunk(bucket, all.slice(6, 12), true)
          const found = yield* readHistory(bucket)
          assert.deepStrictEqual(
            [found.last, found.lastRevision, found.snapshot?.revision],
            [{ index: 12, term: 0 }, 12, 4]
          )
          assert.deepStrictEqual(
            yield* snapshotIn(found),
            all.slice(0, 4).flatMap((e) => e.records)
          )
          assert.deepStrictEqual(yield* entriesIn(found), all.slice(4))
        })
    )
  }

  it.effect("without a snapshot is read from revision 1", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const all = oldEntries(1, 3)
      for (const one of all) storeOldChunk(bucket, [one], false)
      assert.deepStrictEqual(yield* entriesIn(yield* readHistory(bucket)), all)
    })
  )

  it.effect("may have chunks that leave out revisions which other chunks hold", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const all = oldEntries(1, 6)
      storeOldChunk(bucket, all.slice(0, 2), false)
      storeOldChunk(bucket, [all[3]!], false)
      storeOldChunk(bucket, [all[2]!, all[4]!, all[5]!], true)
      assert.deepStrictEqual(yield* entriesIn(yield* readHistory(bucket)), all)
    })
  )

  it.effect(
    "may have copies that differ in when they were replicated or compacted, and in a value that was compacted",
    () =>
      Effect.gen(function* () {
        const bucket = new MemoryBucket()
        const time = { seconds: 1700009999, nanos: 5 }
        const all = oldEntries(1, 4)
        storeOldChunk(bucket, all.slice(0, 3), false)
        storeOldChunk(
          bucket,
          [
            entry({ ...all[1]!.records[0]!, replicatedAt: time }),
            entry({ ...all[2]!.records[0]!, compactedAt: time, value: new Uint8Array(0) }),
            all[3]!
          ],
          false
        )
        assert.strictEqual((yield* entriesIn(yield* readHistory(bucket))).length, 4)
      })
  )

  it.effect("with copies that contradict each other is an error that names both keys and the revision", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const all = oldEntries(1, 3)
      const one = storeOldChunk(bucket, all.slice(0, 2), false)
      const other = storeOldChunk(bucket, [entry({ ...all[1]!.records[0]!, value: utf8("another") }), all[2]!], true)
      const error = yield* failing(readHistory(bucket))
      assert.strictEqual(error.key, other)
      assert.include(error.reason, one)
      assert.match(error.reason, /revision 2 /)
    })
  )

  it.effect("is carried on by chunks of a term", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const old = oldEntries(1, 3)
      storeOldChunk(bucket, old, false)
      const noop = entry(opRecord({ kind: "noOp" }, { revision: 3, index: 4, term: 1 }))
      const more = entry(record({ revision: 4, index: 5, term: 1 }))
      storeChunk(bucket, [noop, more], { term: 1, prevTerm: 0, stored: 3 })
      const found = yield* readHistory(bucket)
      assert.deepStrictEqual([found.last, found.lastRevision], [{ index: 5, term: 1 }, 4])
      assert.deepStrictEqual(yield* entriesIn(found), [...old, noop, more])
    })
  )

  it.effect("has a floor behind everything that its snapshot has emptied", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const time = { seconds: 1700009999, nanos: 0 }
      const old = [
        record({ revision: 1, term: 0, compactedAt: time, value: new Uint8Array(0) }),
        record({ revision: 2, term: 0 }),
        record({ revision: 3, term: 0, key: utf8("key-1"), prevRevision: 1 }),
        record({ revision: 4, term: 0 })
      ]
      storeSnapshot(bucket, old, { term: 0, lastIndex: 4, lastTerm: 0, revision: 4 })
      const { floor } = (yield* readHistory(bucket)).snapshot!
      assert.strictEqual(floor, 3)
    })
  )
})
