import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { LogRecord } from "../../src/core/log/record.ts"
import { RangeCursor } from "../../src/core/mvcc/cursor.ts"
import { coldOf, fillCold, keyValue, rangeResponse } from "../../src/core/mvcc/range.ts"
import { MvccStore } from "../../src/core/mvcc/store.ts"
import type { Version } from "../../src/core/mvcc/version.ts"
import { evaluateDeleteRange, evaluatePut } from "../../src/core/txn/evaluate.ts"
import { evaluateTxn } from "../../src/core/txn/txn.ts"
import { type EtcdError, isEtcdError } from "../../src/core/wire/errors.ts"
import type { KeyValue, RangeRequest } from "../../src/core/wire/messages.ts"
import { Model, modelRange, rowOf, seen } from "./model.ts"
import { bytes, contextOf, del, deleteRequest, put, putRequest, rangeRequest, text, txnRequest } from "./requests.ts"

const keys = ["a", "a\0", "a\0\xff", "aa", "ab", "b", "\0", "\0\0", "\xff", "\xff\xff"] as const
const Key = Schema.Literals(keys)
const End = Schema.Literals(["", "\0", ...keys, "c", "\xff\0"])
const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Range = Schema.Struct({
  key: Key,
  end: End,
  limit: small(4),
  back: small(12),
  sortOrder: small(2),
  sortTarget: small(4),
  keysOnly: Schema.Boolean,
  countOnly: Schema.Boolean,
  bounds: Schema.Struct({ which: small(9), from: small(12) }),
  atHead: Schema.Boolean,
  slice: small(3)
})

const Step = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("put"), key: Key, value: small(3), lease: small(1) }),
  Schema.Struct({ kind: Schema.Literal("put"), key: Key, value: small(3), lease: small(1) }),
  Schema.Struct({ kind: Schema.Literal("delete"), key: Key, end: End }),
  Schema.Struct({ kind: Schema.Literal("txn"), key: Key, end: End, other: Key }),
  Schema.Struct({ kind: Schema.Literal("commit"), behind: small(2) }),
  Schema.Struct({ kind: Schema.Literal("rollback"), behind: small(2) }),
  Schema.Struct({ kind: Schema.Literal("compact"), behind: small(4), steps: small(3) }),
  Schema.Struct({ kind: Schema.Literal("reload") })
])

type Step = typeof Step.Type
type Range = typeof Range.Type

interface World {
  store: MvccStore
  readonly model: Model
  /** Everything ever applied and not rolled back, as the disk has it. */
  records: Array<LogRecord>
}

const write = (world: World, outcome: { readonly records: ReadonlyArray<LogRecord> } | EtcdError) => {
  if (isEtcdError(outcome)) throw new Error(outcome.message)
  for (const record of outcome.records) {
    world.store.apply(record)
    world.records.push(record)
    world.model.rows.push(rowOf(record))
    world.model.head = record.revision
  }
}

const run = (world: World, step: Step) => {
  const { model, store } = world
  const context = contextOf(store, [1n])
  switch (step.kind) {
    case "put":
      return write(
        world,
        evaluatePut(store, putRequest(step.key, `v${step.value}`, { lease: BigInt(step.lease) }), context)
      )
    case "delete":
      return write(world, evaluateDeleteRange(store, deleteRequest(step.key, step.end), context))
    case "txn": {
      // A delete behind a put, also of the key that was just put: two versions of it in one revision.
      const ops = [put(step.other, "in txn"), del(step.key, step.end)]
      return write(world, evaluateTxn(store, txnRequest([], ops), context))
    }
    case "commit":
      model.committed = Math.max(model.committed, model.head - step.behind)
      return store.commit(model.committed)
    case "rollback": {
      const to = Math.max(model.committed, model.head - step.behind)
      model.rows = model.rows.filter((row) => row.mod <= to)
      world.records = world.records.filter((record) => record.revision <= to)
      model.head = to
      return store.rollbackTo(to)
    }
    case "compact": {
      const to = model.committed - step.behind
      if (to <= model.compacted || to < 1) return
      model.compacted = to
      if (step.steps === 0) return store.compact(to)
      store.moveFloor(to)
      // In steps, with readers in between.
      while (!store.sweep(step.steps)) check(world, everywhere)
      return
    }
    case "reload": {
      const fresh = new MvccStore()
      fresh.load(world.records.filter((record) => record.revision <= model.committed))
      fresh.loaded(model.committed, model.compacted)
      for (const record of world.records) if (record.revision > model.committed) fresh.apply(record)
      world.store = fresh
      return
    }
  }
}

const everywhere: Range = {
  key: "\0",
  end: "\0",
  limit: 0,
  back: 0,
  sortOrder: 0,
  sortTarget: 0,
  keysOnly: false,
  countOnly: false,
  bounds: { which: 9, from: 0 },
  atHead: false,
  slice: 2
}

const requestOf = (range: Range, view: number): RangeRequest => {
  const bound = (at: number) => (range.bounds.which === at ? range.bounds.from : 0)
  return rangeRequest(range.key, range.end, {
    limit: range.limit,
    revision: range.back === 0 ? 0 : Math.max(0, view + 2 - range.back),
    sortOrder: range.sortOrder,
    sortTarget: range.sortTarget,
    keysOnly: range.keysOnly,
    countOnly: range.countOnly,
    minModRevision: bound(0),
    maxModRevision: bound(1),
    minCreateRevision: bound(2),
    maxCreateRevision: bound(3)
  })
}

