/** The Compactor over a local store: what it does for a task, in which order, and what comes between. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Latch } from "effect"
import { TestClock } from "effect/testing"
import * as CompactorLocal from "../../src/layers/CompactorLocal.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { Compactor, type CompactionTask } from "../../src/services/Compactor.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { viewed } from "../localstore/lives.ts"
import { bytes, operation, puts, text } from "../localstore/records.ts"

const running = <A, E>(
  body: (services: {
    readonly compactor: Compactor["Service"]
    readonly store: LocalStore["Service"]
    readonly lines: Array<LogMemory.MemoryLine>
  }) => Effect.Effect<A, E>,
  change: (store: LocalStore["Service"]) => LocalStore["Service"] = (store) => store
) =>
  Effect.suspend(() => {
    const lines: Array<LogMemory.MemoryLine> = []
    const stores = Layer.effect(LocalStore, Effect.map(LocalStore, change)).pipe(
      Layer.provide(LocalStoreMemory.layer())
    )
    const layer = CompactorLocal.layer.pipe(
      Layer.provideMerge(stores),
      Layer.provide(Layer.mergeAll(SupervisorFatal.layer, LogMemory.layer(lines), MetricsPrometheus.layer))
    )
    return Effect.gen(function* () {
      return yield* body({ compactor: yield* Compactor, store: yield* LocalStore, lines })
    }).pipe(Effect.provide(layer))
  })

/** Sweeps in three steps unless told otherwise; notes what happens. */
const task = (revision: number, events: Array<string>, more: Partial<CompactionTask> = {}): CompactionTask => {
  let steps = 3
  return {
    revision,
    index: 0,
    sweep: () => {
      events.push(`sweep ${revision}`)
      return --steps === 0
    },
    done: () => events.push(`done ${revision}`),
    ...more
  }
}

describe("CompactorLocal", () => {
  it.effect("C3: is done when memory and disk are, and not before", () =>
    running(({ compactor, store }) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 20), 20)
        const events: Array<string> = []
        compactor.request(task(15, events))
        assert.deepStrictEqual(events, [])
        assert.strictEqual((yield* store.bounds).floor, 0)
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(events, ["sweep 15", "sweep 15", "sweep 15", "done 15"])
        assert.strictEqual((yield* store.bounds).floor, 15)
        assert.lengthOf(yield* store.changes(0, 100, 1e9), 10)
      })
    )
  )

  it.effect("puts the state of that moment in the place of the operations", () =>
    running(({ compactor, store }) =>
      Effect.gen(function* () {
        yield* store.append([...puts(1, 8), operation(9, 1, 8, "grant"), operation(10, 1, 8, "revoke")], 10)
        let index = 9
        const events: Array<string> = []
        const state = () => ({ index, term: 1, revision: 8, ops: [bytes("nothing is left")] })
        compactor.request(task(8, events, { state }))
        index = 10
        yield* TestClock.adjust(1)
        const ops = (yield* viewed(store, 99)).flatMap(({ op }) => (op === undefined ? [] : [text(op)]))
        assert.deepStrictEqual(ops, ["nothing is left"])
      })
    )
  )

  it.effect("does tasks that wait together at once, and tells each", () =>
    running(({ compactor, lines, store }) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 20), 20)
        const events: Array<string> = []
        for (const revision of [5, 9, 12]) compactor.request(task(revision, events))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(events, ["sweep 12", "sweep 12", "sweep 12", "done 5", "done 9", "done 12"])
        assert.lengthOf(
          lines.filter(({ event }) => event === "compaction_completed"),
          1
        )
      })
    )
  )

  it.effect("frees memory at once, and the disk when the bucket has everything up to the compaction", () =>
    running(({ compactor, store }) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 20), 20)
        const events: Array<string> = []
        compactor.request(task(15, events, { index: 18, sweep: () => events.push("swept") > 0 }))
        compactor.stored(17)
        yield* TestClock.adjust(900)
        assert.deepStrictEqual(events, ["swept"])
        assert.strictEqual((yield* store.bounds).floor, 0)
        compactor.stored(18)
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(events, ["swept", "done 15"])
        assert.strictEqual((yield* store.bounds).floor, 15)
      })
    )
  )

  it.effect("lets nobody wait longer than a second for the bucket, and does the disk's part later", () =>
    running(({ compactor, store }) =>
      Effect.gen(function* () {
        yield* store.append(puts(1, 20), 20)
        const events: Array<string> = []
        for (const revision of [5, 9, 12, 15]) {
          compactor.request(task(revision, events, { index: revision, sweep: () => true }))
          yield* TestClock.adjust(600)
        }
        assert.deepStrictEqual(events, ["done 5", "done 9", "done 12"])
        yield* TestClock.adjust(400)
        assert.deepStrictEqual(events, ["done 5", "done 9", "done 12", "done 15"])
        compactor.stored(12)
        yield* TestClock.adjust(1)
        // Those between the first and the last are the last one's.
        assert.strictEqual((yield* store.bounds).floor, 5)
        compactor.stored(20)
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* store.bounds).floor, 15)
        assert.lengthOf(events, 4)
      })
    )
  )

  it.effect("keeps the operations of entries that the bucket lacks, whatever the floor", () =>
    running(({ compactor, store }) =>
      Effect.gen(function* () {
        yield* store.append([...puts(1, 8), ...[9, 10, 11, 12].map((index) => operation(index, 1, 8, "grant"))], 12)
        const state = () => ({ index: 12, term: 1, revision: 8, ops: [bytes("all of it")] })
        compactor.stored(10)
        compactor.request(task(8, [], { index: 9, state, sweep: () => true }))
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* store.bounds).firstIndex, 11)
        assert.deepStrictEqual(
          (yield* store.entries(11, 10, 1e9)).map(({ index }) => index),
          [11, 12]
        )
      })
    )
  )

  it.effect("does not let the next compaction wait until the files have shrunk", () =>
    Effect.gen(function* () {
      const held = yield* Latch.make(false)
      let shrinking = 0
      yield* running(
        ({ compactor, lines, store }) =>
          Effect.gen(function* () {
            yield* store.append(puts(1, 20), 20)
            const events: Array<string> = []
            compactor.request(task(5, events, { sweep: () => true }))
            yield* TestClock.adjust(1)
            assert.deepStrictEqual([shrinking, ...events], [1, "done 5"])
            compactor.request(task(9, events, { sweep: () => true }))
            yield* TestClock.adjust(1)
            assert.deepStrictEqual([shrinking, ...events], [2, "done 5", "done 9"])
            yield* held.open
            yield* TestClock.adjust(1)
            assert.deepStrictEqual(lines.at(-1)?.event, "local_db_shrunk")
          }),
        (store) => ({
          ...store,
          defragment: () =>
            Effect.suspend(() => {
              shrinking++
              return Effect.as(held.await, { before: 2, after: 1 })
            })
        })
      )
    })
  )
})
