/** The figures as Markdown tables and as JSON. Pure. */
import type { CellResult } from "./cells.ts"
import type { StartResult } from "./startTime.ts"

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly node: string
  /** `YYYY-MM-DD` */
  readonly date: string
  /** One-minute load averages when the run began and ended. */
  readonly loadBefore: number
  readonly loadAfter: number
}

export interface Group {
  readonly name: string
  readonly title: string
  readonly cells: ReadonlyArray<CellResult>
}

export interface Report {
  readonly machine: Machine
  readonly seconds: number
  /** Its version; undefined: not installed. */
  readonly etcd: string | undefined
  readonly groups: ReadonlyArray<Group>
  readonly starts: ReadonlyArray<StartResult>
}

const rate = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(value >= 10 ? 0 : 1)
const millis = (value: number): string => value.toFixed(value >= 10 ? 1 : 2)
const percent = (value: number | undefined): string => (value === undefined ? "" : `${Math.round(value * 100)} %`)

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((title, i) => Math.max(title.length, 4, ...rows.map((row) => row[i]!.length)))
  const line = (cells: ReadonlyArray<string>): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))
  return [line(head), line(rule), ...rows.map(line)].join("\n")
}

const ratioTo = (etcd: Group | undefined, cell: CellResult): string => {
  const same = etcd?.cells.find((c) => c.operation === cell.operation && c.inFlight === cell.inFlight)
  return same === undefined ? "" : `${(cell.opsPerSecond / same.opsPerSecond).toFixed(2)} ×`
}

const heads = [
  "store",
  "call",
  "in flight",
  "ops/s",
  "p50 ms",
  "p99 ms",
  "PUT/s to bucket",
  "server CPU",
  "generator CPU",
  "to etcd"
]

const cellsTable = (report: Report): string => {
  const etcd = report.groups.find((group) => group.name === "etcd")
  const rows = report.groups.flatMap((group) =>
    group.cells.map((cell) => [
      group.title,
      cell.operation,
      String(cell.inFlight),
      rate(cell.opsPerSecond),
      millis(cell.p50Millis),
      millis(cell.p99Millis),
      cell.bucketPutsPerSecond === undefined ? "" : rate(cell.bucketPutsPerSecond),
      percent(cell.serverCpu),
      percent(cell.generatorCpu),
      group === etcd ? "" : ratioTo(etcd, cell)
    ])
  )
  return table(heads, rows)
}

const startTitles: Readonly<Record<string, string>> = {
  empty: "empty folder",
  restart: "10,000 keys, after a stop",
  "restart-killed": "10,000 keys, after SIGKILL"
}

const startsTable = (starts: ReadonlyArray<StartResult>): string =>
  table(
    ["start", "median ms", "runs, ms"],
    starts.map((start) => [
      startTitles[start.name] ?? start.name,
      Math.round(start.medianMillis).toString(),
      start.millis.map((value) => Math.round(value)).join(", ")
    ])
  )

const caption = ({ machine, seconds }: Report): string =>
  `${machine.date}, ${machine.cores} cores ${machine.cpu}, Node ${machine.node}, ${seconds} s a cell, ` +
  `load average ${machine.loadBefore.toFixed(1)} before and ${machine.loadAfter.toFixed(1)} after`

/** All tables, as they stand in docs/benchmarks.md. */
export const markdown = (report: Report): string => {
  const parts = [caption(report)]
  if (report.groups.length > 0) parts.push(cellsTable(report))
  if (report.starts.length > 0) parts.push(startsTable(report.starts))
  parts.push(report.etcd === undefined ? "etcd is not installed here: no comparison." : `Compared with: ${report.etcd}`)
  return parts.join("\n\n")
}

/** One line while the run goes on. */
export const progress = (name: string, cell: CellResult): string =>
  `${name.padEnd(20)} ${rate(cell.opsPerSecond).padStart(8)}/s   p50 ${millis(cell.p50Millis)} ms   p99 ${millis(cell.p99Millis)} ms`
