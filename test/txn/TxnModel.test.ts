import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { MvccStore } from "../../src/core/mvcc/store.ts"
import { checkTxn } from "../../src/core/txn/check.ts"
import { evaluateTxn, fillTxn } from "../../src/core/txn/txn.ts"
import { type EtcdError, errors, isEtcdError } from "../../src/core/wire/errors.ts"
import type { Compare, RequestOp, ResponseOp, TxnRequest, TxnResponse } from "../../src/core/wire/messages.ts"
import { inside, Model, modelRange, type Row, rowOf, seen } from "../mvcc/model.ts"
import { bytes, contextOf, rangeRequest, text } from "../mvcc/requests.ts"

const keys = ["a", "a\0", "b", "c", "\xff"] as const
const Key = Schema.Literals(keys)
const End = Schema.Literals(["", "", "\0", ...keys, "bb"])
const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const ComparePart = Schema.Struct({
  key: Key,
  end: End,
  target: small(4),
  result: small(3),
  set: small(5),
  number: small(6)
})
const OpPart = Schema.Struct({
  kind: Schema.Literals(["put", "put", "range", "delete", "txn"]),
  key: Key,
  end: End,
  flag: small(5),
  number: small(7)
})
const Level = Schema.Struct({
  compare: Schema.Array(ComparePart).check(Schema.isMaxLength(2)),
  success: Schema.Array(OpPart).check(Schema.isMaxLength(4)),
  failure: Schema.Array(OpPart).check(Schema.isMaxLength(4))
})
/** A Txn is made from a list of levels: each nested Txn takes the next one. */
const Txn = Schema.Array(Level).check(Schema.isMinLength(1), Schema.isMaxLength(4))

const unions = ["version", "create", "mod"] as const

const compareOf = (part: typeof ComparePart.Type): Compare => ({
  key: bytes(part.key),
  rangeEnd: bytes(part.end),
  target: part.target,
  result: part.result,
  targetUnion:
    part.set < 3
      ? { kind: unions[part.set]!, number: part.number }
      : part.set === 3
        ? { kind: "value", value: bytes(`v${part.number}`) }
        : part.set === 4
          ? { kind: "lease", lease: BigInt(part.number) - 1n }
          : undefined
})

const build = (levels: ReadonlyArray<typeof Level.Type>, revision: number): TxnRequest => {
  let next = 0
  const level = (): TxnRequest => {
    const { compare, failure, success } = levels[next++]!
    return { compare: compare.map(compareOf), success: success.flatMap(op), failure: failure.flatMap(op) }
  }
  const op = (part: typeof OpPart.Type): Array<RequestOp> => {
    const key = bytes(part.key)
    const rangeEnd = bytes(part.end)
    switch (part.kind) {
      case "txn":
        return next < levels.length ? [{ kind: "txn", txn: level() }] : []
      case "delete":
        return [{ kind: "deleteRange", deleteRange: { key, rangeEnd, prevKv: part.flag === 1 } }]
      case "range": {
        const at = Math.max(-2, part.number === 0 ? revision + 1 : revision + 1 - part.number)
        return [
          {
            kind: "range",
            range: rangeRequest(part.key, part.end, { revision: part.flag < 3 ? 0 : at, sortTarget: part.flag % 5 })
          }
        ]
      }
      case "put": {
        const ignoreValue = part.flag === 2
        const ignoreLease = part.flag === 3
        const value = ignoreValue ? bytes("") : bytes(`v${part.number}`)
        const lease = ignoreLease ? 0n : part.number === 6 && part.flag > 3 ? 9n : BigInt(part.number & 1)
        return [{ kind: "put", put: { key, value, lease, prevKv: part.flag === 1, ignoreValue, ignoreLease } }]
      }
    }
  }
  return level()
}

// The model: etcd's rules, word by word, over an array of rows.

