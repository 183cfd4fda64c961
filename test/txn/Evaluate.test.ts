import { assert, describe, it } from "@effect/vitest"
import { MvccStore } from "../../src/core/mvcc/store.ts"
import { evaluateDeleteRange, evaluatePut } from "../../src/core/txn/evaluate.ts"
import { evaluateTxn, fillTxn, isReadOnlyTxn, isSerializableTxn, readTxn } from "../../src/core/txn/txn.ts"
import { type EtcdError, errors, isEtcdError } from "../../src/core/wire/errors.ts"
import { CompareResult, CompareTarget, type ResponseOp } from "../../src/core/wire/messages.ts"
import {
  bytes,
  commitAll,
  compare,
  contextOf,
  del,
  deleteRequest,
  doDelete,
  doPut,
  doTxn,
  nested,
  put,
  putRequest,
  range,
  text,
  txnRequest
} from "../mvcc/requests.ts"

const ok = <A>(outcome: A | EtcdError): A => {
  if (isEtcdError(outcome)) throw new Error(outcome.message)
  return outcome
}

const storeWith = (...keys: ReadonlyArray<string>) => {
  const store = new MvccStore()
  for (const key of keys) doPut(store, key, `${key}1`)
  commitAll(store)
  return store
}

const kvsOf = (op: ResponseOp | undefined) => {
  if (op?.kind !== "range") throw new Error("a range was expected")
  return op.range.kvs.map(({ key, value }) => `${text(key)}=${text(value)}`)
}

describe("a put", () => {
  it("H1 P4: the first write of an empty store makes revision 2, create revision 2, version 1", () => {
    const store = new MvccStore()
    assert.strictEqual(store.headRevision, 1)
    const { records, response } = ok(evaluatePut(store, putRequest("a", "1", { lease: 7n }), contextOf(store, [7n])))
    assert.deepStrictEqual(records, [
      {
        index: 2,
        term: 1,
        sub: 0,
        revision: 2,
        key: bytes("a"),
        created: true,
        deleted: false,
        createRevision: 2,
        prevRevision: 0,
        version: 1,
        lease: 7n,
        dek: 0,
        value: bytes("1"),
        createdAt: { seconds: 1, nanos: 0 },
        compactedAt: undefined,
        leaderId: "node-1",
        replicatedAt: undefined,
        op: undefined
      }
    ])
    assert.deepStrictEqual(response, { header: undefined, prevKv: undefined })
  })

  it("P3 P5 P6: replaces value and lease, returns what was there only when asked, and counts even when nothing differs", () => {
    const store = new MvccStore()
    doPut(store, "a", "1", { lease: 7n })
    assert.isUndefined(doPut(store, "a", "1").prevKv)
    const { prevKv } = doPut(store, "a", "1", { prevKv: true })
    assert.deepStrictEqual(prevKv, {
      key: bytes("a"),
      createRevision: 2,
      modRevision: 3,
      version: 2,
      value: bytes("1"),
      lease: 0n
    })
    assert.strictEqual(store.headRevision, 4)
    assert.isUndefined(doPut(store, "b", "", { prevKv: true }).prevKv)
  })

  it("P1: ignore_value keeps the value, ignore_lease the lease; on a missing or deleted key both fail", () => {
    const store = new MvccStore()
    doPut(store, "a", "1", { lease: 7n })
    doPut(store, "a", "", { ignoreValue: true, lease: 2n })
    doPut(store, "a", "2", { ignoreLease: true })
    const version = store.newest("a")!
    assert.deepStrictEqual([text(version.value), version.lease, version.version], ["2", 2n, 3])
    doDelete(store, "a")
    for (const flags of [{ ignoreValue: true }, { ignoreLease: true }]) {
      assert.strictEqual(evaluatePut(store, putRequest("a", "", flags), contextOf(store)), errors.keyNotFound)
    }
  })

  it("P2: an unknown lease is refused, also before a missing key is", () => {
    const store = storeWith("a")
    assert.strictEqual(
      evaluatePut(store, putRequest("a", "", { lease: 9n }), contextOf(store, [7n])),
      errors.leaseNotFound
    )
    const both = putRequest("x", "", { lease: 9n, ignoreValue: true })
    assert.strictEqual(evaluatePut(store, both, contextOf(store)), errors.leaseNotFound)
    assert.strictEqual(store.headRevision, 2)
  })

  it("P4: after a delete a key starts again", () => {
    const store = storeWith("a")
    doPut(store, "a")
    doDelete(store, "a")
    doPut(store, "a", "new", { prevKv: true })
    const { createRevision, version } = store.newest("a")!
    assert.deepStrictEqual([createRevision, version], [5, 1])
  })

  it("sees writes that are not committed yet, and is refused for any other revision than the next", () => {
    const store = storeWith("a")
    doPut(store, "a")
    assert.strictEqual(store.committedRevision, 2)
    assert.strictEqual(doPut(store, "a", "", { prevKv: true }).prevKv?.modRevision, 3)
    assert.throws(
      () => evaluatePut(store, putRequest("a"), { ...contextOf(store), revision: 4 }),
      /evaluation for revision 4/
    )
  })
})

