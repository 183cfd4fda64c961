/** Common suite: the log within one life of the store. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { LogRecord } from "../../src/core/log/record.ts"
import { broken, type Disk, onFresh, viewed } from "./lives.ts"
import { bytes, changing, first, operation, puts, recordsOf, show, text, unusual } from "./records.ts"

export const logSuite = (disk: Disk): void => {
  const fresh = onFresh(disk)

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

  fresh("says how large it is", (store) =>
    Effect.gen(function* () {
      yield* store.append(puts(1, 20, 1, "x".repeat(1000)), 0)
      const { inUse, total } = yield* store.size
      assert.isAtLeast(inUse, 20_000)
      assert.isAtLeast(total, inUse)
    })
  )
}
