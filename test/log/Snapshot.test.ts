import { assert, describe, it } from "@effect/vitest"
import { cleanup, due, dueAtStop } from "../../src/core/snapshot/rules.ts"

const off = { records: undefined, sizeMib: undefined, ageMinutes: undefined }
const since = {
  last: { index: 100, bytes: 1000, atMillis: 0 },
  index: 150,
  recordBytes: 0,
  chunkBytes: 500,
  nowMillis: 1
}

describe("a snapshot is due", () => {
  it("when a threshold asks and the chunks since the last one hold half of its bytes", () => {
    assert.strictEqual(due({ ...off, records: 50 }, since), "record_count")
    assert.strictEqual(due({ ...off, records: 51 }, since), undefined)
    assert.strictEqual(due({ ...off, records: 50 }, { ...since, chunkBytes: 499 }), undefined)
    assert.strictEqual(due({ ...off, sizeMib: 1 }, { ...since, recordBytes: 1024 * 1024 }), "size")
    assert.strictEqual(due(off, since), undefined)
  })

  it("always for the first one, and when the last one is too old", () => {
    assert.strictEqual(due({ ...off, records: 50 }, { ...since, last: undefined, chunkBytes: 0 }), "record_count")
    assert.strictEqual(due({ ...off, ageMinutes: 5 }, { ...since, last: undefined }), "first_snapshot")
    assert.strictEqual(due({ ...off, ageMinutes: 5 }, { ...since, chunkBytes: 0, nowMillis: 300_000 }), "age")
    assert.strictEqual(due({ ...off, ageMinutes: 5 }, { ...since, nowMillis: 299_999 }), undefined)
  })

  it("at a clean stop when many entries lie behind the last one, unless it is much bigger than they are", () => {
    const first = { last: undefined, index: 600, recordBytes: 1, chunkBytes: 1_000, nowMillis: 0 }
    const last = { index: 50, bytes: 2_000, atMillis: 0 }
    assert.isTrue(dueAtStop(first))
    assert.isFalse(dueAtStop({ ...first, index: 499 }))
    assert.isTrue(dueAtStop({ ...first, last }))
    assert.isFalse(dueAtStop({ ...first, last: { ...last, index: 101 } }))
    assert.isFalse(dueAtStop({ ...first, last: { ...last, bytes: 2_001 } }))
  })

  it("never twice for the same index", () => {
    assert.strictEqual(due({ ...off, records: 0, ageMinutes: 1 }, { ...since, index: 100, nowMillis: 1e9 }), undefined)
  })
})

describe("what may go behind a snapshot", () => {
  const hour = 3_600_000
  const snapshots = [1, 2, 3, 4, 5].map((n) => ({ index: n * 100, atMillis: n * hour }))

  it("is nothing while no snapshot is older than the wanted history", () => {
    assert.deepStrictEqual(cleanup(snapshots, { keep: 3, historyMillis: 24 * hour }, 6 * hour), {
      chunksUpTo: 0,
      snapshots: []
    })
  })

  it("is everything behind the newest snapshot that is older than the history, and never the newest few", () => {
    assert.deepStrictEqual(cleanup(snapshots, { keep: 3, historyMillis: 2 * hour }, 6 * hour), {
      chunksUpTo: 400,
      snapshots: [100, 200]
    })
    assert.deepStrictEqual(cleanup(snapshots, { keep: 1, historyMillis: 2 * hour }, 6 * hour), {
      chunksUpTo: 400,
      snapshots: [100, 200, 300]
    })
  })

  it("is no snapshot before a newer one is 10 minutes old", () => {
    const fresh = [
      { index: 1, atMillis: 0 },
      { index: 2, atMillis: 100 }
    ]
    assert.deepStrictEqual(cleanup(fresh, { keep: 1, historyMillis: 0 }, 200).snapshots, [])
    assert.deepStrictEqual(cleanup(fresh, { keep: 1, historyMillis: 0 }, 600_100).snapshots, [1])
  })
})
