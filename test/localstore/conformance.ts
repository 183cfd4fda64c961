/** What every `LocalStore` does, whatever it keeps its data on. `disk` makes the layer over a new, empty disk. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Schema, type Scope } from "effect"
import { InvariantViolation } from "../../src/core/assert.ts"
import { type LogRecord, positionZero } from "../../src/core/log/record.ts"
import { LocalStore, LocalStoreFailed } from "../../src/services/LocalStore.ts"
import { behavesLikeTheModel, longHistory, Step } from "./property.ts"
import { bytes, changing, first, operation, puts, recordsOf, show, text, unusual } from "./records.ts"

export type Disk = Effect.Effect<Layer.Layer<LocalStore, LocalStoreFailed>, never, Scope.Scope>
type Service = LocalStore["Service"]

/** One life of the store: opened, used, closed. */
const life = <A, E>(layer: Layer.Layer<LocalStore, LocalStoreFailed>, use: (store: Service) => Effect.Effect<A, E>) =>
  Effect.flatMap(LocalStore, use).pipe(Effect.provide(layer))

const broken = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof InvariantViolation

const viewed = Effect.fnUntraced(function* (store: Service, upToIndex: number) {
  const view = yield* store.view(upToIndex)
  const records: Array<LogRecord> = []
  for (;;) {
    const page = yield* view.next(3, 1e9)
    assert.isAtMost(page.records.length, 3)
    records.push(...page.records)
    if (page.done) break
  }
  yield* view.close
  return records
})

