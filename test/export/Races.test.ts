/** A compaction that comes just before the disk's view is opened: it shows less than the state taken before it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { errors } from "../../src/core/wire/errors.ts"
import * as EtcdExportBbolt from "../../src/layers/EtcdExportBbolt.ts"
import { EtcdExport } from "../../src/services/EtcdExport.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { random } from "../wire/random.ts"
import { Model } from "./model.ts"
import { assertRows, compactBoth, exported, hashKv, itemsOf, nodeIn, randomWrite } from "./support.ts"

/** The export over a disk that does something else first, each time a view is asked for. */
const behind = <E>(before: Effect.Effect<unknown, E>) =>
  EtcdExportBbolt.layer.pipe(
    Layer.provide(
      Layer.effect(
        LocalStore,
        Effect.map(LocalStore, (local) =>
          LocalStore.of({ ...local, view: (upTo) => Effect.andThen(Effect.orDie(before), local.view(upTo)) })
        )
      )
    )
  )

/** The same, before each page of a view. */
const amid = <E>(before: Effect.Effect<unknown, E>) =>
  EtcdExportBbolt.layer.pipe(
    Layer.provide(
      Layer.effect(
        LocalStore,
        Effect.map(LocalStore, (local) =>
          LocalStore.of({
            ...local,
            view: (upTo) =>
              Effect.map(local.view(upTo), (view) => ({
                ...view,
                next: (records, bytes) => Effect.andThen(Effect.orDie(before), view.next(records, bytes))
              }))
          })
        )
      )
    )
  )

const times = <E>(count: number, effect: Effect.Effect<unknown, E>) => {
  let left = count
  return Effect.suspend(() => (left-- > 0 ? effect : Effect.void))
}

const prepared = Effect.gen(function* () {
  const { node } = yield* nodeIn
  const model = new Model()
  const source = random(11)
  for (let i = 0; i < 200; i++) yield* randomWrite(node, model, source)
  const compactOn = Effect.suspend(() => compactBoth(node, model, Math.max(model.compacted, 40) + 3))
  return { node, model, compactOn }
})

describe("a compaction between taking the state and looking at the disk", () => {
  it.live("makes the export begin anew, with the new floor", () =>
    Effect.gen(function* () {
      const { compactOn, model, node } = yield* prepared
      const { buckets } = yield* node.use(exported.pipe(Effect.provide(behind(times(2, compactOn)))))
      assert.strictEqual(model.compacted, 46)
      assertRows(itemsOf(buckets, "key"), model.rows())
    })
  )

  it.live("makes HashKV begin anew, with the new floor", () =>
    Effect.gen(function* () {
      const { compactOn, model, node } = yield* prepared
      const hashed = yield* node.use(hashKv(0).pipe(Effect.provide(behind(times(2, compactOn)))))
      assert.deepStrictEqual(hashed, { hash: model.hashKv(), compactRevision: 46, hashRevision: model.revision })
    })
  )

  it.live("again and again is refused in the end", () =>
    Effect.gen(function* () {
      const { compactOn, node } = yield* prepared
      const layer = behind(compactOn)
      assert.strictEqual(yield* Effect.flip(node.use(exported.pipe(Effect.provide(layer)))), errors.tooManyRequests)
      assert.strictEqual(yield* Effect.flip(node.use(hashKv(0).pipe(Effect.provide(layer)))), errors.tooManyRequests)
      const hash = EtcdExport.use((exporter) => exporter.hash)
      assert.strictEqual(yield* Effect.flip(node.use(hash.pipe(Effect.provide(layer)))), errors.tooManyRequests)
    })
  )

  it.live("of the asked revision makes HashKV answer that it was compacted", () =>
    Effect.gen(function* () {
      const { compactOn, node } = yield* prepared
      const asked = hashKv(42).pipe(Effect.provide(behind(times(1, compactOn))))
      assert.strictEqual(yield* Effect.flip(node.use(asked)), errors.compacted)
    })
  )
})

describe("a compaction while the disk is read", () => {
  it.live("changes neither an export nor a hash of a revision that is still there", () =>
    Effect.gen(function* () {
      const { compactOn, model, node } = yield* prepared
      yield* compactOn
      const expected = { hash: model.hashKv(), compactRevision: 43, hashRevision: model.revision }
      const rows = model.rows()
      assert.deepStrictEqual(yield* node.use(hashKv(0).pipe(Effect.provide(amid(times(1, compactOn))))), expected)
      assert.strictEqual(model.compacted, 46)
      assert.notDeepEqual(model.rows(), rows)
      const before = model.rows()
      const { buckets } = yield* node.use(exported.pipe(Effect.provide(amid(times(1, compactOn)))))
      assert.strictEqual(model.compacted, 49)
      assertRows(itemsOf(buckets, "key"), before)
    })
  )

  it.live("above the asked revision makes HashKV answer that it was compacted", () =>
    Effect.gen(function* () {
      const { compactOn, node } = yield* prepared
      yield* compactOn
      const asked = hashKv(44).pipe(Effect.provide(amid(times(1, compactOn))))
      assert.strictEqual(yield* Effect.flip(node.use(asked)), errors.compacted)
    })
  )
})
