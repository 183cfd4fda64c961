import { assert, describe, it } from "@effect/vitest"
import type { LogRecord } from "../../src/core/log/record.ts"
import { crc32c } from "../../src/core/mvcc/crc32c.ts"
import { HashKv } from "../../src/core/mvcc/hash.ts"
import { MvccStore } from "../../src/core/mvcc/store.ts"
import { evaluateDeleteRange, evaluatePut } from "../../src/core/txn/evaluate.ts"
import { evaluateTxn } from "../../src/core/txn/txn.ts"
import { errors, isEtcdError } from "../../src/core/wire/errors.ts"
import { bytes, contextOf, deleteRequest, put, putRequest, record, txnRequest } from "./requests.ts"

const hash = (store: MvccStore, history: ReadonlyArray<LogRecord>, revision = 0): number => {
  const hasher = HashKv.open(store, revision)
  if (isEtcdError(hasher)) throw new Error(hasher.message)
  hasher.add(history)
  return hasher.digest()
}

/** put a=1, put b=2, delete a, txn{put b=3, put c=4}: revisions 2 to 5. */
const published = () => {
  const store = new MvccStore()
  const history: Array<LogRecord> = []
  const write = (written: { readonly records: ReadonlyArray<LogRecord> } | { readonly _tag: "EtcdError" }) => {
    if (isEtcdError(written)) throw new Error(written.message)
    for (const each of (written as { readonly records: ReadonlyArray<LogRecord> }).records) {
      store.apply(each)
      history.push(each)
    }
  }
  write(evaluatePut(store, putRequest("a", "1"), contextOf(store)))
  write(evaluatePut(store, putRequest("b", "2"), contextOf(store)))
  write(evaluateDeleteRange(store, deleteRequest("a"), contextOf(store)))
  write(evaluateTxn(store, txnRequest([], [put("b", "3"), put("c", "4")]), contextOf(store)))
  store.commit(5)
  return { store, history }
}

describe("HashKV", () => {
  it("is 1084519789 for an empty store, as in real etcd", () => {
    assert.strictEqual(hash(new MvccStore(), []), 1084519789)
  })

  it("is 2762034899 after the published history, as in real etcd", () => {
    const { history, store } = published()
    assert.strictEqual(hash(store, history), 2762034899)
    assert.strictEqual(hash(store, history, 5), 2762034899)
  })

  it("is 3079948312 after compacting that to 4, whether or not the rows are gone from disk", () => {
    const { history, store } = published()
    store.compact(4)
    assert.strictEqual(hash(store, history), 3079948312)
    const left = history.filter(({ key, revision }) => revision >= 4 || (revision === 3 && key[0] === 98))
    assert.strictEqual(hash(store, left), 3079948312)
    const hasher = HashKv.open(store, 0)
    assert.isTrue(hasher instanceof HashKv && hasher.compactRevision === 4 && hasher.revision === 5)
  })

  it("leaves out the tombstone at the compaction revision, also where no key is left, as in real etcd", () => {
    const store = new MvccStore()
    const history: Array<LogRecord> = []
    const write = (written: ReturnType<typeof evaluatePut> | ReturnType<typeof evaluateDeleteRange>) => {
      if (isEtcdError(written)) throw new Error(written.message)
      for (const each of written.records) {
        store.apply(each)
        history.push(each)
      }
      store.commit(store.headRevision)
    }
    write(evaluatePut(store, putRequest("a", "1"), contextOf(store)))
    write(evaluateDeleteRange(store, deleteRequest("a"), contextOf(store)))
    store.compact(3)
    assert.strictEqual(hash(store, history), 1084519789)
    write(evaluatePut(store, putRequest("b", "1"), contextOf(store)))
    write(evaluatePut(store, putRequest("b", "2"), contextOf(store)))
    write(evaluateDeleteRange(store, deleteRequest("b"), contextOf(store)))
    assert.strictEqual(hash(store, history, 4), 3584256279)
    assert.strictEqual(hash(store, history), 182037763)
    store.compact(5)
    assert.strictEqual(hash(store, history), 2300507702)
    write(evaluatePut(store, putRequest("c", "3"), contextOf(store)))
    assert.strictEqual(hash(store, history), 3468456518)
    store.compact(7)
    assert.strictEqual(hash(store, history), 4094172458)
  })

  it("passes over operations, the internal record, and what lies above the asked revision", () => {
    const { history, store } = published()
    const internal = record(1, "_netsy", { created: true, value: bytes("") })
    const op = record(5, "", { op: bytes("x") })
    const later = record(6, "a")
    store.apply(later)
    assert.strictEqual(hash(store, [internal, ...history, op, later]), 2762034899)
    store.commit(6)
    assert.strictEqual(hash(store, [...history, later], 5), 2762034899)
    assert.notStrictEqual(hash(store, [...history, later]), 2762034899)
  })

  it("of a compacted revision is the compacted error, of an uncommitted one the future error", () => {
    const { store } = published()
    assert.strictEqual(HashKv.open(store, 6), errors.futureRevision)
    store.compact(4)
    assert.strictEqual(HashKv.open(store, 3), errors.compacted)
    assert.isFalse(isEtcdError(HashKv.open(store, 4)))
  })

  it("uses CRC-32C, whose check value is e3069283, and can be continued at any byte", () => {
    const digits = bytes("123456789")
    assert.strictEqual(crc32c(digits, 0), 0xe3069283)
    for (let cut = 0; cut <= 9; cut++) {
      assert.strictEqual(crc32c(digits.subarray(cut), crc32c(digits.subarray(0, cut), 0)), 0xe3069283)
    }
  })
})
