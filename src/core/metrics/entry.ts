/** How a metric is described: what registers it, and what docs/observability.md shows. */
import type { MetricOptions } from "../../services/Metrics.ts"

export type CatalogEntry = MetricOptions & {
  readonly type: "counter" | "gauge" | "histogram"
  readonly buckets?: ReadonlyArray<number>
}

/** Prometheus' defaults, in seconds. */
export const secondsBuckets: ReadonlyArray<number> = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export const gauge = (name: string, help: string, ...labels: ReadonlyArray<string>) =>
  ({ type: "gauge", name, help, labels }) as const satisfies CatalogEntry
export const counter = (name: string, help: string, ...labels: ReadonlyArray<string>) =>
  ({ type: "counter", name, help, labels }) as const satisfies CatalogEntry
export const histogram = (
  name: string,
  help: string,
  buckets: ReadonlyArray<number>,
  ...labels: ReadonlyArray<string>
) => ({ type: "histogram", name, help, labels, buckets }) as const satisfies CatalogEntry