export const conformance = (
  name: string,
  disk: Disk,
  options: { readonly runs: number; readonly seeds: number; readonly steps: number }
): void => {
  /** A test over one life of a store on an empty disk. */
  const fresh = (title: string, use: (store: Service) => Effect.Effect<void, unknown>) =>
    it.effect(title, () => Effect.flatMap(disk, (layer) => life(layer, use)))

  describe(name, () => {
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

    fresh("gives every field of a record back exactly", (store) =>
      Effect.gen(function* () {
        yield* store.append([{ ...unusual, records: [unusual] }], 0)
        assert.deepStrictEqual(show(recordsOf(yield* store.entries(1, 1, 1))), show([unusual]))
        const change = { ...unusual, index: 2, revision: 2 ** 53 - 1, op: undefined, leaderId: "" }
        yield* store.append([{ ...change, records: [change] }], 0)
        assert.deepStrictEqual(show(yield* store.changes(0, 2 ** 53 - 1, 1)), show([change]))
        const [version] = yield* store.versions([{ key: change.key, revision: change.revision }])
        assert.deepStrictEqual(show([version]), show([change]))
      })
    )

    fresh("refuses a gap, a repetition, a lower term, a lower revision and records of another entry", (store) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 3, 2), 0)
        const foreign = changing(9, 2, 4, [{ key: "a", value: "1" }]).records
        for (const entries of [
          puts(5, 5, 2),
          puts(3, 3, 2),
          puts(4, 4, 1),
          [changing(4, 2, 2, [{ key: "a", value: "1" }])],
          [{ index: 4, term: 2, revision: 4, records: foreign }],
          [{ index: 4, term: 2, revision: 4, records: [] }],
          [...puts(4, 5, 2), ...puts(7, 7, 2)]
        ]) {
          assert.isTrue(broken(yield* Effect.exit(store.append(entries, 0))))
        }
        // Nothing of it was kept, and the store goes on.
        yield* store.append(puts(4, 4, 2), 0)
        assert.deepStrictEqual((yield* store.bounds).last, { index: 4, term: 2 })
      })
    )

    fresh("stores a commit index that never goes back and never passes the log", (store) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 3), 9)
        assert.strictEqual((yield* store.bounds).commitIndex, 3)
        yield* store.append(puts(4, 8), 6)
        yield* store.append(puts(9, 9), 2)
        assert.strictEqual((yield* store.bounds).commitIndex, 6)
      })
    )

    fresh("truncates what is uncommitted and refuses to truncate what is committed", (store) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 6), 3)
        assert.isTrue(broken(yield* Effect.exit(store.truncateFrom(3))))
        yield* store.truncateFrom(5)
        yield* store.truncateFrom(5)
        assert.deepStrictEqual((yield* store.bounds).last, { index: 4, term: 1 })
        yield* store.append(puts(5, 5, 2, "w"), 0)
        const changes = yield* store.changes(4, 99, 1e9)
        assert.deepStrictEqual(
          changes.map((record) => text(record.value)),
          ["v4", "w5"]
        )
      })
    )

    fresh("pages entries by count and by bytes, whole and at least one", (store) =>
      Effect.gen(function* () {
        const big = changing(3, 1, 3, [
          { key: "x", value: "1".repeat(5000) },
          { key: "y", value: "2".repeat(5000) }
        ])
        const entries = [...puts(1, 2), big, ...puts(4, 6)]
        yield* store.append(entries, 0)
        const indexes = (found: ReadonlyArray<{ readonly index: number }>) => found.map(({ index }) => index)
        assert.deepStrictEqual(indexes(yield* store.entries(2, 3, 1e9)), [2, 3, 4])
        assert.deepStrictEqual(indexes(yield* store.entries(3, 9, 1)), [3])
        assert.deepStrictEqual(show((yield* store.entries(3, 9, 1))[0]!.records), show(big.records))
        assert.deepStrictEqual(indexes(yield* store.entries(2, 9, 6000)), [2, 3])
        assert.deepStrictEqual(indexes(yield* store.entries(7, 9, 1e9)), [])
      })
    )

    fresh("answers changes in whole revisions, without operations and without the internal record", (store) =>
      Effect.gen(function* () {
        const pair = [
          { key: "a", value: "1".repeat(300) },
          { key: "b", value: "2".repeat(300) }
        ]
        yield* store.append([first(1), changing(2, 1, 2, pair), operation(3, 1, 2), changing(4, 1, 3, pair)], 0)
        const seen = (records: ReadonlyArray<LogRecord>) => records.map((r) => `${r.revision}.${r.sub}`)
        assert.deepStrictEqual(seen(yield* store.changes(0, 9, 1)), ["2.0", "2.1"])
        assert.deepStrictEqual(seen(yield* store.changes(0, 9, 1e9)), ["2.0", "2.1", "3.0", "3.1"])
        assert.deepStrictEqual(seen(yield* store.changes(3, 3, 1e9)), ["3.0", "3.1"])
        assert.deepStrictEqual(seen(yield* store.changes(4, 9, 1e9)), [])
        assert.lengthOf(yield* viewed(store, 4), 6)
      })
    )

    fresh("finds versions by key and revision: the last of that revision, and none of the internal record", (store) =>
      Effect.gen(function* () {
        const twice = changing(2, 1, 2, [{ key: "_netsy", value: "1" }, { key: "_netsy" }])
        yield* store.append([first(1), twice], 0)
        const key = bytes("_netsy")
        const found = yield* store.versions([
          { key, revision: 2 },
          { key, revision: 1 },
          { key: bytes("_nets"), revision: 2 }
        ])
        assert.deepStrictEqual(show(found), show([twice.records[1], undefined, undefined]))
        assert.deepStrictEqual(yield* store.versions([]), [])
      })
    )

    fresh("keeps a view as it was while entries are appended, truncated and compacted away", (store) =>
      Effect.gen(function* () {
        yield* store.append([operation(1, 1, 0), ...puts(2, 9)], 6)
        const view = yield* store.view(7)
        assert.deepStrictEqual([view.count, view.changeCount], [7, 6])
        const start = yield* view.next(2, 1e9)
        assert.isFalse(start.done)
        yield* store.append(puts(10, 20), 6)
        yield* store.truncateFrom(7)
        yield* store.compact(6)
        const rest = yield* view.next(100, 1e9)
        assert.isTrue(rest.done)
        yield* view.close
        const all = [...start.records, ...rest.records]
        assert.deepStrictEqual(show(all), show(recordsOf([operation(1, 1, 0), ...puts(2, 7)])))
      })
    )

    fresh("pages a view by bytes, at least one record a page", (store) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 4, 1, "x".repeat(1000)), 0)
        const view = yield* store.view(9)
        const sizes: Array<number> = []
        for (let done = false; !done;) {
          const page = yield* view.next(100, 10)
          sizes.push(page.records.length)
          done = page.done
        }
        yield* view.close
        assert.deepStrictEqual(sizes, [1, 1, 1, 1])
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
              [11, 12, 40, 50, 56]
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

    fresh("serves requests in the order in which they were made", (store) =>
      Effect.gen(function* () {
        const answers = yield* Effect.all(
          [store.append(puts(1, 50), 0), store.bounds, store.append(puts(51, 99), 0), store.termAt(99)],
          { concurrency: "unbounded" }
        )
        assert.strictEqual(answers[1].last.index, 50)
        assert.strictEqual(answers[3], 1)
      })
    )

    fresh("lets those wait who ask while too much is under way, and serves them all in order", (store) =>
      Effect.gen(function* () {
        const appends = Array.from({ length: 600 }, (_, i) => store.append(puts(i + 1, i + 1), 0))
        yield* Effect.all(appends, { concurrency: "unbounded" })
        assert.strictEqual((yield* store.bounds).last.index, 600)
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

    fresh("says how large it is", (store) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 20, 1, "x".repeat(1000)), 0)
        const { inUse, total } = yield* store.size
        assert.isAtLeast(inUse, 20_000)
        assert.isAtLeast(total, inUse)
      })
    )

    it.effect.prop(
      "any history of appends, truncations, compactions, restores and restarts reads as the model says",
      [Schema.Array(Step)],
      ([steps]) => Effect.scoped(Effect.flatMap(disk, (layer) => behavesLikeTheModel(layer, steps))),
      { arbitrary: { runs: options.runs, seed: "local store" }, timeout: 120_000 }
    )

    it.effect(
      "a long history reads as the model says after every step",
      () =>
        Effect.gen(function* () {
          for (let seed = 1; seed <= options.seeds; seed++) {
            yield* Effect.scoped(
              Effect.flatMap(disk, (layer) => behavesLikeTheModel(layer, longHistory(seed, options.steps)))
            )
          }
        }),
      120_000
    )
  })
}
