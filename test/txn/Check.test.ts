import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { checkDeleteRange, checkPut, checkRange, checkTxn } from "../../src/core/txn/check.ts"
import { IntervalSet } from "../../src/core/txn/intervalSet.ts"
import { errors } from "../../src/core/wire/errors.ts"
import type { RequestOp } from "../../src/core/wire/messages.ts"
import {
  bytes,
  compare,
  del,
  deleteRequest,
  nested,
  put,
  putRequest,
  range,
  rangeRequest,
  txnRequest
} from "../mvcc/requests.ts"

const limits = { maxTxnOps: 128 }
const check = (...args: Parameters<typeof txnRequest>) => checkTxn(txnRequest(...args), limits)
const times = <A>(count: number, make: (i: number) => A) => Array.from({ length: count }, (_, i) => make(i))
const anyCompare = compare("a", 0, 0, undefined)

describe("what is refused by looking at a request alone", () => {
  it("R1: a range needs a key and sort options that exist", () => {
    assert.strictEqual(checkRange(rangeRequest("")), errors.emptyKey)
    assert.strictEqual(checkRange(rangeRequest("", "", { sortOrder: 9 })), errors.emptyKey)
    for (const sortOrder of [-1, 3]) {
      assert.strictEqual(checkRange(rangeRequest("a", "", { sortOrder })), errors.invalidSortOption)
    }
    for (const sortTarget of [-1, 5]) {
      assert.strictEqual(checkRange(rangeRequest("a", "", { sortTarget })), errors.invalidSortOption)
    }
    for (let sortTarget = 0; sortTarget <= 4; sortTarget++) {
      for (let sortOrder = 0; sortOrder <= 2; sortOrder++) {
        assert.isUndefined(checkRange(rangeRequest("a", "b", { sortOrder, sortTarget })))
      }
    }
  })

  it("P1: a put needs a key, and no value or lease beside the flag that ignores it", () => {
    assert.strictEqual(checkPut(putRequest("", "v", { ignoreValue: true })), errors.emptyKey)
    assert.strictEqual(checkPut(putRequest("a", "v", { ignoreValue: true })), errors.valueProvided)
    assert.strictEqual(checkPut(putRequest("a", "", { ignoreLease: true, lease: 1n })), errors.leaseProvided)
    assert.isUndefined(checkPut(putRequest("a", "", { ignoreValue: true, ignoreLease: true })))
  })

  it("a delete needs a key", () => {
    assert.strictEqual(checkDeleteRange(deleteRequest("", "\0")), errors.emptyKey)
    assert.isUndefined(checkDeleteRange(deleteRequest("a", "\0")))
  })

  it("T3: the longest of compares, success and failure may have 128 members", () => {
    const ops = (count: number) => times(count, (i) => put(`k${i}`))
    assert.isUndefined(
      check(
        times(128, () => anyCompare),
        ops(128),
        ops(128)
      )
    )
    assert.strictEqual(check(times(129, () => anyCompare)), errors.tooManyOps)
    assert.strictEqual(check([], ops(129)), errors.tooManyOps)
    assert.strictEqual(check([], [], ops(129)), errors.tooManyOps)
  })

  it("T3: a nested Txn gets what the longest list of its parent leaves", () => {
    const inner = (count: number) =>
      nested(
        [],
        times(count, (i) => put(`k${i}`))
      )
    assert.isUndefined(check([], [inner(127)]))
    assert.strictEqual(check([], [inner(128)]), errors.tooManyOps)
    assert.isUndefined(
      check(
        times(100, () => anyCompare),
        [inner(28)]
      )
    )
    assert.strictEqual(
      check(
        times(100, () => anyCompare),
        [inner(29)]
      ),
      errors.tooManyOps
    )
    assert.strictEqual(
      check(
        [],
        times(64, () => nested([], [inner(64)]))
      ),
      errors.tooManyOps
    )
    assert.isUndefined(check([], [nested([], [inner(126)])]))
  })

  it("T5: an operation with nothing set is a key that is not found; empty keys are named", () => {
    assert.strictEqual(check([], [{ kind: "none" }]), errors.keyNotFound)
    assert.strictEqual(check([], [], [nested([], [{ kind: "none" }])]), errors.keyNotFound)
    for (const op of [range(""), put(""), del(""), nested([compare("", 0, 0, undefined)])]) {
      assert.strictEqual(check([], [op]), errors.emptyKey)
      assert.strictEqual(check([], [], [op]), errors.emptyKey)
    }
    assert.strictEqual(check([compare("", 0, 0, undefined)], [{ kind: "none" }]), errors.emptyKey)
    assert.strictEqual(check([], [range("a", "", { sortOrder: 7 })]), errors.invalidSortOption)
    assert.strictEqual(check([], [put("a", "v", { ignoreValue: true })]), errors.valueProvided)
  })

  it("the first mistake in etcd's order is the one reported", () => {
    const conflict = [put("a"), put("a")]
    assert.strictEqual(
      check(
        times(129, () => compare("", 0, 0, undefined)),
        conflict
      ),
      errors.tooManyOps
    )
    assert.strictEqual(check([], [...conflict, put("")]), errors.emptyKey, "conflicts come last")
    assert.strictEqual(check([], conflict, [{ kind: "none" }]), errors.keyNotFound, "after both branches")
    assert.strictEqual(
      check(
        [],
        [{ kind: "none" }],
        times(129, () => put("a"))
      ),
      errors.tooManyOps
    )
  })

  const conflicts: ReadonlyArray<readonly [string, ReadonlyArray<RequestOp>]> = [
    ["two puts of a key", [put("a"), range("a"), put("a")]],
    ["a put behind a delete of its key", [del("a"), put("a")]],
    ["a put before a delete of its key", [put("a"), del("a")]],
    ["a put inside a deleted interval", [del("a", "c"), put("b")]],
    ["a put and a nested put", [put("a"), nested([], [put("a")])]],
    ["a put and a put in a nested else branch", [nested([], [], [put("a")]), put("a")]],
    ["two nested puts", [nested([], [put("a")]), nested([], [], [put("a")])]],
    ["a nested put in an interval deleted by the parent", [nested([], [put("b")]), del("a", "c")]],
    ["a put in an interval deleted by a nested Txn", [put("b"), nested([], [del("a", "c")])]],
    [
      "a nested put in an interval deleted by an earlier nested Txn",
      [nested([], [del("a", "c")]), nested([], [put("b")])]
    ],
    ["puts two levels deep", [nested([], [nested([], [put("a")])]), put("a")]]
  ]
  for (const [what, ops] of conflicts) {
    it(`T4: ${what} is refused in either branch`, () => {
      assert.strictEqual(check([], ops), errors.duplicateKey)
      assert.strictEqual(check([], [], ops), errors.duplicateKey)
    })
  }

  const allowed: ReadonlyArray<readonly [string, ReadonlyArray<RequestOp>]> = [
    ["deletes that overlap", [del("a", "c"), del("b", "d"), del("a")]],
    ["ranges over anything", [range("a", "\0"), put("a"), range("a", "z"), del("b")]],
    ["a key in both branches of a nested Txn", [nested([], [put("a")], [put("a"), del("b")])]],
    ["a put at the end of a deleted interval", [del("a", "c"), put("c")]],
    ["a put beside a deleted key", [del("a"), put("a\0")]],
    ["a put under a delete whose end is not above its start", [del("b", "a"), put("b")]],
    ["a put under a delete to the end of the key space (quirk)", [del("a", "\0"), put("b")]],
    ["a nested put under a delete of a later nested Txn (quirk)", [nested([], [put("b")]), nested([], [del("a", "c")])]]
  ]
  for (const [what, ops] of allowed) {
    it(`T4: ${what} is allowed`, () => {
      assert.isUndefined(check([], ops, ops))
    })
  }

  it("T4: the success and failure branch may put the same key", () => {
    assert.isUndefined(check([], [put("a"), put("b")], [put("a"), del("b")]))
  })

  it("T4: tens of thousands of puts and deletes in nested Txns are checked without comparing each with each", () => {
    const deletes = (n: number) =>
      nested(
        [],
        times(40, (i) =>
          nested(
            [],
            times(40, (j) => del(`d${n}.${i}.${j}.`, `d${n}.${i}.${j}.9`))
          )
        )
      )
    const puts = (n: number) =>
      nested(
        [],
        times(40, (i) =>
          nested(
            [],
            times(40, (j) => put(`p${n}.${i}.${j}`))
          )
        )
      )
    const request = txnRequest(
      [],
      times(20, (n) => (n % 2 ? puts(n) : deletes(n)))
    )
    const start = process.cpuUsage().user
    assert.isUndefined(checkTxn(request, limits))
    assert.isBelow((process.cpuUsage().user - start) / 1000, 5000, "milliseconds of processor time")
  })
})