describe("a delete", () => {
  it("D1 D2 H2: takes one revision for all keys, tombstones in key order, with what Netsy 1.x stores in them", () => {
    const store = storeWith("c", "a", "b")
    doPut(store, "b", "b2", { lease: 7n })
    const { records, response } = evaluateDeleteRange(store, deleteRequest("a", "c", true), contextOf(store))
    assert.deepStrictEqual(
      records.map(({ createRevision, created, deleted, key, lease, prevRevision, revision, sub, value, version }) => [
        text(key),
        revision,
        sub,
        created,
        deleted,
        createRevision,
        prevRevision,
        version,
        lease,
        value.length
      ]),
      [
        ["a", 6, 0, false, true, 3, 3, 0, 0n, 0],
        ["b", 6, 1, false, true, 4, 5, 0, 0n, 0]
      ]
    )
    assert.strictEqual(response.deleted, 2)
    assert.deepStrictEqual(
      response.prevKvs.map(({ key, lease, value }) => [text(key), text(value), lease]),
      [
        ["a", "a1", 0n],
        ["b", "b2", 7n]
      ]
    )
  })

  it("D1 H3: of nothing takes no revision", () => {
    const store = storeWith("a")
    const { records, response } = evaluateDeleteRange(store, deleteRequest("b", "\0"), contextOf(store))
    assert.deepStrictEqual(records, [])
    assert.deepStrictEqual(response, { header: undefined, deleted: 0, prevKvs: [] })
    doDelete(store, "a")
    assert.deepStrictEqual(evaluateDeleteRange(store, deleteRequest("a"), contextOf(store)).records, [])
  })
})