const shown = (kv: KeyValue) => ({
  key: text(kv.key),
  modRevision: kv.modRevision,
  createRevision: kv.createRevision,
  version: kv.version,
  value: text(kv.value),
  lease: kv.lease
})

/** The value as the disk has it. */
const read = ({ records }: World, version: Version): Uint8Array | undefined =>
  records.findLast((record) => record.revision === version.modRevision && text(record.key) === version.keyString)?.value

const check = (world: World, range: Range) => {
  const { model, store } = world
  const view = range.atHead ? model.head : model.committed
  const request = requestOf(range, view)
  const wanted = modelRange(model, request, view)
  const outcome = store.range(request, view)
  if (isEtcdError(wanted) || isEtcdError(outcome)) return assert.strictEqual(outcome as unknown, wanted as unknown)
  for (const version of outcome.versions) {
    const row = model.rows.find((each) => each.mod === version.modRevision && each.sub === version.sub)!
    assert.strictEqual(
      version.value === undefined,
      model.isCold(row),
      `coldness of ${JSON.stringify(row.key)}@${row.mod}`
    )
  }
  const filled = fillCold(
    outcome,
    outcome.cold.map((version) => read(world, version))
  )
  if (isEtcdError(filled)) throw new Error(filled.message)
  const response = rangeResponse(filled, undefined)
  assert.deepStrictEqual(
    response.kvs.map(shown),
    wanted.rows.map((row) => seen(row, request))
  )
  assert.deepStrictEqual([response.more, response.count, outcome.revision], [wanted.more, wanted.count, view])
  checkCursor(world, request, view, range.slice + 1, wanted)
}

/** The same in slices. */
const checkCursor = (
  world: World,
  request: RangeRequest,
  view: number,
  slice: number,
  wanted: Exclude<ReturnType<typeof modelRange>, EtcdError>
) => {
  const cursor = world.store.rangeCursor(request, view)
  if (!(cursor instanceof RangeCursor)) throw new Error(cursor.message)
  assert.isUndefined(cursor.fill(cursor.cold.map((version) => read(world, version))))
  const found: Array<KeyValue> = []
  while (!cursor.done) {
    const versions = cursor.next(slice)
    if (isEtcdError(versions)) throw new Error(versions.message)
    const cold = coldOf(versions, request)
    for (const version of versions) {
      const value = cold.includes(version) ? read(world, version) : version.value
      found.push(keyValue({ ...version, key: version.key, keyString: version.keyString, value }, request))
    }
  }
  assert.deepStrictEqual(
    found.map(shown),
    wanted.rows.map((row) => seen(row, request))
  )
  assert.deepStrictEqual([cursor.more, cursor.count, cursor.revision], [wanted.more, wanted.count, view])
}

const checkTotals = ({ model, store }: World) => {
  assert.deepStrictEqual(
    [store.headRevision, store.committedRevision, store.floor],
    [model.head, model.committed, Math.max(0, model.compacted)]
  )
  const kept = model.kept()
  const hot = kept.filter((row) => !model.isCold(row))
  const { keys, liveKeys, valueBytes, versions } = store.stats
  assert.strictEqual(versions, kept.length)
  assert.strictEqual(keys, new Set(kept.map((row) => row.key)).size)
  assert.strictEqual(liveKeys, model.live(model.committed).length)
  assert.strictEqual(
    valueBytes,
    hot.reduce((sum, row) => sum + row.value.length, 0)
  )
  for (let view = Math.max(1, model.compacted); view <= model.head; view++) {
    assert.strictEqual(store.countAll(view), model.live(view).length, `keys at revision ${view}`)
  }
}

describe("MvccStore against an array of all versions", () => {
  it.prop(
    "R2 R3 R4 R5 R6 R7 R8 R10 C2 H2 after every step of puts, deletes, Txns, commits, rollbacks, compactions, reloads",
    [
      Arbitrary.array(Arbitrary.schema(Schema.Struct({ step: Step, ranges: Schema.Tuple([Range, Range]) })), {
        minLength: 15,
        maxLength: 60
      })
    ],
    ([steps]) => {
      const world: World = { store: new MvccStore(), model: new Model(), records: [] }
      for (const { ranges, step } of steps) {
        run(world, step)
        checkTotals(world)
        check(world, everywhere)
        for (const range of ranges) check(world, range)
      }
    },
    { arbitrary: { runs: 200, seed: "mvcc store", size: 60 } }
  )

  it("gives a fresh key array at every access, so that nobody can change the index", () => {
    const store = new MvccStore()
    store.apply(evaluatePutOf(store, "a"))
    const version = store.newest("a")!
    version.key[0] = 0
    assert.deepStrictEqual(version.key, bytes("a"))
  })
})

const evaluatePutOf = (store: MvccStore, key: string) => {
  const outcome = evaluatePut(store, putRequest(key), contextOf(store))
  if (isEtcdError(outcome)) throw new Error(outcome.message)
  return outcome.records[0]!
}
