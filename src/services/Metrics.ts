/**
 * Prometheus metrics by name, plain synchronous updates. Names: netsy-1x.md 14.2. Registering twice returns the same
 * metric. Hot callers keep one frozen label object per label set: it is found by identity.
 */
import { Context } from "effect"

export type Labels = Readonly<Record<string, string>>

export interface Counter {
  readonly inc: (labels?: Labels, by?: number) => void
}
export interface Gauge {
  readonly set: (value: number, labels?: Labels) => void
  /** Drops all label sets: the metric is absent from the output until set again. */
  readonly clear: () => void
}
export interface Histogram {
  readonly observe: (value: number, labels?: Labels) => void
}
export interface MetricOptions {
  readonly name: string
  readonly help: string
  readonly labels?: ReadonlyArray<string>
}

export class Metrics extends Context.Service<
  Metrics,
  {
    readonly counter: (options: MetricOptions) => Counter
    readonly gauge: (options: MetricOptions) => Gauge
    /** Default buckets .005 … 10 s (netsy-1x.md 14.2). */
    readonly histogram: (options: MetricOptions & { readonly buckets?: ReadonlyArray<number> }) => Histogram
    /** Runs `collect` before each rendering, for gauges that are computed at scrape time. */
    readonly onScrape: (collect: () => void) => void
    readonly render: () => Promise<string>
  }
>()("netsy/services/Metrics") {}
