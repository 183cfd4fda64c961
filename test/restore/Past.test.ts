/** Which part of a bucket's history a moment is the end of, in buckets laid out by hand. Times are 1700000000 s + revision. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { chunkKey, snapshotKey } from "../../src/core/datafile/keys.ts"
import type { Moment } from "../../src/core/log/moment.ts"
import type { LogRecord } from "../../src/core/log/record.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import { History, type ReadOptions } from "../../src/services/History.ts"
import { entry, opRecord, record, utf8 } from "../datafile/support.ts"
import { entriesIn, historyOf, put, storeChunk, storeSnapshot } from "../history/support.ts"

const entries = (from: number, to: number, over: Partial<LogRecord> = {}) =>
  Array.from({ length: to - from + 1 }, (_, i) =>
    entry(record({ revision: from + i, ...(from + i === 1 ? { key: utf8("_netsy") } : {}), ...over }))
  )

const snapshot = (bucket: MemoryBucket, index: number, term = 1): string =>
  storeSnapshot(
    bucket,
    Array.from({ length: index }, (_, i) => record({ revision: i + 1 })),
    { term, lastIndex: index, lastTerm: term, revision: index }
  )

/** Chunks 1 … 4, 5 … 8, 9 … 12, 13 … 14; snapshots at 6, in the middle of a chunk, and at 12. */
const bucketOf = (): MemoryBucket => {
  const bucket = new MemoryBucket()
  for (const [from, to] of [
    [1, 4],
    [5, 8],
    [9, 12],
    [13, 14]
  ] as const)
    storeChunk(bucket, entries(from, to), { term: 1, prevTerm: from === 1 ? 0 : 1 })
  snapshot(bucket, 6)
  snapshot(bucket, 12)
  return bucket
}

const index = (at: number): Moment => ({ kind: "index", index: at })
const revision = (at: number): Moment => ({ kind: "revision", revision: at })
const time = (second: number): Moment => ({ kind: "time", millis: (1_700_000_000 + second) * 1000 })

const found = (bucket: MemoryBucket, moment: Moment, options: ReadOptions = { recoveredTerm: undefined }) =>
  Effect.gen(function* () {
    const history = yield* History.use((h) => h.readTo(moment, options))
    const indexes = (yield* entriesIn(history)).map((one) => one.index)
    assert.strictEqual(indexes.at(-1) ?? history.snapshot?.last.index, history.last.index)
    const { last, lastRevision } = history
    return `${history.snapshot?.last.index ?? 0} + ${indexes.join()} = ${last.index}/${last.term}, revision ${lastRevision}`
  }).pipe(Effect.provide(historyOf(bucket)))

const refusal = (bucket: MemoryBucket, moment: Moment, options?: ReadOptions) =>
  Effect.map(Effect.flip(found(bucket, moment, options)), (error) => `${error._tag}: ${error.message}`)

