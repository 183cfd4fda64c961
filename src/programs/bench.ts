/**
 * `make bench`: put and get with 1, 10 and 100 requests in flight against a node over a directory, over dev-s3, and over
 * dev-s3 with the latency of S3, beside etcd where it is installed; and how long a start takes. Usage: docs/benchmarks.md.
 */
// Measures wall-clock time: that is what a benchmark is for.
// @effect-diagnostics globalDateInEffect:off
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { join, resolve } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, type Scope } from "effect"
import { type CellResult, type Operation, preload, runCell } from "./bench/cells.ts"
import { BenchFailure } from "./bench/failure.ts"
import { type BenchOptions, chosen, parseOptions, usage } from "./bench/options.ts"
import { type Group, markdown, progress, type Report } from "./bench/report.ts"
import { directory, findEtcd, firstAnswer, type Server, startDevS3, startEtcd, startNetsy } from "./bench/servers.ts"
import { emptyStart, restart, type StartResult } from "./bench/startTime.ts"

const operations: ReadonlyArray<Operation> = ["put", "get"]
const inFlights = [1, 10, 100]
/** S3 Standard as measured by others: median and 99th percentile of a PUT. */
const s3Latency = "28ms,80ms"

interface Contender {
  readonly name: string
  readonly title: string
  readonly start: (folder: string) => Effect.Effect<Server, BenchFailure, Scope.Scope>
}

const contenders = (options: BenchOptions): ReadonlyArray<Contender> => {
  const profile = options.profile === undefined ? undefined : resolve(options.profile)
  const overS3 = (latency: string | undefined) => (folder: string) =>
    Effect.flatMap(startDevS3(folder, latency), (storage) => startNetsy({ folder, storage, profile }))
  const etcd = findEtcd()
  return [
    ...(etcd === undefined
      ? []
      : [{ name: "etcd", title: "etcd", start: (folder: string) => startEtcd(etcd, folder) }]),
    { name: "dir", title: "directory", start: (folder) => startNetsy({ folder, storage: directory, profile }) },
    { name: "s3", title: "dev-s3", start: overS3(undefined) },
    { name: "s3-28ms", title: "dev-s3, 28/80 ms", start: overS3(s3Latency) }
  ]
}

const say = (line: string): Effect.Effect<void> => Effect.sync(() => console.log(line))

const runContender = (contender: Contender, options: BenchOptions, folder: string) =>
  Effect.gen(function* () {
    const wanted = operations
      .flatMap((operation) =>
        inFlights.map((inFlight) => ({ operation, inFlight, name: `${contender.name}/${operation}/${inFlight}` }))
      )
      .filter((cell) => chosen(options.only, cell.name))
    const cells: Array<CellResult> = []
    if (wanted.length > 0) {
      const server = yield* contender.start(join(folder, contender.name))
      yield* firstAnswer(server)
      yield* preload(server)
      for (const { operation, inFlight, name } of wanted) {
        const cell = yield* runCell({ server, operation, inFlight, seconds: options.seconds })
        yield* say(progress(name, cell))
        cells.push(cell)
      }
      yield* server.process.stop("SIGTERM")
    }
    return { name: contender.name, title: contender.title, cells } satisfies Group
  }).pipe(
    Effect.scoped,
    Effect.mapError((failure) => new BenchFailure({ message: `${contender.name}: ${failure.message}` }))
  )

const runStarts = (options: BenchOptions, folder: string) =>
  Effect.gen(function* () {
    const starts: Array<StartResult> = []
    const all = [
      { name: "start/empty", run: emptyStart(folder) },
      { name: "start/restart", run: restart(folder, "SIGTERM") },
      { name: "start/restart-killed", run: restart(folder, "SIGKILL") }
    ]
    for (const { name, run } of all) {
      if (!chosen(options.only, name)) continue
      const result = yield* run
      yield* say(`${name.padEnd(20)} ${Math.round(result.medianMillis)} ms`)
      starts.push(result)
    }
    return starts
  })

/** On the disk of the project, not in a memory file system: syncs must be real. */
const workFolder = Effect.acquireRelease(
  Effect.sync(() => {
    mkdirSync("temp", { recursive: true })
    return mkdtempSync(resolve("temp", "bench-"))
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const etcdVersion = (): string | undefined => {
  const command = findEtcd()
  return command === undefined ? undefined : execFileSync(command, ["--version"], { encoding: "utf8" }).split("\n")[0]
}

const run = (options: BenchOptions) =>
  Effect.gen(function* () {
    const folder = yield* workFolder
    const loadBefore = loadavg()[0]!
    const etcd = etcdVersion()
    if (etcd === undefined) yield* say("etcd is not installed here (Debian: etcd-server): no comparison.")
    const groups: Array<Group> = []
    for (const contender of contenders(options)) {
      const group = yield* runContender(contender, options, folder)
      if (group.cells.length > 0) groups.push(group)
    }
    const starts = yield* runStarts(options, folder)
    if (groups.length + starts.length === 0) {
      return yield* new BenchFailure({ message: `no cell is named ${options.only.join(" or ")}` })
    }
    const machine = {
      cpu: cpus()[0]?.model ?? "unknown CPU",
      cores: cpus().length,
      node: process.versions.node,
      date: new Date().toISOString().slice(0, 10),
      loadBefore,
      loadAfter: loadavg()[0]!
    }
    const report: Report = { machine, seconds: options.seconds, etcd, groups, starts }
    yield* say(`\n${markdown(report)}\n`)
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
  }).pipe(Effect.scoped)

const main = Effect.gen(function* () {
  const argv = process.argv.slice(2)
  const options = yield* Effect.try({
    try: () => parseOptions(argv),
    catch: (error) => new BenchFailure({ message: error instanceof Error ? error.message : String(error) })
  })
  if (options.help) return yield* say(usage.trimEnd())
  yield* run(options).pipe(
    Effect.ensuring(say(`repeat: make bench${argv.length === 0 ? "" : ` ARGS="${argv.join(" ")}"`}`))
  )
})

main.pipe(
  Effect.catchTag("BenchFailure", (failure) =>
    Effect.sync(() => {
      console.error(`bench: ${failure.message}`)
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