const holds = (model: Model, { key, rangeEnd, result, target, targetUnion }: Compare): boolean => {
  const rows = model.live(model.head).filter((row) => inside(row.key, text(key), text(rangeEnd)))
  if (rows.length === 0 && target === 3) return false
  const kind = (["version", "create", "mod", "value", "lease"] as const)[target]!
  const given: string | bigint =
    targetUnion?.kind !== kind
      ? kind === "value"
        ? ""
        : 0n
      : targetUnion.kind === "value"
        ? text(targetUnion.value)
        : targetUnion.kind === "lease"
          ? targetUnion.lease
          : BigInt(targetUnion.number)
  const values: ReadonlyArray<string | bigint> =
    rows.length === 0
      ? [0n]
      : rows.map((row) =>
          kind === "value"
            ? row.value
            : kind === "lease"
              ? row.lease
              : BigInt(kind === "mod" ? row.mod : kind === "create" ? row.create : row.version)
        )
  return values.every((value) => [value === given, value > given, value < given, value !== given][result]!)
}

type Path = Map<TxnRequest, boolean>
const takePath = (model: Model, request: TxnRequest, path: Path): void => {
  path.set(
    request,
    request.compare.every((compare) => holds(model, compare))
  )
  for (const op of branch(request, path)) if (op.kind === "txn") takePath(model, op.txn, path)
}
const branch = (request: TxnRequest, path: Path) => (path.get(request)! ? request.success : request.failure)

const liveRow = (model: Model, key: Uint8Array, revision: number): Row | undefined =>
  model.live(revision).find((row) => row.key === text(key))

const checkModel = (model: Model, request: TxnRequest, path: Path): EtcdError | undefined => {
  for (const op of branch(request, path)) {
    if (op.kind === "txn") {
      const refused = checkModel(model, op.txn, path)
      if (refused) return refused
    } else if (op.kind === "range") {
      if (op.range.revision > model.head) return errors.futureRevision
      if (op.range.revision !== 0 && op.range.revision < model.compacted) return errors.compacted
    } else if (op.kind === "put") {
      if ((op.put.ignoreLease || op.put.ignoreValue) && !liveRow(model, op.put.key, model.head))
        return errors.keyNotFound
      if (op.put.lease !== 0n && op.put.lease !== 1n) return errors.leaseNotFound
    }
  }
  return undefined
}

interface Run {
  readonly model: Model
  readonly written: Array<Row>
  readonly path: Path
}

class Refused extends Error {}

const execute = (run: Run, request: TxnRequest, top: boolean): unknown => ({
  header: top ? undefined : 0,
  succeeded: run.path.get(request)!,
  responses: branch(request, run.path).map((op) => executeOp(run, op))
})

const executeOp = (run: Run, op: RequestOp): unknown => {
  const { model, written } = run
  const next = model.head + 1
  const current = () => Object.assign(new Model(), { rows: [...model.rows, ...written], compacted: model.compacted })
  const revision = () => (written.length > 0 ? next : model.head)
  const whole = { keysOnly: false, sortTarget: 0 }
  switch (op.kind) {
    case "txn":
      return { kind: "txn", txn: execute(run, op.txn, false) }
    case "range": {
      const found = modelRange(current(), op.range, revision())
      if (isEtcdError(found)) throw new Error(found.message)
      const kvs = found.rows.map((row) => seen(row, op.range))
      return { kind: "range", header: revision(), kvs, more: found.more, count: found.count }
    }
    case "put": {
      const before = liveRow(current(), op.put.key, next)
      if ((op.put.ignoreLease || op.put.ignoreValue) && before === undefined) throw new Refused()
      written.push({
        key: text(op.put.key),
        mod: next,
        sub: written.length,
        create: before?.create ?? next,
        version: (before?.version ?? 0) + 1,
        lease: op.put.ignoreLease ? before!.lease : op.put.lease,
        deleted: false,
        value: op.put.ignoreValue ? before!.value : text(op.put.value)
      })
      return { kind: "put", header: next, prevKv: op.put.prevKv && before ? seen(before, whole) : undefined }
    }
    case "deleteRange": {
      const { key, prevKv, rangeEnd } = op.deleteRange
      const gone = current()
        .live(next)
        .filter((row) => inside(row.key, text(key), text(rangeEnd)))
      for (const { create, key: name } of gone) {
        written.push({
          key: name,
          mod: next,
          sub: written.length,
          create,
          version: 0,
          lease: 0n,
          deleted: true,
          value: ""
        })
      }
      const prevKvs = prevKv ? gone.map((row) => seen(row, whole)) : []
      return { kind: "deleteRange", header: revision(), deleted: gone.length, prevKvs }
    }
    case "none":
      throw new Error("checked before")
  }
}

