/** Common suite: compaction, restoring from a snapshot, clearing. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { positionZero } from "../../src/core/log/record.ts"
import { broken, type Disk, life, onFresh, viewed } from "./lives.ts"
import { bytes, changing, first, operation, puts, recordsOf, text } from "./records.ts"

export const historySuite = (disk: Disk): void => {
  const fresh = onFresh(disk)

  it.effect("C2: compaction keeps the newest version at the floor, and a tombstone only exactly at it", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      yield* life(layer, (store) =>
        Effect.gen(function* () {
          yield* store.append(
            [
              first(1),
              changing(2, 1, 2, [
                { key: "a", value: "1" },
                { key: "b", value: "1" }
              ]),
              changing(3, 1, 3, [{ key: "a", value: "2" }]),
              changing(4, 1, 4, [{ key: "b" }]),
              changing(5, 1, 5, [{ key: "a" }, { key: "c", value: "1" }]),
              operation(6, 1, 5),
              changing(7, 1, 6, [{ key: "c", value: "2" }])
            ],
            7
          )
          assert.strictEqual((yield* store.compact(5)).removed, 4)
          const left = (yield* store.changes(0, 9, 1e9)).map(
            (r) => `${text(r.key)}${r.revision}${r.deleted ? "-" : ""}`
          )
          assert.deepStrictEqual(left, ["a5-", "c5", "c6"])
          const bounds = yield* store.bounds
          assert.deepStrictEqual([bounds.floor, bounds.firstIndex], [5, 5])
          assert.deepStrictEqual(yield* store.entries(4, 9, 1e9), [])
          assert.lengthOf(yield* store.entries(5, 9, 1e9), 3)
          assert.strictEqual(yield* store.termAt(4), 1)
          // The internal record and the operation are still there.
          assert.deepStrictEqual(
            (yield* viewed(store, 9)).map(({ index }) => index),
            [1, 5, 5, 6, 7]
          )
          assert.strictEqual((yield* store.compact(3)).removed, 0)
          assert.strictEqual((yield* store.bounds).floor, 5)
          assert.isTrue(broken(yield* Effect.exit(store.compact(7))))
          assert.strictEqual((yield* store.compact(6)).removed, 2)
        })
      )
      const { firstIndex, floor } = yield* life(layer, (store) => Effect.succeed(store.opened))
      assert.deepStrictEqual([floor, firstIndex], [6, 6])
    })
  )

  fresh("compacts thousands of versions of one key while entries are appended in between", (store) =>
    Effect.gen(function* () {
      const versions = (from: number, to: number) =>
        puts(from, to).map((entry) => changing(entry.index, 1, entry.revision, [{ key: "hot", value: "v" }]))
      yield* store.append(versions(1, 3000), 3000)
      const compaction = yield* Effect.forkChild(store.compact(3000), { startImmediately: true })
      for (let i = 3001; i <= 3010; i++) yield* store.append(versions(i, i), i)
      assert.strictEqual((yield* Fiber.join(compaction)).removed, 2999)
      assert.deepStrictEqual(
        (yield* store.changes(0, 9999, 1e9)).map(({ revision }) => revision),
        Array.from({ length: 11 }, (_, i) => 3000 + i)
      )
    })
  )

  it.effect("restores a snapshot in slices and goes on from its end", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      const rows = recordsOf([
        operation(40, 3, 30),
        ...puts(11, 12, 2),
        changing(50, 4, 33, [{ key: "z", value: "1" }])
      ])
      yield* life(layer, (store) =>
        Effect.gen(function* () {
          yield* store.append(puts(1, 3), 3)
          assert.isTrue(broken(yield* Effect.exit(store.restore(rows, undefined))))
          yield* store.clear
          yield* store.restore(rows.slice(0, 2), undefined)
          assert.isTrue(broken(yield* Effect.exit(store.append(puts(1, 1), 0))))
          yield* store.restore(rows.slice(2), undefined)
          yield* store.restore([], { position: { index: 55, term: 4 }, revision: 34, floor: 9 })
          assert.isTrue(broken(yield* Effect.exit(store.restore(rows, undefined))))
          assert.strictEqual(yield* store.termAt(55), 4)
          assert.strictEqual(yield* store.termAt(50), undefined)
          yield* store.append([changing(56, 5, 35, [{ key: "n", value: "1" }])], 0)
        })
      )
      yield* life(layer, (store) =>
        Effect.gen(function* () {
          const { commitIndex, firstIndex, floor, last, lastRevision } = store.opened
          assert.deepStrictEqual([firstIndex, last.index, last.term, lastRevision], [56, 56, 5, 35])
          assert.deepStrictEqual([commitIndex, floor], [55, 9])
          assert.deepStrictEqual(
            (yield* viewed(store, 99)).map(({ index }) => index),
            // The snapshot's operation is the state at its end.
            [55, 11, 12, 50, 56]
          )
        })
      )
    })
  )

  it.effect("is empty after a restart in the middle of a restore", () =>
    Effect.gen(function* () {
      const layer = yield* disk
      yield* life(layer, (store) => store.restore(recordsOf(puts(1, 5)), undefined))
      yield* life(layer, (store) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(store.opened.last, positionZero)
          assert.lengthOf(yield* viewed(store, 99), 0)
          yield* store.append(puts(1, 2), 0)
        })
      )
    })
  )

  fresh("clears the log and keeps promises, facts and the incarnation", (store) =>
    Effect.gen(function* () {
      yield* store.append(puts(1, 9), 9)
      yield* store.compact(5)
      yield* store.promise({ fenced: 3, reigned: 2 })
      yield* store.setMeta("a", bytes("1"))
      yield* store.clear
      assert.deepStrictEqual(yield* store.bounds, {
        last: positionZero,
        lastRevision: 0,
        firstIndex: 1,
        floor: 0,
        commitIndex: 0
      })
      assert.isTrue(broken(yield* Effect.exit(store.promise({ fenced: 2, reigned: 2 }))))
      assert.strictEqual(text((yield* store.getMeta("a"))!), "1")
    })
  )
}