describe("the history up to a moment", () => {
  it.effect("begins at the newest snapshot before it, wherever in a chunk that is", () =>
    Effect.gen(function* () {
      const bucket = bucketOf()
      assert.strictEqual(yield* found(bucket, { kind: "newest" }), "12 + 13,14 = 14/1, revision 14")
      for (const moment of [index, revision, time]) {
        assert.strictEqual(yield* found(bucket, moment(13)), "12 + 13 = 13/1, revision 13")
        assert.strictEqual(yield* found(bucket, moment(9)), "6 + 7,8,9 = 9/1, revision 9")
        assert.strictEqual(yield* found(bucket, moment(7)), "6 + 7 = 7/1, revision 7")
        assert.strictEqual(yield* found(bucket, moment(3)), "0 + 1,2,3 = 3/1, revision 3")
      }
      assert.strictEqual(yield* found(bucket, index(12)), "12 +  = 12/1, revision 12")
      assert.strictEqual(yield* found(bucket, index(6)), "6 +  = 6/1, revision 6")
    })
  )

  it.effect("takes with a revision what took none of its own", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const grant = (at: number) =>
        entry(
          opRecord(
            { kind: "leaseGrant", id: BigInt(at), ttlSeconds: 9, remainingTtlSeconds: 0 },
            { index: at, revision: 2 }
          )
        )
      storeChunk(bucket, [...entries(1, 2), grant(3)], { term: 1 })
      storeChunk(bucket, [grant(4), entry(record({ index: 5, revision: 3 }))], { term: 1, prevTerm: 1 })
      assert.strictEqual(yield* found(bucket, revision(2)), "0 + 1,2,3,4 = 4/1, revision 2")
      assert.strictEqual(yield* found(bucket, index(2)), "0 + 1,2 = 2/1, revision 2")
    })
  )

  it.effect(
    "ends with the last entry of the time or before, also when a clock went back, and later times are the newest",
    () =>
      Effect.gen(function* () {
        const bucket = new MemoryBucket()
        const at = (one: number, second: number) =>
          entry(record({ revision: one, createdAt: { seconds: 1_700_000_000 + second, nanos: 0 } }))
        storeChunk(bucket, [at(1, 10), at(2, 20), at(3, 15)], { term: 1 })
        storeChunk(bucket, [at(4, 30)], { term: 1, prevTerm: 1 })
        assert.match(yield* found(bucket, time(17)), /= 3\/1/)
        assert.match(yield* found(bucket, time(12)), /= 1\/1/)
        assert.match(yield* found(bucket, time(29.999)), /= 3\/1/)
        assert.match(yield* found(bucket, time(99)), /= 4\/1/)
        assert.match(
          yield* refusal(bucket, time(9)),
          /older than what the bucket keeps: the oldest to be had is revision 1 \(index 1\) of 2023-11-14T22:13:30/
        )
      })
  )

  it.effect("is refused where the bucket does not reach, with the oldest and the newest that it has", () =>
    Effect.gen(function* () {
      const bucket = bucketOf()
      for (const moment of [index(15), revision(15)])
        assert.match(
          yield* refusal(bucket, moment),
          /^NoSuchMoment: .* is newer than the newest, revision 14 \(index 14\)$/
        )
      assert.strictEqual(yield* refusal(new MemoryBucket(), index(1)), "NoSuchMoment: the bucket holds no data")
      bucket.delete(chunkKey(4))
      assert.strictEqual(yield* found(bucket, index(7)), "6 + 7 = 7/1, revision 7")
      // Of a time when the snapshot was there, and no entry says better when it ends.
      assert.strictEqual(yield* found(bucket, time(5)), "6 +  = 6/1, revision 6")
      for (const moment of [index(5), revision(5), time(1)])
        assert.match(
          yield* refusal(bucket, moment),
          /^NoSuchMoment: .* is older than what the bucket keeps: the oldest to be had is revision 6 \(index 6\)/
        )
    })
  )

  it.effect(
    "a snapshot without the chunks behind it still has its own moment, while nothing was recovered with a loss",
    () =>
      Effect.gen(function* () {
        const bucket = bucketOf()
        bucket.delete(chunkKey(8))
        assert.strictEqual(yield* found(bucket, revision(6)), "6 +  = 6/1, revision 6")
        assert.strictEqual(yield* found(bucket, index(6)), "6 +  = 6/1, revision 6")
        assert.match(
          yield* refusal(bucket, index(7)),
          /the oldest to be had is revision 12 \(index 12\) of .*; older, and only exactly so: revision 6 \(index 6\)$/
        )
        for (const recoveredTerm of [2, "unknown"] as const)
          assert.match(yield* refusal(bucket, index(6), { recoveredTerm }), /NoSuchMoment: [^;]*$/)
      })
  )

  it.effect("is that of the last Primary: what a lost reign left does not count, entries or snapshots", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      storeChunk(bucket, entries(1, 4), { term: 1 })
      storeChunk(bucket, entries(5, 9), { term: 1, prevTerm: 1 })
      snapshot(bucket, 8)
      storeChunk(bucket, entries(5, 10, { term: 2 }), { term: 2, prevTerm: 1 })
      storeSnapshot(bucket, [record({ revision: 10, term: 2 })], { term: 2, lastIndex: 10, lastTerm: 2, revision: 10 })
      assert.strictEqual(yield* found(bucket, index(8), { recoveredTerm: 2 }), "0 + 1,2,3,4,5,6,7,8 = 8/2, revision 8")
      assert.strictEqual(yield* found(bucket, index(10), { recoveredTerm: 2 }), "10 +  = 10/2, revision 10")
    })
  )

  it.effect("names the damaged object that the way leads over", () =>
    Effect.gen(function* () {
      const damage = (key: string) => {
        const bucket = bucketOf()
        const body = bucket.get(key)!.body.slice()
        body[body.length - 8]! ^= 1
        put(bucket, key, body)
        return bucket
      }
      assert.match(yield* refusal(damage(chunkKey(8)), index(7)), /^HistoryBroken: chunks\/0008\/.*: .* at byte \d+/)
      assert.match(yield* found(damage(chunkKey(4)), index(7)), /= 7\/1/)
      const late = yield* Effect.gen(function* () {
        const { snapshotRecords } = yield* History.use((h) => h.readTo(index(7), { recoveredTerm: undefined }))
        return yield* Stream.runDrain(snapshotRecords())
      }).pipe(Effect.provide(historyOf(damage(snapshotKey(6)))), Effect.flip)
      assert.match(late.message, /^snapshots\/0000000000000000006\.netsy: .* at byte \d+/)
    })
  )
})
