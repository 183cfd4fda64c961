/** When a replica looks at the bucket's history beforehand, and when it lets the bucket be. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import { makeWarm } from "../../src/layers/replicator/warm.ts"
import type { WarmParts } from "../../src/layers/replicator/warm.ts"

const arbiter = (mode: Arbiter["mode"]): Arbiter => ({
  term: 1,
  primary: { nodeId: "a", incarnation: "1" },
  mode,
  voters: [],
  required: 0,
  leaseMillis: 6_000,
  timeoutMillis: 0,
  counter: 1,
  resigned: false,
  allStored: false,
  recovered: undefined
})

const world = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const now = {
    mode: "quorum" as Arbiter["mode"],
    stored: 1,
    rests: true,
    /** Objects in the bucket. */
    objects: 10,
    warmings: 0
  }
  const parts = {
    history: { warm: () => Effect.sync(() => (now.warmings++, now.objects)) },
    view: { current: () => ({ arbiter: arbiter(now.mode), nodes: [{}, {}, {}] }) },
    journal: { debug: () => {} },
    nowMillis: () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
    storedIndex: () => now.stored,
    rests: () => now.rests
  }
  yield* Effect.forkScoped(makeWarm(parts as unknown as WarmParts), { startImmediately: true })
  /** Entries are stored all the time, or never. */
  const pass = (millis: number, writing: boolean) =>
    Effect.gen(function* () {
      const before = now.warmings
      for (let passed = 0; passed < millis; passed += 100) {
        if (writing) now.stored++
        yield* TestClock.adjust(100)
      }
      return now.warmings - before
    })
  return { now, pass }
})

describe("the history that a replica reads beforehand", () => {
  it.effect("is read once at the start, when the node rests", () =>
    Effect.gen(function* () {
      const { now, pass } = yield* world
      now.rests = false
      assert.strictEqual(yield* pass(5_000, true), 0)
      now.rests = true
      assert.strictEqual(yield* pass(5_000, true), 1)
    })
  )

  it.effect("is read again after ten minutes in mode quorum, and not while nothing is stored", () =>
    Effect.gen(function* () {
      const { pass } = yield* world
      assert.strictEqual(yield* pass(60_000, true), 1)
      assert.strictEqual(yield* pass(600_000, true), 1)
      assert.isAtMost(yield* pass(1_300_000, false), 1)
      assert.strictEqual(yield* pass(1_300_000, false), 0)
    })
  )

  it.effect(
    "is read every second in mode store, less often the more objects there are, and not while nothing is stored",
    () =>
      Effect.gen(function* () {
        const { now, pass } = yield* world
        now.mode = "store"
        yield* pass(200, true)
        assert.isAtLeast(yield* pass(11_000, true), 9)
        now.objects = 10_000
        yield* pass(2_000, true)
        const seldom = yield* pass(110_000, true)
        assert.isAtLeast(seldom, 9)
        assert.isAtMost(seldom, 11)
        yield* pass(20_000, false)
        assert.strictEqual(yield* pass(60_000, false), 0)
      })
  )

  it.effect("is read at once when mode store is over", () =>
    Effect.gen(function* () {
      const { now, pass } = yield* world
      now.mode = "store"
      now.objects = 100_000
      yield* pass(500, true)
      now.mode = "quorum"
      assert.strictEqual(yield* pass(500, true), 1)
    })
  )
})
