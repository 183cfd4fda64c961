/** Random histories of a store, with restarts, against the model; everything is asked after every step. */
import { assert } from "@effect/vitest"
import { Effect, type Layer, Schema } from "effect"
import type { Entry } from "../../src/core/log/record.ts"
import { LocalStore, type LocalStoreFailed } from "../../src/services/LocalStore.ts"
import { type End, Model, type State } from "./model.ts"
import { bytes, changing, first, operation, recordsOf, show } from "./records.ts"

const Key = Schema.Literals(["a", "b", "c"])
const Size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 }))

export const Step = Schema.Union([
  Schema.TaggedStruct("Append", {
    entries: Schema.Array(Schema.Array(Schema.Struct({ key: Key, deleted: Schema.Boolean }))),
    newTerm: Schema.Boolean,
    uncommitted: Size
  }),
  Schema.TaggedStruct("Truncate", { back: Size }),
  Schema.TaggedStruct("Compact", { back: Size, state: Schema.UndefinedOr(Schema.Struct({ back: Size, ops: Size })) }),
  Schema.TaggedStruct("Restart", {}),
  Schema.TaggedStruct("Clear", {}),
  Schema.TaggedStruct("Restore", { skipped: Size, kept: Size, slices: Schema.Boolean })
])
export type Step = typeof Step.Type

