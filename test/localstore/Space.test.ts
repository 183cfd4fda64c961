/** The database on the disk: files that shrink, a state in parts, compactions that were broken off. */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import { Effect, Fiber } from "effect"
import type { LogRecord } from "../../src/core/log/record.ts"
import * as LocalStoreSqlite from "../../src/layers/LocalStoreSqlite.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { viewed } from "./lives.ts"
import { show, stateRecords, text } from "./records.ts"
import { temporaryFile } from "./tempDisk.ts"
import { entryAt, fill, kept, stateAt } from "./versions.ts"

const mebibyte = 1024 * 1024

const use = <A, E>(file: string, body: (store: LocalStore["Service"]) => Effect.Effect<A, E>, batchLimit = 1000) =>
  Effect.flatMap(LocalStore, body).pipe(
    Effect.provide(LocalStoreSqlite.layer({ path: file, compaction: { batchLimit, sleepMillis: 0 } }))
  )

const bytesOf = (file: string, suffix = ""): number => fs.statSync(file + suffix, { throwIfNoEntry: false })?.size ?? 0

const rowsOf = (records: ReadonlyArray<LogRecord>, stateIndex: number): ReadonlyArray<string> =>
  records.filter((record) => record.op === undefined || record.index !== stateIndex).map(({ index }) => `${index}`)

