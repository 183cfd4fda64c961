/** Automatic compaction in virtual time, over a `Kv` that notes what it is asked for. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import * as AutoCompactorClock from "../../src/layers/AutoCompactorClock.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import type { PrimaryState } from "../../src/services/NodeStatus.ts"
import { Replicator } from "../../src/services/Replicator.ts"
import type { SettingsShape } from "../../src/services/Settings.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { embeddedSettings } from "../config/embedded.ts"

interface Store {
  role: PrimaryState
  revision: number
  floor: number
  /** Lowest that a watch needs; undefined: no watch is behind. */
  watch: number | undefined
  fail: EtcdError | undefined
  readonly asked: Array<number>
}

/** Only what is used here. */
const kv = (store: Store): Layer.Layer<Kv> =>
  Layer.succeed(Kv, {
    revision: () => store.revision,
    floor: () => store.floor,
    compact: ({ physical, revision }, reply) => {
      assert.isFalse(physical)
      store.asked.push(revision)
      if (store.fail !== undefined) return reply.fail(store.fail)
      store.floor = revision
      reply.succeed({ header: { clusterId: 1n, memberId: 1n, revision: store.revision, raftTerm: 1 } })
    }
  } satisfies Partial<Kv["Service"]> as unknown as Kv["Service"])

const hub = (store: Store): Layer.Layer<WatchHub> =>
  Layer.succeed(WatchHub, {
    stats: () => ({
      streams: 0,
      watches: 0,
      slow: 0,
      eventsSent: 0,
      minRevision: store.watch ?? store.revision + 1
    })
  } satisfies Partial<WatchHub["Service"]> as unknown as WatchHub["Service"])

const replicator = (store: Store): Layer.Layer<Replicator> =>
  Layer.succeed(Replicator, {
    role: () => store.role
  } satisfies Partial<Replicator["Service"]> as unknown as Replicator["Service"])

const running = <A, E>(
  settings: Partial<SettingsShape>,
  body: (store: Store, lines: Array<LogMemory.MemoryLine>) => Effect.Effect<A, E, Metrics>
) =>
  Effect.suspend(() => {
    const store: Store = { role: "active", revision: 1, floor: 0, watch: undefined, fail: undefined, asked: [] }
    const lines: Array<LogMemory.MemoryLine> = []
    const layer = AutoCompactorClock.layer.pipe(
      Layer.provide(
        Layer.mergeAll(kv(store), hub(store), replicator(store), SupervisorFatal.layer, LogMemory.layer(lines))
      ),
      Layer.provide(SettingsValue.layer({ ...embeddedSettings(), ...settings })),
      Layer.provideMerge(MetricsPrometheus.layer)
    )
    return Effect.provide(body(store, lines), layer)
  })

/** An hour, a revision a minute. */
const passHour = Effect.fnUntraced(function* (store: Store) {
  for (let minute = 0; minute < 60; minute++) {
    yield* TestClock.adjust("1 minute")
    store.revision++
  }
})

describe("AutoCompactorClock", () => {
  it.effect("is off unless it is asked for", () =>
    running({}, (store) =>
      Effect.gen(function* () {
        yield* passHour(store)
        assert.deepStrictEqual(store.asked, [])
      })
    )
  )

  it.effect("C5: periodic: compacts every hour what is older than the retention", () =>
    running({ autoCompaction: { mode: "periodic", retentionMillis: 3_600_000 } }, (store) =>
      Effect.gen(function* () {
        for (let hours = 0; hours < 3; hours++) yield* passHour(store)
        assert.deepStrictEqual(store.asked.length, 3)
        for (const [nth, revision] of store.asked.entries()) assert.isAtMost(revision, 1 + nth * 60)
        assert.isAbove(store.floor, 1)
      })
    )
  )

  it.effect("C5: revision: every five minutes all but the last so many", () =>
    running({ autoCompaction: { mode: "revision", retentionRevisions: 30 } }, (store) =>
      Effect.gen(function* () {
        yield* passHour(store)
        // The clock strikes before the minute's revision is written.
        assert.deepStrictEqual(store.asked, [5, 10, 15, 20, 25, 30])
      })
    )
  )

  it.effect("tries again after a failure, says so, and counts both", () =>
    running({ autoCompaction: { mode: "periodic", retentionMillis: 600_000 } }, (store, lines) =>
      Effect.gen(function* () {
        store.fail = errors.requestTimedOut
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(store.asked, [1])
        assert.strictEqual(lines.at(-1)?.event, "auto_compaction_failed")
        store.fail = undefined
        yield* TestClock.adjust("59 seconds")
        assert.deepStrictEqual(store.asked, [1])
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual(store.asked, [1, 1])
        const text = yield* Effect.flatMap(Metrics, (metrics) => Effect.promise(() => metrics.render()))
        assert.include(text, 'netsy_primary_compactions_total{result="error"} 1')
        assert.include(text, 'netsy_primary_compactions_total{result="success"} 1')
      })
    )
  )

  it.effect("takes it for done when a client has compacted further", () =>
    running({ autoCompaction: { mode: "periodic", retentionMillis: 600_000 } }, (store, lines) =>
      Effect.gen(function* () {
        store.fail = errors.compacted
        yield* TestClock.adjust("25 minutes")
        assert.deepStrictEqual(store.asked, [1])
        assert.strictEqual(lines.filter(({ event }) => event === "auto_compaction_failed").length, 0)
      })
    )
  )

  it.effect("interval: never passes what a slow watch still needs", () =>
    running({ compactionIntervalMillis: 300_000 }, (store) =>
      Effect.gen(function* () {
        store.watch = 12
        yield* passHour(store)
        assert.strictEqual(store.floor, 11)
        store.watch = undefined
        yield* TestClock.adjust("5 minutes")
        // What was there an interval ago.
        assert.strictEqual(store.floor, 60)
      })
    )
  )

  it.effect("is done by the Active Primary alone, who knows what was there before its reign", () =>
    running({ autoCompaction: { mode: "periodic", retentionMillis: 3_600_000 } }, (store) =>
      Effect.gen(function* () {
        store.role = "replica"
        for (let hours = 0; hours < 3; hours++) yield* passHour(store)
        assert.deepStrictEqual(store.asked, [])
        store.role = "active"
        yield* TestClock.adjust("6 minutes")
        assert.lengthOf(store.asked, 1)
        assert.approximately(store.asked[0]!, 121, 7)
      })
    )
  )

  it.effect("serves both kinds at the same time", () =>
    running(
      { compactionIntervalMillis: 300_000, autoCompaction: { mode: "revision", retentionRevisions: 5 } },
      (store) =>
        Effect.gen(function* () {
          store.watch = 3
          yield* TestClock.adjust("4 minutes")
          store.revision = 40
          yield* TestClock.adjust("1 minutes")
          assert.deepStrictEqual(store.asked, [35, 1].slice(0, store.asked.length))
          assert.strictEqual(Math.max(...store.asked), 35)
        })
    )
  )
})
