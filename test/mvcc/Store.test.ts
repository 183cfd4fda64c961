import { assert, describe, it } from "@effect/vitest"
import { checkCompact } from "../../src/core/mvcc/compact.ts"
import { RangeCursor } from "../../src/core/mvcc/cursor.ts"
import { fillCold, type RangeOutcome, rangeResponse } from "../../src/core/mvcc/range.ts"
import { MvccStore } from "../../src/core/mvcc/store.ts"
import { type EtcdError, errors, isEtcdError } from "../../src/core/wire/errors.ts"
import { bytes, commitAll, doDelete, doPut, doTxn, put, rangeRequest, record, text } from "./requests.ts"

const ok = <A>(outcome: A | EtcdError): A => {
  if (isEtcdError(outcome)) throw new Error(outcome.message)
  return outcome
}
const keysOf = (outcome: RangeOutcome | EtcdError) => ok(outcome).versions.map(({ keyString }) => keyString)
const everything = (more: Parameters<typeof rangeRequest>[2] = {}) => rangeRequest("\0", "\0", more)

describe("MvccStore", () => {
  it("H1: an empty store is at revision 1, holds nothing, and takes revision 2 next", () => {
    const store = new MvccStore()
    assert.deepStrictEqual(
      [store.headRevision, store.committedRevision, store.floor, store.compactRevision],
      [1, 1, 0, -1]
    )
    assert.deepStrictEqual(keysOf(store.range(everything(), 1)), [])
    assert.throws(() => store.apply(record(3, "a")), /record \(3, 0\) at index 3 follows \(1,/)
    store.apply(record(2, "a"))
    assert.strictEqual(store.headRevision, 2)
  })

  it("the internal first record and operations are outside: no key, no revision; a client may use the key", () => {
    const store = new MvccStore()
    store.apply(record(1, "_netsy", { created: true, value: bytes("") }))
    store.apply(record(1, "", { op: bytes("no-op"), index: 2 }))
    assert.deepStrictEqual([store.headRevision, store.stats.keys], [1, 0])
    doPut(store, "_netsy", "mine")
    commitAll(store)
    assert.deepStrictEqual(keysOf(store.range(everything(), 2)), ["_netsy"])
    store.apply(record(2, "", { op: bytes("lease"), index: 4 }))
    assert.throws(() => store.apply(record(3, "", { op: bytes("lease"), index: 5 })), /operation 5 is at revision 3/)
  })

  it("takes a history of Netsy 1.x whose first client write has revision 1", () => {
    const store = new MvccStore()
    store.apply(record(1, "a", { created: true }))
    store.apply(record(2, "b", { created: true }))
    commitAll(store)
    assert.deepStrictEqual(keysOf(store.range(everything(), 2)), ["a", "b"])
    assert.deepStrictEqual(keysOf(store.range(everything({ revision: 1 }), 2)), ["a"])
  })

  it("refuses records out of order: a gap, a repetition, a sub that does not follow, more of a finished revision", () => {
    const store = new MvccStore()
    store.apply(record(2, "a"))
    for (const [revision, sub] of [
      [4, 0],
      [2, 0],
      [2, 2],
      [3, 1],
      [1, 0]
    ] as const) {
      assert.throws(() => store.apply(record(revision, "b", { sub })), /follows \(2, 0\)/)
    }
    store.apply(record(2, "b", { sub: 1 }))
    store.commit(2)
    assert.throws(() => store.apply(record(2, "c", { sub: 2 })), /follows/)
    assert.throws(() => store.commit(3), /commit of revision 3, the store is at 2/)
    store.commit(1)
    assert.strictEqual(store.committedRevision, 2, "the committed view does not move back")
  })

  it("a rollback never goes below the committed revision, and forgets compactions that were not committed", () => {
    const store = new MvccStore()
    for (const key of ["a", "b", "c"]) doPut(store, key)
    store.commit(3)
    store.scheduleCompact(4)
    assert.strictEqual(checkCompact(store, 4), errors.compacted)
    assert.throws(() => store.rollbackTo(2), /rollback to revision 2, committed is 3/)
    store.rollbackTo(3)
    assert.deepStrictEqual([store.headRevision, store.stats.keys], [3, 2])
    assert.isUndefined(checkCompact(store, 3))
    doPut(store, "c", "again")
    assert.strictEqual(store.newest("c")?.modRevision, 4)
  })

  it("C1: compacts up to the current revision, forwards only; 0 once on a store that never was, below 0 never", () => {
    const store = new MvccStore()
    assert.strictEqual(checkCompact(store, -1), errors.compacted)
    assert.strictEqual(checkCompact(store, -5), errors.compacted)
    assert.isUndefined(checkCompact(store, 0))
    store.compact(0)
    assert.strictEqual(checkCompact(store, 0), errors.compacted)
    doPut(store, "a")
    assert.strictEqual(checkCompact(store, 3), errors.futureRevision)
    assert.isUndefined(checkCompact(store, 2))
    assert.throws(() => store.compact(2), /floor 2, committed is 1/)
    commitAll(store)
    store.compact(2)
    assert.strictEqual(checkCompact(store, 2), errors.compacted)
    assert.strictEqual(store.floor, 2)
  })

  it("C2 R3: at the floor everything is still readable, below it nothing; a tombstone at the floor stays one compaction", () => {
    const store = new MvccStore()
    doPut(store, "a")
    doPut(store, "b")
    doDelete(store, "a")
    doPut(store, "b")
    commitAll(store)
    store.compact(4)
    assert.strictEqual(store.range(everything({ revision: 3 }), 5), errors.compacted)
    assert.deepStrictEqual(keysOf(store.range(everything({ revision: 4 }), 5)), ["b"])
    assert.isTrue(store.newest("a")?.deleted)
    store.compact(5)
    assert.isUndefined(store.newest("a"))
    assert.deepStrictEqual([store.stats.keys, store.stats.versions], [1, 1])
  })

  it("R5: no order with another target than the key sorts only what is collected behind the limit", () => {
    const store = new MvccStore()
    for (const key of ["c", "b", "a"]) doPut(store, key)
    commitAll(store)
    const byMod = { sortTarget: 3, limit: 1 }
    assert.deepStrictEqual(keysOf(store.range(everything(byMod), 4)), ["b"], "of a and b, b is older")
    assert.deepStrictEqual(keysOf(store.range(everything({ ...byMod, sortOrder: 1 }), 4)), ["c"])
    assert.isTrue(ok(store.range(everything(byMod), 4)).more)
  })

  it("R8: keys_only leaves out values, and leases too unless sorted by value", () => {
    const store = new MvccStore()
    doPut(store, "a", "1", { lease: 7n })
    doPut(store, "a", "2", { lease: 7n })
    commitAll(store)
    const ask = (sortTarget: number) => {
      const outcome = ok(store.range(everything({ revision: 2, keysOnly: true, sortTarget }), 3))
      const filled = ok(
        fillCold(
          outcome,
          outcome.cold.map(() => bytes("1"))
        )
      )
      return [
        outcome.cold.length,
        ...rangeResponse(filled, undefined).kvs.map(({ lease, value }) => `${lease} ${text(value)}`)
      ]
    }
    assert.deepStrictEqual(ask(0), [0, "0 "])
    assert.deepStrictEqual(ask(4), [1, "7 "])
  })

  it("R12: a cursor stays at its revision while keys come, change and go, and ends when a compaction overtakes it", () => {
    const store = new MvccStore()
    for (const key of ["a", "b", "c", "d"]) doPut(store, key)
    commitAll(store)
    const cursor = ok(store.rangeCursor(everything({ limit: 3 }), 5))
    if (!(cursor instanceof RangeCursor)) throw new Error("a cursor was expected")
    const take = () => ok(cursor.next(1)).map(({ keyString, modRevision }) => `${keyString}@${modRevision}`)
    assert.deepStrictEqual(take(), ["a@2"])
    doTxn(store, [], [put("aa"), put("b"), put("bb")])
    doDelete(store, "c")
    commitAll(store)
    store.compact(5)
    assert.deepStrictEqual(take(), ["b@3"])
    assert.deepStrictEqual([cursor.done, cursor.more, cursor.count], [false, true, 4])
    store.compact(6)
    assert.strictEqual(cursor.next(1), errors.compacted)
  })

  it("R7: the count of an old revision is exact when more keys came and went since than are remembered", () => {
    const store = new MvccStore()
    for (let i = 0; i < 100; i++) doPut(store, `k${i}`)
    commitAll(store)
    for (let round = 0; round < 700; round++) {
      doTxn(
        store,
        [],
        Array.from({ length: 100 }, (_, i) => put(`x${round % 2}.${i}`))
      )
      doDelete(store, "x", "y")
    }
    commitAll(store)
    for (const revision of [50, 101, 102, 103, 1000, store.headRevision - 3, store.headRevision]) {
      const countOf = (rangeEnd: string) =>
        ok(store.range(rangeRequest("k", rangeEnd, { countOnly: true, revision }), store.headRevision)).count
      assert.strictEqual(countOf("l"), Math.min(revision - 1, 100))
      assert.strictEqual(countOf("\0"), Math.min(revision - 1, 100) + (revision > 101 && revision % 2 === 0 ? 100 : 0))
    }
  })

  it("a bulk load with a floor keeps what readers at or above it can see", () => {
    const store = new MvccStore()
    store.load([
      record(1, "_netsy", { created: true, value: bytes("") }),
      record(2, "a"),
      record(3, "b"),
      record(4, "a", { createRevision: 2, version: 2 }),
      record(6, "b", { deleted: true, version: 0, createRevision: 3, value: bytes("") })
    ])
    store.load([record(6, "c", { sub: 1 }), record(9, "a", { createRevision: 2, version: 3 })])
    store.loaded(10, 5)
    assert.deepStrictEqual([store.headRevision, store.committedRevision, store.floor], [10, 10, 5])
    assert.deepStrictEqual(keysOf(store.range(everything({ revision: 5 }), 10)), ["a", "b"])
    assert.deepStrictEqual(keysOf(store.range(everything(), 10)), ["a", "c"])
    assert.deepStrictEqual([store.stats.versions, store.stats.valueBytes], [5, 6])
    assert.throws(() => store.load([record(9, "z")]), /loaded record \(9, 0\) follows \(10,/)
    doPut(store, "d")
    assert.strictEqual(store.headRevision, 11)
  })

  it("does not keep the buffer in which a value came", () => {
    const store = new MvccStore()
    const packet = bytes("....value....")
    store.apply(record(2, "a", { value: packet.subarray(4, 9) }))
    packet.fill(0)
    assert.strictEqual(text(store.newest("a")?.value), "value")
  })
})

describe("memory for values", () => {
  it("what is held stays below twice what is alive when one value in a hundred is kept for long", () => {
    const store = new MvccStore()
    const value = "x".repeat(500)
    for (let i = 0; i < 40_000; i++) {
      doPut(store, i % 100 === 0 ? `kept${i}` : "hot", value)
      if (i % 50 === 0) commitAll(store)
    }
    commitAll(store)
    const { heldBytes, valueBytes } = store.stats
    assert.strictEqual(valueBytes, 401 * 500)
    assert.isBelow(heldBytes, 2 * valueBytes + 2 * 65536)
    for (let i = 0; i < 40_000; i += 100) assert.strictEqual(text(store.newest(`kept${i}`)?.value), value)
  })

  it("an uncommitted value survives being moved, and a rollback brings the one before it back", () => {
    const store = new MvccStore()
    doPut(store, "a", "first".padEnd(400, "."))
    for (let i = 0; i < 160; i++) doPut(store, "hot", `hot${i}`.padEnd(400, "."))
    commitAll(store)
    const committed = store.headRevision
    doPut(store, "a", "second".padEnd(400, "."))
    for (let i = 0; i < 400; i++) doPut(store, `hot${i & 1}`, "h".repeat(400))
    store.commit(committed + 200)
    assert.match(text(store.newest("a")?.value), /^second/)
    store.commit(committed + 300)
    store.rollbackTo(committed + 300)
    assert.match(text(store.liveAt("a", store.headRevision)?.value), /^second/)
    const another = new MvccStore()
    doPut(another, "a", "first")
    commitAll(another)
    doPut(another, "a", "second")
    another.rollbackTo(2)
    assert.strictEqual(text(another.newest("a")?.value), "first")
  })

  it("large values are held one by one", () => {
    const store = new MvccStore()
    doPut(store, "a", "x".repeat(100_000))
    assert.deepStrictEqual([store.stats.valueBytes, store.stats.heldBytes], [100_000, 100_000])
    doPut(store, "a", "")
    commitAll(store)
    assert.deepStrictEqual([store.stats.valueBytes, store.stats.heldBytes], [0, 0])
  })
})