describe("IntervalSet", () => {
  const Letter = Schema.Literals(["a", "a\0", "b", "c", "d", "e", "\xff"])

  it.prop(
    "holds a key exactly when one of the intervals does, in whatever order they came",
    [Arbitrary.array(Arbitrary.schema(Schema.Struct({ start: Letter, end: Letter })), { maxLength: 12 })],
    ([intervals]) => {
      const set = new IntervalSet()
      const other = new IntervalSet()
      for (const [i, { end, start }] of intervals.entries()) {
        ;(i % 2 ? set : other).add(start, end)
      }
      set.addAll(other)
      for (const key of ["\0", "a", "a\0", "a\0\0", "b", "bb", "c", "d", "e", "\xff", "\xff\xff"]) {
        const wanted = intervals.some(({ end, start }) => key >= start && key < end)
        assert.strictEqual(set.has(key), wanted, JSON.stringify(key))
      }
    },
    { arbitrary: { runs: 500, seed: "intervals" } }
  )

  it("treats bytes, not characters, as the unit of order", () => {
    const set = new IntervalSet()
    set.add(Buffer.from(bytes("\x7f")).toString("latin1"), "\xff")
    assert.isTrue(set.has("\xc3\xa9"))
    assert.isFalse(set.has("\x7e\xff"))
  })
})