describe("LocalStoreSqlite and its space", () => {
  it.effect("gives the space of compacted rows back to the file system, down to what is in use", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      yield* use(file, (store) =>
        Effect.gen(function* () {
          yield* fill(store, 1, 3000, 3000)
          const { removed } = yield* store.compact(entryAt(3000, 1).revision, stateAt(3000, 3))
          assert.strictEqual(removed, 3000 - kept(3000, 3000).length)
          const first = yield* store.defragment(mebibyte)
          assert.isAbove(first.before, 5 * mebibyte)
          assert.isBelow(first.after, 2 * mebibyte)
          assert.strictEqual(bytesOf(file) + bytesOf(file, "-wal"), first.after)
          assert.isAbove(first.after, mebibyte)
          const { after } = yield* store.defragment(0)
          assert.isBelow(after, 200_000)
          assert.strictEqual(bytesOf(file, "-wal"), 0)
          const { inUse, total } = yield* store.size
          assert.strictEqual(total, inUse)
        })
      )
      yield* use(file, (store) =>
        Effect.gen(function* () {
          assert.strictEqual(store.opened.setAside, undefined)
          assert.deepStrictEqual(rowsOf(yield* viewed(store, 1e9), 3000), kept(3000, 3000))
        })
      )
    })
  )

  it.effect("serves appends and reads between the steps of giving space back", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      yield* use(file, (store) =>
        Effect.gen(function* () {
          yield* fill(store, 1, 2000, 6000)
          yield* store.compact(entryAt(2000, 1).revision, stateAt(2000, 1))
          let done = false
          const shrinking = yield* Effect.forkChild(
            Effect.tap(store.defragment(0), () => Effect.sync(() => (done = true))),
            { startImmediately: true }
          )
          let between = 0
          for (let index = 2001; !done; index++) {
            yield* store.append([entryAt(index, 10)], index)
            const [found] = yield* store.entries(index, 1, 1)
            assert.strictEqual(found?.index, index)
            if (!done) between++
          }
          yield* Fiber.join(shrinking)
          assert.isAbove(between, 5)
        })
      )
    })
  )

  it.effect("does not wait for an open view, which reads on, and shrinks when it is closed", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      yield* use(file, (store) =>
        Effect.gen(function* () {
          yield* fill(store, 1, 1000, 5000)
          const view = yield* store.view(1000)
          yield* store.compact(entryAt(1000, 1).revision, stateAt(1000, 1))
          const startedAt = performance.now()
          assert.isAbove((yield* store.defragment(0)).after, 4 * mebibyte)
          // SQLite would wait 5 s for the reader.
          assert.isBelow(performance.now() - startedAt, 4_000)
          const seen: Array<LogRecord> = []
          for (let done = false; !done;) {
            const page = yield* view.next(100, 1e9)
            seen.push(...page.records)
            done = page.done
          }
          assert.lengthOf(seen, 1000)
          yield* view.close
          assert.isBelow((yield* store.defragment(0)).after, 200_000)
        })
      )
    })
  )

  it.effect("keeps a state of thousands of operations in parts, and drops them when another takes its place", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const large = stateAt(10, 5000)
      yield* use(file, (store) =>
        Effect.gen(function* () {
          yield* fill(store, 1, 20, 10)
          yield* store.compact(1, large)
        })
      )
      yield* use(file, (store) =>
        Effect.gen(function* () {
          const records = yield* viewed(store, 1e9)
          assert.deepStrictEqual(show(records.slice(0, 5000)), show(stateRecords(large)))
          assert.deepStrictEqual(
            records.slice(5000).map(({ index }) => index),
            [1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
          )
          yield* store.compact(1, stateAt(12, 2))
        })
      )
      const db = new Database(file, { readonly: true })
      const names = db
        .prepare<[], string>("SELECT name FROM meta WHERE name GLOB '.state*' ORDER BY name")
        .pluck()
        .all()
      db.close()
      assert.deepStrictEqual(names, [".state", ".state.2.0"])
    })
  )

  it.effect("sets a database aside whose state lacks a part", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      yield* use(file, (store) => Effect.andThen(fill(store, 1, 20, 10), store.compact(1, stateAt(10, 3000))))
      const db = new Database(file)
      db.exec("DELETE FROM meta WHERE name = '.state.1.1'")
      db.close()
      const { setAside } = yield* use(file, (store) => Effect.succeed(store.opened))
      assert.strictEqual(setAside?.reason, "part 1 of the state at index 10 is missing")
    })
  )

  it.effect("is closed in the middle of a compaction: the next one makes it good, whatever was done", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      let to = 0
      for (let round = 1; round <= 4; round++) {
        yield* use(
          file,
          (store) =>
            Effect.gen(function* () {
              assert.strictEqual(store.opened.setAside, undefined)
              yield* fill(store, to + 1, to + 400, 100)
              to += 400
              const revision = entryAt(to - 50, 1).revision
              const compaction = yield* Effect.forkChild(store.compact(revision, stateAt(to - 20, 2000)), {
                startImmediately: true
              })
              // So many requests later the store is closed, the compaction with it.
              for (let i = 0; i < 5 * round; i++) yield* store.bounds
              yield* Fiber.interrupt(compaction)
              assert.isAtMost((yield* store.bounds).floor, revision)
            }),
          7
        )
        // Nothing that readers at the floor need is gone.
        yield* use(file, (store) =>
          Effect.gen(function* () {
            assert.strictEqual(store.opened.setAside, undefined)
            const { firstIndex } = store.opened
            const entries = yield* store.entries(firstIndex, 1e6, 1e9)
            assert.deepStrictEqual(
              entries.map(({ index }) => index),
              Array.from({ length: to - firstIndex + 1 }, (_, i) => firstIndex + i)
            )
            const indexes = (yield* viewed(store, 1e9)).filter((r) => r.op === undefined).map(({ index }) => index)
            for (const index of kept(to - 50, to)) if (Number(index) % 4 !== 0) assert.include(indexes, Number(index))
          })
        )
      }
      yield* use(file, (store) =>
        Effect.gen(function* () {
          yield* store.compact(entryAt(to - 50, 1).revision, stateAt(to - 20, 3))
          const records = yield* viewed(store, 1e9)
          assert.deepStrictEqual(
            records.slice(0, 3).map(({ op }) => text(op!)),
            [0, 1, 2].map((i) => `state ${i} at ${to - 20}`)
          )
          // Operations above the floor stay in the log, but the state stands for those up to its index.
          const expected = kept(to - 50, to).filter((index) => Number(index) % 4 !== 0 || Number(index) > to - 20)
          assert.deepStrictEqual(
            records.slice(3).map(({ index }) => `${index}`),
            expected
          )
          assert.strictEqual((yield* store.compact(entryAt(to - 50, 1).revision)).removed, 0)
        })
      )
    })
  )
})