/** A long history from a seed: mostly appends, each other step now and then. */
export const longHistory = (seed: number, length: number): ReadonlyArray<Step> => {
  let state = seed
  const below = (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
  const keys = ["a", "b", "c"] as const
  const change = () => ({ key: keys[below(3)]!, deleted: below(3) === 0 })
  const list = <A>(bound: number, make: () => A) => Array.from({ length: below(bound) }, make)
  return Array.from({ length }, (): Step => {
    const choice = below(20)
    if (choice < 10) {
      return { _tag: "Append", entries: list(5, () => list(4, change)), newTerm: below(6) === 0, uncommitted: below(6) }
    }
    if (choice < 13) return { _tag: "Truncate", back: below(5) }
    if (choice < 17) {
      const state = below(2) === 0 ? undefined : { back: below(4), ops: below(4) }
      return { _tag: "Compact", back: below(6), state }
    }
    if (choice === 17) return { _tag: "Restore", skipped: below(3), kept: below(30), slices: below(2) === 0 }
    return { _tag: choice === 18 && below(4) === 0 ? "Clear" : "Restart" }
  })
}

/** Entries behind the model's last one; an empty list of changes is an operation. */
const nextEntries = (model: Model, step: Extract<Step, { _tag: "Append" }>): ReadonlyArray<Entry> => {
  let { index, revision, term } = model.last
  if (step.newTerm || term === 0) term++
  return step.entries.map((changes) => {
    index++
    // As the node does it: the first entry of an empty store is the internal record.
    if (index === 1 && changes.length === 0) {
      revision = 1
      return first(term)
    }
    if (changes.length === 0) return operation(index, term, revision)
    revision++
    const values = changes.map(({ deleted, key }) => (deleted ? { key } : { key, value: `${key}@${index}` }))
    return changing(index, term, revision, values)
  })
}

/** A state at the entry so far back, if the log is complete there. */
const stateOf = (model: Model, wanted: Extract<Step, { _tag: "Compact" }>["state"]): State | undefined => {
  if (wanted === undefined) return undefined
  const entry = model.entryAt(model.last.index - wanted.back)
  if (entry === undefined || entry.index === 0 || entry.index < (model.state?.index ?? 0)) return undefined
  const ops = Array.from({ length: wanted.ops }, (_, i) => bytes(`state ${i} at ${entry.index}`))
  return { index: entry.index, term: entry.term, revision: entry.revision, ops }
}

const take = Effect.fnUntraced(function* (store: LocalStore["Service"], model: Model, step: Step) {
  switch (step._tag) {
    case "Append": {
      const entries = nextEntries(model, step)
      const commitIndex = Math.max(0, model.last.index + entries.length - step.uncommitted)
      yield* store.append(entries, commitIndex)
      model.append(entries, commitIndex)
      return
    }
    case "Truncate": {
      const index = model.last.index + 1 - step.back
      const lowest = Math.max(model.commitIndex, model.base.index) + 1
      const from = Math.max(index, lowest)
      const left = model.log.filter((row) => row.index < from)
      if ((left[left.length - 1] ?? model.base).revision < model.floor) return
      yield* store.truncateFrom(from)
      return model.truncateFrom(from)
    }
    case "Compact": {
      const revision = Math.max(0, model.last.revision - step.back)
      const state = stateOf(model, step.state)
      assert.strictEqual((yield* store.compact(revision, state)).removed, model.compact(revision, state))
      return
    }
    case "Clear":
      yield* store.clear
      return model.clear()
    case "Restore": {
      const rows = model
        .view(Number.MAX_SAFE_INTEGER)
        .slice(0, -step.skipped || undefined)
        .slice(-step.kept - 1)
      const zero = { index: 0, revision: 0, term: 0 }
      const top = rows.reduce<End>((highest, row) => (row.index > highest.index ? row : highest), zero)
      const end = { index: top.index + step.skipped, term: Math.max(top.term, 1), revision: top.revision }
      yield* store.clear
      if (step.slices) {
        for (const row of [...rows].reverse()) yield* store.restore([row], undefined)
      }
      yield* store.restore(step.slices ? [] : rows, {
        position: { index: end.index, term: end.term },
        revision: end.revision,
        floor: Math.min(model.floor, end.revision)
      })
      return model.restore(rows, end, Math.min(model.floor, end.revision))
    }
    case "Restart":
      return
  }
})

const check = Effect.fnUntraced(function* (store: LocalStore["Service"], model: Model) {
  const { last } = model
  const { firstIndex, ...bounds } = yield* store.bounds
  assert.strictEqual(firstIndex, model.base.index + 1)
  assert.deepStrictEqual(bounds, {
    last: { index: last.index, term: last.term },
    lastRevision: last.revision,
    floor: model.floor,
    commitIndex: model.commitIndex
  })
  assert.deepStrictEqual(show(recordsOf(yield* store.entries(firstIndex, 1000, 1e9))), show(model.log))
  const half = yield* store.entries(firstIndex, 2, 1e9)
  assert.deepStrictEqual(show(recordsOf(half)), show(model.log.filter((row) => row.index < firstIndex + 2)))
  assert.strictEqual(yield* store.termAt(model.base.index), model.base.term)
  assert.strictEqual(yield* store.termAt(last.index), last.term)
  assert.strictEqual(yield* store.termAt(last.index + 1), undefined)
  assert.strictEqual(yield* store.termAt(model.base.index - 1), undefined)
  assert.deepStrictEqual(show(yield* store.changes(0, 1e9, 1e9)), show(model.history))
  const later = model.history.filter((row) => row.revision > model.floor && row.revision < last.revision)
  assert.deepStrictEqual(show(yield* store.changes(model.floor + 1, last.revision - 1, 1e9)), show(later))
  const wanted = model.history.map(({ key, revision }) => ({ key, revision }))
  const newest = model.history.map((row) =>
    model.history.filter((other) => other.revision === row.revision && sameKey(other.key, row.key)).pop()!
  )
  assert.deepStrictEqual(show(yield* store.versions(wanted)), show(newest))
  const upTo = last.index - 1
  const view = yield* store.view(upTo)
  const seen = []
  for (;;) {
    const page = yield* view.next(2, 1e9)
    seen.push(...page.records)
    if (page.done) break
  }
  yield* view.close
  const below = model.view(upTo)
  assert.deepStrictEqual(show(seen), show(below))
  assert.strictEqual(view.count, below.length)
  assert.strictEqual(view.changeCount, below.filter((row) => row.op === undefined).length)
})

const sameKey = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** Runs the steps; a restart ends one layer and makes the next one over the same disk. */
export const behavesLikeTheModel = Effect.fnUntraced(function* (
  layer: Layer.Layer<LocalStore, LocalStoreFailed>,
  steps: ReadonlyArray<Step>
) {
  const model = new Model()
  const lives = steps.reduce<Array<Array<Step>>>(
    (done, step) => {
      if (step._tag === "Restart") done.push([])
      else done[done.length - 1]!.push(step)
      return done
    },
    [[]]
  )
  for (const [life, ownSteps] of lives.entries()) {
    yield* Effect.gen(function* () {
      const store = yield* LocalStore
      assert.strictEqual(store.opened.starts, life + 1)
      assert.strictEqual(store.opened.setAside, undefined)
      yield* check(store, model)
      for (const step of ownSteps) {
        yield* take(store, model, step)
        yield* check(store, model)
      }
    }).pipe(Effect.provide(layer))
  }
})
