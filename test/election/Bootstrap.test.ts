import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { snapshotKey } from "../../src/core/datafile/keys.ts"
import { membersKey } from "../../src/core/election/registry.ts"
import type { LogRecord } from "../../src/core/log/record.ts"
import { bootstrapKey, promoteBootstrap } from "../../src/layers/elector/bootstrap.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import { Log } from "../../src/services/Log.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { record, utf8 } from "../datafile/support.ts"
import { storeSnapshot } from "../history/support.ts"

const seedOf = (count: number, change: (records: Array<LogRecord>) => void = () => {}): MemoryBucket => {
  const made = new MemoryBucket()
  const records = Array.from({ length: count }, (_, i) =>
    i === 0
      ? record({ revision: 1, term: 0, key: utf8("_netsy"), value: utf8("anything") })
      : record({ revision: i + 1, term: 0, key: utf8(`key-${i}`) })
  )
  change(records)
  storeSnapshot(made, records, { term: 0, lastIndex: count, lastTerm: 0, revision: count })
  const bucket = new MemoryBucket()
  bucket.put(bootstrapKey, made.get(snapshotKey(count))!.body, undefined, 0)
  return bucket
}

const promote = (bucket: MemoryBucket) =>
  Effect.gen(function* () {
    yield* promoteBootstrap(yield* ObjectStore, yield* Log)
  }).pipe(Effect.provide([ObjectStoreMemory.layer({ bucket }), LogMemory.layer()]))

const refused = (bucket: MemoryBucket, words: RegExp) =>
  Effect.gen(function* () {
    const before = bucket.list({ prefix: "" }).objects.length
    const error = yield* Effect.flip(promote(bucket))
    assert.strictEqual(error._tag, "ElectionImpossible")
    assert.match(error.message, words)
    assert.strictEqual(bucket.list({ prefix: "" }).objects.length, before, "nothing was written")
  })

describe("bootstrap.netsy", () => {
  it.effect("becomes the snapshot of an empty bucket, byte for byte, and doing so again changes nothing", () =>
    Effect.gen(function* () {
      const bucket = seedOf(5)
      yield* promote(bucket)
      const there = bucket.get(snapshotKey(5))!
      assert.deepStrictEqual(there.body, bucket.get(bootstrapKey)!.body)
      yield* promote(bucket)
      assert.strictEqual(bucket.get(snapshotKey(5))!.etag, there.etag)
    })
  )

  it.effect("is not looked at in a bucket that has `members.json`, nor missed where it is absent", () =>
    Effect.gen(function* () {
      const bucket = seedOf(5)
      bucket.put(membersKey, utf8("{}"), undefined, 0)
      yield* promote(bucket)
      assert.isUndefined(bucket.get(snapshotKey(5)))
      yield* promote(new MemoryBucket())
    })
  )

  it.effect("is refused where there is data already", () =>
    Effect.gen(function* () {
      for (const key of ["chunks/0001/0000000000000000001.netsy", snapshotKey(4)]) {
        const bucket = seedOf(5)
        bucket.put(key, utf8("data"), undefined, 0)
        yield* refused(bucket, /holds data already/)
      }
      const other = seedOf(5)
      other.put(snapshotKey(5), utf8("data"), undefined, 0)
      yield* refused(other, /already exists with other contents/)
    })
  )

  it.effect("is refused when it is damaged or does not begin with `_netsy` at revision 1", () =>
    Effect.gen(function* () {
      yield* refused(
        seedOf(3, (records) => {
          records[0] = record({ revision: 1, term: 0, key: utf8("other") })
        }),
        /first record is not/
      )
      const damaged = seedOf(3)
      const body = damaged.get(bootstrapKey)!.body.slice()
      body[body.length - 3]! ^= 1
      damaged.put(bootstrapKey, body, undefined, 0)
      yield* refused(damaged, /bootstrap\.netsy/)
      const cut = seedOf(3)
      cut.put(bootstrapKey, cut.get(bootstrapKey)!.body.slice(0, -10), undefined, 0)
      yield* refused(cut, /bootstrap\.netsy/)
    })
  )
})
