/**
 * `Metrics` in Prometheus' text format. Values are kept here in plain cells and handed to prom-client when somebody
 * scrapes, because its own update costs 170–300 ns a call. A gauge is absent until it is set; counters and histograms
 * without labels show 0 from their registration.
 */
import { Clock, Effect, Layer } from "effect"
import { type Metric, Registry } from "prom-client"
import { assert } from "../core/assert.ts"
import { catalog, zeroAtStart } from "../core/metrics/catalog.ts"
import { secondsBuckets } from "../core/metrics/entry.ts"
import {
  type Counter,
  type Gauge,
  type Histogram,
  type Labels,
  type MetricOptions,
  Metrics
} from "../services/Metrics.ts"
import { Cells } from "./metrics/metricCells.ts"
import { eventLoopMonitor, register } from "./metrics/processMetrics.ts"

interface Sample {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

interface Registered {
  readonly type: "counter" | "gauge" | "histogram"
  readonly labels: string
  readonly metric: Counter | Gauge | Histogram
}

export const layer: Layer.Layer<Metrics> = Layer.effect(
  Metrics,
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const startSeconds = clock.currentTimeMillisUnsafe() / 1_000 - process.uptime()
    const delays = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const monitor = eventLoopMonitor()
        monitor.enable()
        return monitor
      }),
      (monitor) => Effect.sync(() => monitor.disable())
    )
    const metrics = make()
    for (const entry of Object.values(catalog)) {
      if (entry.type === "counter") metrics.counter(entry)
      else if (entry.type === "gauge") metrics.gauge(entry)
      else metrics.histogram(entry)
    }
    for (const options of zeroAtStart) metrics.gauge(options).set(0)
    metrics.gauge(catalog.processStartTime).set(startSeconds)
    register(metrics, startSeconds, delays)
    return metrics
  })
)

const make = (): Metrics["Service"] => {
  const registry = new Registry()
  const registered = new Map<string, Registered>()
  const collectors: Array<() => void> = []

  /** The same name again: the same metric, if type and labels are the same too. */
  const once = <A extends Counter | Gauge | Histogram>(
    type: Registered["type"],
    options: MetricOptions,
    build: (labelNames: ReadonlyArray<string>) => { readonly metric: A; readonly samples: () => ReadonlyArray<Sample> }
  ): A => {
    const labelNames = options.labels ?? []
    const labels = [...labelNames].sort().join(",")
    const known = registered.get(options.name)
    if (known !== undefined) {
      assert(
        known.type === type && known.labels === labels,
        `metric ${options.name} is registered as ${known.type} {${known.labels}}`
      )
      return known.metric as A
    }
    const { metric, samples } = build(labelNames)
    registered.set(options.name, { type, labels, metric })
    const { name, help } = options
    // What prom-client's registry asks of a metric: a name and `get`.
    registry.registerMetric({ name, get: () => ({ name, help, type, values: samples() }) } as unknown as Metric)
    return metric
  }

  return Metrics.of({
    counter: (options) => once("counter", options, (labelNames) => makeCounter(options.name, labelNames)),
    gauge: (options) => once("gauge", options, (labelNames) => makeGauge(options.name, labelNames)),
    histogram: (options) =>
      once("histogram", options, (labelNames) =>
        makeHistogram(options.name, labelNames, options.buckets ?? secondsBuckets)
      ),
    onScrape: (collect) => {
      collectors.push(collect)
    },
    render: () => {
      for (const collect of collectors) collect()
      return registry.metrics()
    }
  })
}

interface Box {
  value: number
}

const makeBox = (): Box => ({ value: 0 })

const boxSamples = (name: string, cells: Cells<Box>) => (): ReadonlyArray<Sample> =>
  Array.from(cells.all(), ({ labels, value }) => ({ metricName: name, labels, value: value.value }))

const makeCounter = (name: string, labelNames: ReadonlyArray<string>) => {
  const cells = new Cells(name, labelNames, makeBox)
  if (labelNames.length === 0) cells.at(undefined)
  const inc = (labels?: Labels, by = 1): void => {
    assert(by >= 0, `metric ${name}: a counter only grows`)
    cells.at(labels).value += by
  }
  return { metric: { inc }, samples: boxSamples(name, cells) }
}

const makeGauge = (name: string, labelNames: ReadonlyArray<string>) => {
  const cells = new Cells(name, labelNames, makeBox)
  const set = (value: number, labels?: Labels): void => {
    cells.at(labels).value = value
  }
  return { metric: { set, clear: () => cells.clear() }, samples: boxSamples(name, cells) }
}

interface Distribution {
  /** One count per bucket and one for what is above all of them, not cumulative. */
  readonly counts: Float64Array
  sum: number
}

const makeHistogram = (name: string, labelNames: ReadonlyArray<string>, buckets: ReadonlyArray<number>) => {
  assert(
    buckets.every((bound, i) => i === 0 || bound > buckets[i - 1]!),
    `metric ${name}: buckets must ascend`
  )
  const cells = new Cells<Distribution>(name, labelNames, () => ({
    counts: new Float64Array(buckets.length + 1),
    sum: 0
  }))
  if (labelNames.length === 0) cells.at(undefined)
  const observe = (value: number, labels?: Labels): void => {
    const cell = cells.at(labels)
    let i = 0
    while (i < buckets.length && value > buckets[i]!) i++
    cell.counts[i]! += 1
    cell.sum += value
  }
  const samples = (): ReadonlyArray<Sample> =>
    Array.from(cells.all()).flatMap(({ labels, value: { counts, sum } }) => {
      let count = 0
      const cumulative = buckets.map((le, i) => {
        count += counts[i]!
        return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count }
      })
      count += counts[buckets.length]!
      return [
        ...cumulative,
        { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count },
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count }
      ]
    })
  return { metric: { observe }, samples }
}
