/** Common suite: what a compaction may and may not remove while other nodes or the bucket still need it. */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { random } from "../wire/random.ts"
import { type Disk, onFresh, viewed } from "./lives.ts"
import { bytes, changing, first, operation, puts, recordsOf, show, text } from "./records.ts"

const state = (index: number, revision: number) => ({ index, term: 1, revision, ops: [bytes("all of it")] })

export const removalSuite = (disk: Disk): void => {
  const fresh = onFresh(disk)

  fresh("C2: a view with a floor shows what a compaction to it leaves, before and after", (store) =>
    Effect.gen(function* () {
      const draw = random(7)
      const entries = [first(1)]
      for (let i = 2; i <= 120; i++) {
        const { index, revision } = entries[entries.length - 1]!
        if (draw.chance(20)) entries.push(operation(index + 1, 1, revision))
        else {
          const changes = Array.from({ length: 1 + draw.int(3) }, (_, n) => {
            const key = `${n}${draw.int(4)}`
            return draw.chance(30) ? { key } : { key, value: `${i}` }
          })
          entries.push(changing(index + 1, 1, revision + 1, changes))
        }
      }
      yield* store.append(entries, 120)
      for (const floor of [1, 20, 45, 80]) {
        const before = yield* viewed(store, 110, floor)
        const { changeCount, close, count } = yield* store.view(110, floor)
        yield* close
        assert.strictEqual(count, before.length)
        assert.strictEqual(changeCount, before.filter(({ op }) => op === undefined).length)
        yield* store.compact(floor)
        assert.deepStrictEqual(show(before), show(yield* viewed(store, 110)), `floor ${floor}`)
        assert.deepStrictEqual(show(before), show(yield* viewed(store, 110, floor)), `floor ${floor}`)
      }
    })
  )

  fresh("keeps the operations of entries above a limit, whatever state and floor allow", (store) =>
    Effect.gen(function* () {
      const ops = [6, 7, 8, 9].map((index) => operation(index, 1, 5, `op ${index}`))
      yield* store.append([...puts(1, 5), ...ops], 9)
      yield* store.compact(5, state(9, 5), { keepAbove: 7 })
      assert.strictEqual((yield* store.bounds).firstIndex, 8)
      assert.deepStrictEqual(show(recordsOf(yield* store.entries(8, 9, 1e9))), show(recordsOf(ops.slice(2))))
      // The state stands for them nevertheless.
      assert.deepStrictEqual(
        (yield* viewed(store, 99)).flatMap(({ op }) => (op === undefined ? [] : [text(op)])),
        ["all of it"]
      )
      yield* store.compact(5, state(9, 5), { keepAbove: 9 })
      assert.strictEqual((yield* store.bounds).firstIndex, 10)
    })
  )

  fresh("forgets the operations of entries above the floor where that is asked for, and no key change", (store) =>
    Effect.gen(function* () {
      const ops = Array.from({ length: 10 }, (_, i) => operation(5 + i, 1, 4, `op ${i}`))
      yield* store.append([...puts(1, 4), ...ops, changing(15, 1, 5, [{ key: "z", value: "1" }])], 15)
      assert.strictEqual((yield* store.compact(0, state(15, 5))).removed, 0)
      const { removed } = yield* store.compact(0, state(15, 5), { keepAbove: 14, forgetUpTo: 12 })
      assert.strictEqual(removed, 8)
      const { firstIndex, floor } = yield* store.bounds
      assert.deepStrictEqual([firstIndex, floor], [13, 0])
      assert.deepStrictEqual(
        (yield* store.entries(13, 9, 1e9)).map(({ index }) => index),
        [13, 14, 15]
      )
      assert.lengthOf(yield* store.changes(0, 99, 1e9), 5)
      assert.strictEqual(yield* store.termAt(12), 1)
      yield* store.append([operation(16, 1, 5)], 16)
    })
  )

  fresh("a compaction of a log that is being replaced has no effect on the one that comes", (store) =>
    Effect.gen(function* () {
      yield* store.append(puts(1, 3000), 3000)
      const old = { ...state(3000, 3000), ops: Array.from({ length: 3000 }, (_, i) => bytes(`old ${i}`)) }
      const compaction = yield* Effect.forkChild(store.compact(3000, old), { startImmediately: true })
      yield* store.clear
      assert.strictEqual((yield* store.compact(3000, old)).removed, 0)
      const rows = recordsOf([operation(40, 3, 30, "new"), ...puts(3011, 3012, 2)])
      yield* store.restore(rows, undefined)
      assert.strictEqual((yield* store.compact(3000, old)).removed, 0)
      yield* store.restore([], { position: { index: 4000, term: 4 }, revision: 3012, floor: 9 })
      yield* Fiber.join(compaction)
      assert.strictEqual((yield* store.compact(9, old)).removed, 0)
      assert.deepStrictEqual(
        (yield* viewed(store, 9999)).map(({ index, op }) => (op === undefined ? index : text(op))),
        ["new", 3011, 3012]
      )
      const { firstIndex, floor, last } = yield* store.bounds
      assert.deepStrictEqual([firstIndex, floor, last.index], [4001, 9, 4000])
    })
  )
}
