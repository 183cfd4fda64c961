/** Common suite: what a store remembers and forgets from one life to the next. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { positionZero } from "../../src/core/log/record.ts"
import { LocalStoreFailed } from "../../src/services/LocalStore.ts"
import { broken, type Disk, life } from "./lives.ts"
import { bytes, first, puts, recordsOf, show, text } from "./records.ts"

export const livesSuite = (disk: Disk): void => {
  it.effect("begins empty, with an incarnation of its own and one start", () =>
    Effect.gen(function* () {
      const one = yield* life(yield* disk, (store) => Effect.succeed(store.opened))
      const other = yield* life(yield* disk, (store) => Effect.succeed(store.opened))
      const { incarnation, ...rest } = one
      assert.match(incarnation, /^[0-9a-f]{32}$/)
      assert.notStrictEqual(incarnation, other.incarnation)
      assert.deepStrictEqual(rest, {
        starts: 1,
        promises: { fenced: 0, reigned: 0 },
        last: positionZero,
        lastRevision: 0,
        firstIndex: 1,
        floor: 0,
        commitIndex: 0,
        setAside: undefined,
        imported: undefined
      })
    })
  )

  it.effect("finds log, promises and facts again after a restart, and counts its starts", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      const before = yield* life(layer, (store) =>
        Effect.gen(function* () {
          yield* store.append([first(3), ...puts(2, 9, 3)], 7)
          yield* store.promise({ fenced: 4, reigned: 3 })
          yield* store.setMeta("peers", bytes("two"))
          return store.opened
        })
      )
      yield* life(layer, (store) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(store.opened, {
            ...before,
            starts: 2,
            promises: { fenced: 4, reigned: 3 },
            last: { index: 9, term: 3 },
            lastRevision: 9,
            commitIndex: 7
          })
          const entries = yield* store.entries(1, 100, 1e9)
          assert.deepStrictEqual(show(recordsOf(entries)), show(recordsOf([first(3), ...puts(2, 9, 3)])))
          assert.strictEqual(text((yield* store.getMeta("peers"))!), "two")
          assert.strictEqual(yield* store.getMeta("absent"), undefined)
        })
      )
    })
  )

  it.effect("never lets a promise go back, not even across a restart", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      yield* life(layer, (store) => store.promise({ fenced: 5, reigned: 4 }))
      yield* life(layer, (store) =>
        Effect.gen(function* () {
          assert.isTrue(broken(yield* Effect.exit(store.promise({ fenced: 4, reigned: 4 }))))
          assert.isTrue(broken(yield* Effect.exit(store.promise({ fenced: 6, reigned: 3 }))))
          yield* store.promise({ fenced: 6, reigned: 4 })
        })
      )
      const { promises } = yield* life(layer, (store) => Effect.succeed(store.opened))
      assert.deepStrictEqual(promises, { fenced: 6, reigned: 4 })
    })
  )

  it.effect("takes a new incarnation that keeps log and promises and begins to count starts anew", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      const [old, taken] = yield* life(layer, (store) =>
        Effect.gen(function* () {
          yield* store.append(puts(1, 3), 0)
          yield* store.promise({ fenced: 2, reigned: 1 })
          return [store.opened.incarnation, yield* store.newIncarnation] as const
        })
      )
      assert.notStrictEqual(taken, old)
      const again = yield* life(layer, (store) => Effect.succeed(store.opened))
      assert.strictEqual(again.incarnation, taken)
      assert.strictEqual(again.starts, 2)
      assert.deepStrictEqual(again.promises, { fenced: 2, reigned: 1 })
      assert.deepStrictEqual(again.last, { index: 3, term: 1 })
    })
  )

  it.effect("refuses to open a database that is open already, naming why, and opens it once that one is closed", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      const refused = yield* life(layer, () => Effect.flip(life(Layer.fresh(layer), () => Effect.void)))
      assert.instanceOf(refused, LocalStoreFailed)
      assert.include(refused.message, "in use by another process")
      yield* life(layer, (store) => store.append(puts(1, 1), 0))
    })
  )

  it.effect("fails what is asked after it was closed", () =>
    Effect.gen(function* () {
      const store = yield* life(yield* disk, Effect.succeed)
      const error = yield* Effect.flip(store.append(puts(1, 1), 0))
      assert.instanceOf(error, LocalStoreFailed)
      assert.include(error.message, "the local store is closed")
    })
  )

  it.effect("sets an abandoned database aside at the next open and begins afresh", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      const old = yield* life(layer, (store) =>
        Effect.gen(function* () {
          yield* store.append(puts(1, 3), 0)
          yield* store.abandon("the history was recovered without it")
          return store.opened.incarnation
        })
      )
      const { incarnation, last, setAside, starts } = yield* life(layer, (store) => Effect.succeed(store.opened))
      assert.notStrictEqual(incarnation, old)
      assert.deepStrictEqual([last.index, starts], [0, 1])
      assert.strictEqual(setAside?.reason, "the history was recovered without it")
      assert.match(setAside!.path, /\.damaged-19700101T000000Z$/)
      assert.strictEqual((yield* life(layer, (store) => Effect.succeed(store.opened))).setAside, undefined)
    })
  )
}
