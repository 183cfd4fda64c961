/** The bucket's half of `netsy verify` on buckets laid out and damaged by hand. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { chunkKey } from "../../src/core/datafile/keys.ts"
import { arbiterKey, encodeArbiter, nextTerm } from "../../src/core/election/arbiter.ts"
import { encodeMembers, membersKey } from "../../src/core/election/registry.ts"
import type { LogRecord } from "../../src/core/log/record.ts"
import { exitCode, type Finding } from "../../src/core/verify/findings.ts"
import * as HistoryBucket from "../../src/layers/HistoryBucket.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import { verifyBucket } from "../../src/programs/verify/bucket.ts"
import { replay } from "../../src/programs/verify/history.ts"
import { Progress } from "../../src/programs/verify/progress.ts"
import { History } from "../../src/services/History.ts"
import { entry, record, utf8 } from "../datafile/support.ts"
import { put, storeChunk, storeSnapshot } from "../history/support.ts"

const layerOf = (bucket: MemoryBucket) =>
  HistoryBucket.layer.pipe(Layer.provideMerge(ObjectStoreMemory.layer({ bucket })))

const look = (bucket: MemoryBucket) => verifyBucket(new Progress(), 2, () => {}).pipe(Effect.provide(layerOf(bucket)))

const bad = (findings: ReadonlyArray<Finding>): string =>
  findings
    .filter(({ verdict }) => verdict === "bad")
    .map(({ check, detail }) => `${check}: ${detail}`)
    .join("\n")

const entries = (from: number, to: number, over: Partial<LogRecord> = {}) =>
  Array.from({ length: to - from + 1 }, (_, i) =>
    entry(record({ revision: from + i, ...(from + i === 1 ? { key: utf8("_netsy") } : {}), ...over }))
  )

/** Chunks 1 … 4, 5 … 6 and 7 … 9 of term 1 and the small objects. */
const whole = (term = 1): MemoryBucket => {
  const bucket = new MemoryBucket()
  storeChunk(bucket, entries(1, 4), { term: 1 })
  storeChunk(bucket, entries(5, 6), { term: 1, prevTerm: 1 })
  storeChunk(bucket, entries(7, 9), { term: 1, prevTerm: 1 })
  const first = nextTerm(undefined, { nodeId: "n1", incarnation: "i" }, { highestTerm: term - 1, leaseMillis: 6000 })
  put(bucket, arbiterKey, encodeArbiter(first))
  put(bucket, membersKey, encodeMembers({ clusterId: "c", members: new Map([["n1", 1n]]) }))
  return bucket
}

const flip = (bucket: MemoryBucket, key: string, at: number): void => {
  const body = bucket.get(key)!.body.slice()
  body[at < 0 ? body.length + at : at]! ^= 1
  put(bucket, key, body)
}

