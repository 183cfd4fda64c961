/** The tables of docs/observability.md about metrics: what the program registers, with hints of metricHints.ts. */
import { catalog } from "../../src/core/metrics/catalog.ts"
import type { CatalogEntry } from "../../src/core/metrics/entry.ts"
import { etcdCatalog } from "../../src/core/metrics/etcdCatalog.ts"
import { electorCatalog, primaryCatalog, replicaCatalog } from "../../src/core/metrics/roleCatalog.ts"
import { grpcCatalog, processCatalog } from "../../src/core/metrics/serverCatalog.ts"
import { code, table } from "./markdown.ts"
import { labelValues, worthAnAlert } from "./metricHints.ts"

export const catalogs: Readonly<Record<string, Readonly<Record<string, CatalogEntry>>>> = {
  "metrics of every node": catalog,
  "metrics of the Primary": primaryCatalog,
  "metrics of a Replica": replicaCatalog,
  "metrics of the Elector": electorCatalog,
  "metrics under etcd's names": etcdCatalog,
  "metrics of gRPC": grpcCatalog,
  "metrics of the process": processCatalog
}

export const allMetrics: ReadonlyArray<CatalogEntry> = Object.values(catalogs).flatMap((one) => Object.values(one))

const labelsOf = (entry: CatalogEntry): string =>
  (entry.labels ?? [])
    .map((label) => {
      const values = labelValues[entry.name]?.[label] ?? labelValues["*"]![label]
      return values === undefined ? code(label) : `${code(label)}: ${values}`
    })
    .join("; ")

const rangeOf = ({ buckets }: CatalogEntry): string =>
  buckets === undefined ? "" : `, ${buckets[0]} to ${buckets[buckets.length - 1]}`

const row = (entry: CatalogEntry): ReadonlyArray<string> => [
  code(entry.name),
  `${entry.type}${rangeOf(entry)}`,
  labelsOf(entry),
  entry.help,
  worthAnAlert[entry.name] ?? ""
]

export const metricTables: Readonly<Record<string, () => string>> = Object.fromEntries(
  Object.entries(catalogs).map(([name, entries]) => [
    name,
    () => table(["Name", "Type", "Labels", "Meaning", "Worth an alert"], Object.values(entries).map(row))
  ])
)