describe("a Txn", () => {
  const isAt = (key: string, number: number) =>
    compare(key, CompareTarget.Mod, CompareResult.Equal, { kind: "mod", number })

  it("T8 H6: kube-apiserver's create and update answer one response each, with the nested header's revision", () => {
    const store = new MvccStore()
    const created = doTxn(store, [isAt("a", 0)], [put("a", "1")])
    assert.deepStrictEqual(created, {
      header: undefined,
      succeeded: true,
      responses: [
        { kind: "put", put: { header: { clusterId: 0n, memberId: 0n, revision: 2, raftTerm: 0 }, prevKv: undefined } }
      ]
    })
    const failed = doTxn(store, [isAt("a", 1)], [put("a", "2")], [range("a")])
    assert.isFalse(failed.succeeded)
    assert.deepStrictEqual(kvsOf(failed.responses[0]), ["a=1"])
    assert.strictEqual(store.headRevision, 2)
    const deleted = doTxn(store, [isAt("a", 2)], [del("a")], [range("a")])
    const op = deleted.responses[0]!
    assert.isTrue(op.kind === "deleteRange" && op.deleteRange.deleted === 1 && op.deleteRange.header?.revision === 3)
  })

  it("T2: a missing key is zero in every number, and no value comparison holds for it", () => {
    const store = storeWith("a")
    for (const [target, kind] of [
      [0, "version"],
      [1, "create"],
      [2, "mod"]
    ] as const) {
      for (const [result, wanted] of [
        [CompareResult.Equal, false],
        [CompareResult.Less, true],
        [CompareResult.NotEqual, true]
      ] as const) {
        assert.strictEqual(doTxn(store, [compare("x", target, result, { kind, number: 5 })]).succeeded, wanted)
      }
      assert.isTrue(doTxn(store, [compare("x", target, CompareResult.Equal, undefined)]).succeeded)
    }
    for (const result of Object.values(CompareResult)) {
      const { succeeded } = doTxn(store, [
        compare("x", CompareTarget.Value, result, { kind: "value", value: bytes("") })
      ])
      assert.isFalse(succeeded)
    }
    assert.isTrue(
      doTxn(store, [compare("x", CompareTarget.Lease, CompareResult.Equal, { kind: "lease", lease: 0n })]).succeeded
    )
    assert.isTrue(doTxn(store, []).succeeded)
  })

  it("T1: with a range end it must hold for every key, also beyond the first few hundred", () => {
    const store = new MvccStore()
    doTxn(
      store,
      [],
      Array.from({ length: 100 }, (_, i) => put(`k${String(i).padStart(3, "0")}`))
    )
    for (let i = 100; i < 600; i++) doPut(store, `k${i}`)
    const all = (number: number) =>
      compare("k", CompareTarget.Create, CompareResult.Less, { kind: "create", number }, "l")
    assert.isTrue(doTxn(store, [all(store.headRevision + 1)]).succeeded)
    assert.isFalse(doTxn(store, [all(store.headRevision)]).succeeded)
    assert.isTrue(doTxn(store, [compare("m", CompareTarget.Create, CompareResult.Equal, undefined, "n")]).succeeded)
    assert.isFalse(doTxn(store, [compare("m", CompareTarget.Create, CompareResult.Greater, undefined, "n")]).succeeded)
  })

  it("T6: one bad operation of the taken branch fails all of it, and nothing is written", () => {
    const store = storeWith("a")
    const fails = (op: Parameters<typeof nested>[1], wanted: EtcdError) => {
      for (const ops of [
        [put("b"), ...op!],
        [put("b"), nested([], op)]
      ]) {
        assert.strictEqual(evaluateTxn(store, txnRequest([], ops), contextOf(store)), wanted)
        assert.isTrue(doTxn(store, [isAt("a", 99)], ops).responses.length === 0, "the other branch does not matter")
      }
      assert.strictEqual(store.headRevision, 2)
      assert.isUndefined(store.newest("b"))
    }
    fails([range("a", "", { revision: 3 })], errors.futureRevision)
    fails([put("c", "", { lease: 9n })], errors.leaseNotFound)
    fails([put("c", "", { ignoreValue: true })], errors.keyNotFound)
    // Inside a Txn the key is looked for before the lease; a plain put does it the other way round.
    fails([put("c", "", { ignoreValue: true, lease: 9n })], errors.keyNotFound)
    store.scheduleCompact(2)
    fails([range("a", "", { revision: 1 })], errors.compacted)
  })

  it("T7: an operation sees what earlier ones wrote; the revision to come is not readable by number", () => {
    const store = storeWith("a", "b")
    const { responses } = doTxn(
      store,
      [],
      [range("a", "\0"), put("c", "new"), del("a"), range("a", "\0"), range("a", "\0", { revision: 3 })]
    )
    assert.deepStrictEqual(
      responses.map((op) => (op.kind === "range" ? kvsOf(op) : op.kind)),
      [["a=a1", "b=b1"], "put", "deleteRange", ["b=b1", "c=new"], ["a=a1", "b=b1"]]
    )
    assert.strictEqual(store.headRevision, 4)
  })

  it("T9: a nested compare does not see its parent's put", () => {
    const store = storeWith("a")
    const inner = nested([isAt("a", 2)], [put("b", "old a")], [put("b", "new a")])
    const { responses } = doTxn(store, [], [put("a", "2"), inner, range("b")])
    assert.deepStrictEqual(kvsOf(responses[2]), ["b=old a"])
    const op = responses[1]!
    assert.deepStrictEqual(op.kind === "txn" && op.txn.header, {
      clusterId: 0n,
      memberId: 0n,
      revision: 0,
      raftTerm: 0
    })
  })

  it("a put that rule T4 let through under a delete of its key starts the key anew, or fails alone with nothing written", () => {
    const store = storeWith("a")
    doTxn(store, [], [del("a", "\0"), put("a", "again")])
    assert.deepStrictEqual([store.newest("a")?.version, store.newest("a")?.sub], [1, 1])
    assert.deepStrictEqual(kvsOf(doTxn(store, [], [range("a", "\0")]).responses[0]), ["a=again"])
    const impossible = txnRequest([], [del("a", "\0"), put("a", "", { ignoreValue: true })])
    assert.strictEqual(evaluateTxn(store, impossible, contextOf(store)), errors.keyNotFound)
    assert.strictEqual(text(store.newest("a")?.value), "again")
  })

  it("T7 H3: a Txn of ranges only is a read: at the committed view, without records, serializable when all of it is", () => {
    const store = storeWith("a")
    doPut(store, "a", "uncommitted")
    const request = txnRequest([isAt("a", 2)], [range("a")], [range("b")])
    assert.isTrue(isReadOnlyTxn(request))
    assert.isFalse(isSerializableTxn(request))
    assert.isTrue(isSerializableTxn(txnRequest([], [range("a", "", { serializable: true })])))
    for (const op of [put("a"), del("a"), nested([], [range("a")])])
      assert.isFalse(isReadOnlyTxn(txnRequest([], [], [op])))
    const { readRevision, records, response } = ok(readTxn(store, request, store.committedRevision))
    assert.deepStrictEqual(kvsOf(response.responses[0]), ["a=a1"])
    assert.deepStrictEqual([records.length, readRevision], [0, 2])
  })

  it("a range at an old revision inside a Txn waits for cold values, which complete the response in place", () => {
    const store = storeWith("a", "b")
    doPut(store, "a", "a2")
    doPut(store, "b", "b2")
    commitAll(store)
    const sorted = range("a", "\0", { revision: 3, sortTarget: 4, sortOrder: 2, limit: 1 })
    const ops = [range("a", "\0", { revision: 3 }), put("c"), nested([], [sorted]), range("a", "\0", { revision: 4 })]
    const outcome = ok(evaluateTxn(store, txnRequest([], ops), contextOf(store)))
    assert.deepStrictEqual(
      outcome.cold.map(({ keyString, modRevision }) => [keyString, modRevision]),
      [
        ["a", 2],
        ["b", 3],
        ["a", 2],
        ["b", 3],
        ["b", 3]
      ]
    )
    assert.strictEqual(fillTxn(outcome, [undefined, bytes(""), bytes(""), bytes(""), bytes("")]), errors.compacted)
    const { responses } = ok(fillTxn(outcome, ["A", "B", "A", "B", "B"].map(bytes)))
    assert.deepStrictEqual(kvsOf(responses[0]), ["a=A", "b=B"])
    assert.deepStrictEqual(responses[2]?.kind === "txn" && kvsOf(responses[2].txn.responses[0]), ["b=B"])
    assert.deepStrictEqual(kvsOf(responses[3]), ["a=a2", "b=B"])
    assert.strictEqual(outcome.response.responses, responses)
  })

  it("asks LocalStore for nothing when everything is current", () => {
    const store = storeWith("a")
    assert.deepStrictEqual(ok(evaluateTxn(store, txnRequest([], [put("a"), range("a")]), contextOf(store))).cold, [])
  })
})