describe("netsy verify, of a bucket", () => {
  it.live("finds nothing wrong with a sound one, nor with an empty one", () =>
    Effect.gen(function* () {
      const { findings, floor, lastRevision, leftOver } = yield* look(whole())
      assert.strictEqual(bad(findings), "")
      assert.deepStrictEqual([lastRevision, floor, leftOver.length], [9, 0, 0])
      assert.strictEqual(exitCode((yield* look(new MemoryBucket())).findings), 0)
    })
  )

  it.live("finds a flipped bit anywhere in any object, and names the object and the byte", () =>
    Effect.gen(function* () {
      const { body } = whole().get(chunkKey(6))!
      for (let at = 1; at < body.length; at += 3) {
        const bucket = whole()
        flip(bucket, chunkKey(6), at)
        const { findings } = yield* look(bucket)
        assert.match(
          bad(findings),
          /every object is readable: 1 of 3 are not, first chunks\/0006\/.* at byte \d+/,
          `${at}`
        )
      }
    })
  )

  it.live("finds a flipped bit in an object that no reader needs", () =>
    Effect.gen(function* () {
      const bucket = whole()
      const keys = [{ revision: 2 }, { revision: 4 }].map((over) => record({ ...over }))
      storeSnapshot(bucket, [...keys, ...[5, 6].map((revision) => record({ revision }))], {
        ...{ term: 1, lastIndex: 6, lastTerm: 1, revision: 6, floor: 4 }
      })
      const before = yield* look(bucket)
      assert.strictEqual(bad(before.findings), "")
      assert.deepStrictEqual(
        before.leftOver.map(({ key, reason }) => `${key} ${reason}`),
        [`${chunkKey(4)} behind the snapshot`, `${chunkKey(6)} behind the snapshot`]
      )
      flip(bucket, chunkKey(4), -2)
      assert.match(bad((yield* look(bucket)).findings), /1 of 4 are not, first chunks\/0004\//)
    })
  )

  it.live("names the index that a missing chunk leaves out", () =>
    Effect.gen(function* () {
      const bucket = whole()
      bucket.delete(chunkKey(6))
      assert.match(bad((yield* look(bucket)).findings), /a reader finds the history: .*no object holds index 6/)
    })
  )

  it.live("follows the higher of two branches and names the objects of the other", () =>
    Effect.gen(function* () {
      const bucket = whole(2)
      // Term 2 never saw 7 … 9 of term 1.
      storeChunk(bucket, entries(7, 8, { term: 2 }), { term: 2, prevTerm: 1 })
      const { findings, lastRevision, leftOver } = yield* look(bucket)
      assert.strictEqual(bad(findings), "")
      assert.strictEqual(lastRevision, 8)
      assert.deepStrictEqual(leftOver, [{ key: chunkKey(9), reason: "of a lost reign, term 1" }])
    })
  )

  it.live("names a write that landed without its predecessor", () =>
    Effect.gen(function* () {
      const bucket = whole()
      storeChunk(bucket, entries(12, 13), { term: 1, prevTerm: 1, stored: 9 })
      const { findings, leftOver } = yield* look(bucket)
      assert.strictEqual(bad(findings), "")
      assert.deepStrictEqual(leftOver, [
        { key: chunkKey(13), reason: "a write of term 1 that landed without index 11" }
      ])
    })
  )

  it.live("compares headers with what they stand in front of and with the arbiter", () =>
    Effect.gen(function* () {
      const stored = whole()
      storeChunk(stored, entries(10, 11), { term: 1, prevTerm: 1, stored: 10 })
      assert.match(bad((yield* look(stored)).findings), /chunks\/0011\/.*stored 10 is not below its own first index 10/)
      const late = whole()
      storeChunk(late, entries(10, 11, { term: 3 }), { term: 3, prevTerm: 1 })
      assert.match(bad((yield* look(late)).findings), /chunks\/0011\/.* is of term 3, the arbiter of 1/)
    })
  )

  it.live("shows where revisions are not dense", () =>
    Effect.gen(function* () {
      const bucket = whole()
      storeChunk(bucket, [entry(record({ index: 10, revision: 11 }))], { term: 1, prevTerm: 1 })
      assert.match(bad((yield* look(bucket)).findings), /revision 11 at index 10 comes where 10 should/)
    })
  )

  it.live("replays the same contents from chunks alone and from a snapshot", () =>
    Effect.gen(function* () {
      const alone = whole()
      const withSnapshot = whole()
      storeSnapshot(
        withSnapshot,
        [2, 3, 4, 5, 6].map((revision) => record({ revision })),
        {
          ...{ term: 1, lastIndex: 6, lastTerm: 1, revision: 6 }
        }
      )
      const results = yield* Effect.forEach([alone, withSnapshot], (bucket) =>
        Effect.gen(function* () {
          const { contents, hash } = yield* replay(yield* (yield* History).read({ recoveredTerm: "unknown" }), 8, -1)
          return { hash, keys: contents.keys, digest: contents.digest }
        }).pipe(Effect.provide(layerOf(bucket)))
      )
      assert.deepStrictEqual(results[0], results[1])
      assert.strictEqual(results[0]!.keys, 7)
    })
  )
})