/** A response in the model's shape. */
const plain = (response: TxnResponse): unknown => ({
  header: response.header?.revision,
  succeeded: response.succeeded,
  responses: response.responses.map((op: ResponseOp) => {
    const kv = (each: { readonly key: Uint8Array; readonly value: Uint8Array }) => ({
      ...each,
      key: text(each.key),
      value: text(each.value)
    })
    switch (op.kind) {
      case "txn":
        return { kind: "txn", txn: plain(op.txn) }
      case "range":
        return {
          kind: "range",
          header: op.range.header!.revision,
          kvs: op.range.kvs.map(kv),
          more: op.range.more,
          count: op.range.count
        }
      case "put":
        return { kind: "put", header: op.put.header!.revision, prevKv: op.put.prevKv && kv(op.put.prevKv) }
      case "deleteRange": {
        const { deleted, header, prevKvs } = op.deleteRange
        return { kind: "deleteRange", header: header!.revision, deleted, prevKvs: prevKvs.map(kv) }
      }
    }
  })
})

describe("Txn evaluation against a model", () => {
  const tally = { written: 0, refused: 0, cold: 0, nested: 0, conflicts: 0 }

  it.prop(
    "T1 T2 T6 T7 T8 T9 H2 H3 H6 P1 P2 P3 P4 P5 P6 D1 D2: answers and records are etcd's, and the store is untouched",
    [Arbitrary.array(Arbitrary.schema(Schema.Struct({ txn: Txn, after: small(9) })), { minLength: 15, maxLength: 30 })],
    ([steps]) => {
      const store = new MvccStore()
      const model = new Model()
      for (const { after, txn } of steps) {
        const request = build(txn, model.head)
        // A conflict is not evaluated in production; here it shows that evaluation needs no luck.
        if (checkTxn(request, { maxTxnOps: 128 }) !== undefined) tally.conflicts++
        const before = store.stats
        const outcome = evaluateTxn(store, request, contextOf(store, [1n]))
        const { heldBytes: _, ...rest } = store.stats
        const { heldBytes: __, ...untouched } = before
        assert.deepStrictEqual(rest, untouched)
        assert.strictEqual(store.headRevision, model.head)
        const path: Path = new Map()
        takePath(model, request, path)
        const run: Run = { model, written: [], path }
        const wanted = checkModel(model, request, path) ?? executeOrRefuse(run, request)
        if (isEtcdError(wanted) || isEtcdError(outcome)) {
          assert.strictEqual(outcome as unknown, wanted)
          tally.refused++
          continue
        }
        tally.cold += outcome.cold.length
        tally.nested += txn.length - 1
        const response = fillTxn(
          outcome,
          outcome.cold.map(({ keyString, modRevision }) =>
            bytes(model.rows.findLast((row) => row.key === keyString && row.mod === modRevision)!.value)
          )
        )
        if (isEtcdError(response)) throw new Error(response.message)
        assert.deepStrictEqual(plain(response), wanted)
        assert.deepStrictEqual(outcome.records.map(rowOf), run.written)
        for (const record of outcome.records) {
          tally.written++
          const last = [...model.rows].findLast((row) => row.key === text(record.key))
          if (last === undefined || last.deleted)
            assert.isTrue(record.created || record.prevRevision === model.head + 1)
          store.apply(record)
          model.rows.push(rowOf(record))
        }
        if (outcome.records.length > 0) model.head++
        if (after > 2) store.commit((model.committed = model.head))
        if (after === 9 && model.committed - 4 > model.compacted && model.committed > 5) {
          store.compact((model.compacted = model.committed - 4))
        }
      }
    },
    { arbitrary: { runs: 400, seed: "txn", size: 60 } }
  )

  it("the histories above had writes, refusals, cold values, nested Txns and conflicts in them", () => {
    for (const [what, count] of Object.entries(tally)) assert.isAbove(count, 50, what)
  })
})

const executeOrRefuse = (run: Run, request: TxnRequest): unknown => {
  try {
    return execute(run, request, true)
  } catch (error) {
    if (error instanceof Refused) return errors.keyNotFound
    throw error
  }
}
