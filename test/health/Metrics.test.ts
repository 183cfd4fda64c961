import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { catalog } from "../../src/core/metrics/catalog.ts"
import { secondsBuckets } from "../../src/core/metrics/entry.ts"
import { labelSetsMax } from "../../src/layers/metrics/metricCells.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import { Metrics } from "../../src/services/Metrics.ts"

const render = Effect.gen(function* () {
  const metrics = yield* Metrics
  return (yield* Effect.promise(() => metrics.render())).split("\n")
})

describe("MetricsPrometheus", () => {
  it.effect("shows counters, gauges and histograms in Prometheus' text format", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics
      const counter = metrics.counter({ name: "t_total", help: "Things.", labels: ["kind"] })
      counter.inc({ kind: "a" })
      counter.inc(Object.freeze({ kind: "a" }), 2)
      counter.inc({ kind: 'q"\\' })
      metrics.gauge({ name: "t_now", help: "Now." }).set(2.5)
      metrics.gauge({ name: "t_absent", help: "Absent." })
      const histogram = metrics.histogram({ name: "t_seconds", help: "Time.", labels: ["kind"], buckets: [1, 2] })
      for (const value of [0.5, 1, 1.5, 7]) histogram.observe(value, { kind: "a" })
      const lines = yield* render
      for (const line of [
        "# HELP t_total Things.",
        "# TYPE t_total counter",
        't_total{kind="a"} 3',
        't_total{kind="q\\"\\\\"} 1',
        "t_now 2.5",
        "# TYPE t_seconds histogram",
        't_seconds_bucket{kind="a",le="1"} 2',
        't_seconds_bucket{kind="a",le="2"} 3',
        't_seconds_bucket{kind="a",le="+Inf"} 4',
        't_seconds_sum{kind="a"} 10',
        't_seconds_count{kind="a"} 4'
      ])
        assert.include(lines, line)
      assert.isUndefined(lines.find((line) => line.startsWith("t_absent ")))
    }).pipe(Effect.provide(MetricsPrometheus.layer))
  )

  it.effect("returns the same metric for the same name, and refuses another shape under it", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics
      const options = { name: "t_total", help: "Things.", labels: ["kind"] }
      metrics.counter(options).inc({ kind: "a" })
      assert.strictEqual(metrics.counter(options), metrics.counter(options))
      assert.throws(() => metrics.gauge(options), /registered as counter/)
      assert.throws(() => metrics.counter({ ...options, labels: [] }), /registered as counter/)
      assert.throws(() => metrics.counter(options).inc({ other: "a" }), /label kind is missing/)
      assert.throws(() => metrics.counter(options).inc({ kind: "a", other: "b" }), /not declared/)
      assert.throws(() => metrics.counter(options).inc({ kind: "a" }, -1), /only grows/)
      assert.include(yield* render, 't_total{kind="a"} 1')
    }).pipe(Effect.provide(MetricsPrometheus.layer))
  )

  it.effect("a cleared gauge is absent until it is set again", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics
      const gauge = metrics.gauge({ name: "t_role", help: "Role.", labels: ["path"] })
      const labels = Object.freeze({ path: "sync" })
      gauge.set(1, labels)
      gauge.clear()
      assert.notInclude((yield* render).join(), "t_role{")
      gauge.set(3, labels)
      assert.include(yield* render, 't_role{path="sync"} 3')
    }).pipe(Effect.provide(MetricsPrometheus.layer))
  )

  it.effect("bounds the label sets of a metric", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics
      const counter = metrics.counter({ name: "t_total", help: "Things.", labels: ["kind"] })
      for (let i = 0; i < labelSetsMax + 500; i++) counter.inc({ kind: `k${i}` })
      const lines = (yield* render).filter((line) => line.startsWith("t_total{"))
      assert.lengthOf(lines, labelSetsMax + 1)
      assert.include(lines, 't_total{kind="other"} 500')
    }).pipe(Effect.provide(MetricsPrometheus.layer))
  )

  it.effect("computes at scrape time what asks for it, and knows the process", () =>
    Effect.gen(function* () {
      const metrics = yield* Metrics
      const gauge = metrics.gauge({ name: "t_age", help: "Age." })
      let age = 1
      metrics.onScrape(() => gauge.set(age++))
      assert.include(yield* render, "t_age 1")
      const lines = yield* render
      assert.include(lines, "t_age 2")
      const valueOf = (name: string) => Number(lines.find((line) => line.startsWith(`${name} `))?.split(" ")[1])
      assert.isAbove(valueOf("process_resident_memory_bytes"), 1e6)
      assert.isAbove(valueOf("process_cpu_seconds_total"), 0)
      assert.isAbove(valueOf("process_start_time_seconds"), -1e9)
      if (process.platform === "linux") assert.isAbove(valueOf("process_open_fds"), 2)
      assert.strictEqual(valueOf("netsy_committed_revision"), 0)
      for (const { name } of Object.values(catalog))
        assert.isTrue(
          lines.some((line) => line.startsWith(`# TYPE ${name} `)),
          name
        )
    }).pipe(Effect.provide(MetricsPrometheus.layer))
  )

  it.effect.prop(
    "a histogram counts what a plain filter counts",
    [Schema.Array(Schema.Int)],
    ([numbers]) =>
      Effect.gen(function* () {
        const values = numbers.map((n) => (n % 20_000) / 1_000)
        const metrics = yield* Metrics
        const histogram = metrics.histogram({ name: "t_seconds", help: "Time." })
        for (const value of values) histogram.observe(value)
        const lines = yield* render
        for (const le of secondsBuckets) {
          assert.include(lines, `t_seconds_bucket{le="${le}"} ${values.filter((value) => value <= le).length}`)
        }
        assert.include(lines, `t_seconds_count ${values.length}`)
      }).pipe(Effect.provide(MetricsPrometheus.layer)),
    { arbitrary: { runs: 50, seed: "histograms" } }
  )
})
