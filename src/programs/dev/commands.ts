/** What `make start`, `stop`, `restart`, `status` and `logs` do. */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { Clock, Effect } from "effect"
import { ended, probe, waitUntilReady } from "./health.ts"
import { bucket, devS3, type Instance, netsyNode, s3Port } from "./instances.ts"
import { DevError, halt, launch, pidOf, workerOf } from "./processes.ts"

export interface Options {
  readonly count: number
  readonly watch: boolean
  readonly s3Args: ReadonlyArray<string>
}

const say = (text: string): Effect.Effect<void> => Effect.sync(() => console.log(text))

const s3LimitMillis = 20_000
const nodeLimitMillis = 60_000

/** Runs a script of the project with its output shown; its own message is the error. */
const script = (command: string, args: ReadonlyArray<string>, failure: string): Effect.Effect<void, DevError> =>
  Effect.suspend(() => {
    const result = spawnSync(command, [...args], { stdio: ["ignore", "inherit", "inherit"] })
    return result.status === 0 ? Effect.void : Effect.fail(new DevError({ message: failure }))
  })

const nodes = (options: Options): ReadonlyArray<Instance> =>
  Array.from({ length: options.count }, (_, index) => netsyNode(index + 1, options.watch))

const ready = (instance: Instance): Effect.Effect<void, DevError> =>
  instance.name === "dev-s3"
    ? // Any HTTP answer will do: without a signature the root may be refused.
      waitUntilReady(instance, s3LimitMillis, (answer) => answer.status > 0)
    : waitUntilReady(instance, nodeLimitMillis, (answer) => answer.status === 200)

/** Nodes wait for each other (a majority of the voters must be there), so they are started together. */
const launchAll = Effect.fnUntraced(function* (all: ReadonlyArray<Instance>, freshLog: boolean) {
  for (const node of all) {
    yield* say(`==> ${node.name} (log ${node.logFile})`)
    yield* launch(node, freshLog)
  }
  for (const node of all) yield* ready(node)
})

/** A node that was started alone and restarts by itself would do so in the middle of a cluster's tests. */
const watchesAlone = (instance: Instance): boolean => {
  const pid = pidOf(instance)
  return pid !== undefined && instance.name !== "dev-s3" && workerOf(pid) !== pid
}

/** Numbers of nodes that have data here and are not asked for: they may be voters that the others wait for. */
const leftOut = (count: number): ReadonlyArray<number> =>
  existsSync("temp")
    ? readdirSync("temp").flatMap((name) => {
        const k = Number(/^data-(\d+)$/.exec(name)?.[1] ?? 0)
        return k > count && pidOf(netsyNode(k, false)) === undefined ? [k] : []
      })
    : []

export const start = Effect.fnUntraced(function* (options: Options) {
  const begin = yield* Clock.currentTimeMillis
  const s3 = devS3(options.s3Args)
  const wanted = nodes(options)
  const all = [s3, ...wanted]
  // A watcher whose node crashed would wait for a change in src/ although it was, say, the configuration that was wrong.
  const missing = all.filter((one) => ended(one) || (options.count > 1 && watchesAlone(one)))
  for (const instance of missing) yield* halt(instance)

  if (missing.length > 0) {
    const ports = missing.flatMap((instance) => instance.ports.map(({ port }) => String(port)))
    yield* say(`==> ports ${ports.join(", ")}`)
    yield* script(
      "scripts/dev/check-ports.sh",
      [String(options.count), ...ports],
      "free these ports first (a development environment of another clone? run 'make stop' there)"
    )
    yield* say("==> certificates")
    yield* script("scripts/dev/certs.sh", [String(options.count)], "the certificates could not be made")
  }
  for (const instance of all.filter((one) => !missing.includes(one))) {
    yield* say(`==> ${instance.name} runs already, with the settings of its start (pid ${workerOf(pidOf(instance)!)})`)
  }
  if (missing.includes(s3)) yield* launchAll([s3], true)
  const others = leftOut(options.count)
  if (others.length > 0) {
    const names = others.map((k) => `dev-node-${k}`).join(", ")
    yield* say(`    ${names} took part before: if this takes long, make start NETSY_COUNT=${Math.max(...others)}`)
  }
  yield* launchAll(
    wanted.filter((node) => missing.includes(node)),
    true
  )
  for (const instance of wanted) yield* ready(instance)

  const seconds = (((yield* Clock.currentTimeMillis) - begin) / 1000).toFixed(1)
  const several = options.count > 1
  yield* say(
    [
      "",
      `Ready after ${seconds} s.`,
      `  dev-s3   http://127.0.0.1:${s3Port}, bucket ${bucket} in temp/dev-s3/`,
      ...wanted.map((node) => `  ${node.name}  127.0.0.1: ${portsOf(node)}; TLS with temp/certs/`),
      ...(options.watch ? ["  The node restarts when a file in src/ changes (NETSY_DEV_WATCH=0 turns this off)."] : []),
      ...(several ? ["  After a change in src/: make build restart restarts all nodes."] : []),
      "",
      "Try next:",
      "  scripts/etcdctl/etcdctl.sh put a 1",
      '  scripts/etcdctl/etcdctl.sh get "" --prefix',
      ...(several
        ? [`  scripts/etcdctl/etcdctl.sh --endpoints=${clientEndpoints(wanted)} endpoint status -w table`]
        : []),
      "  curl http://127.0.0.1:8080/metrics",
      `  make status | make logs NAME=netsy-${options.count} | make restart | make stop (the data stays; make clean removes it)`
    ].join("\n")
  )
})

const clientEndpoints = (wanted: ReadonlyArray<Instance>): string =>
  wanted.map(({ ports }) => `127.0.0.1:${ports.find(({ name }) => name === "client")!.port}`).join(",")

const portsOf = (instance: Instance): string => instance.ports.map(({ name, port }) => `${name} ${port}`).join(", ")

const numbered = (): ReadonlyArray<number> =>
  (existsSync("temp/run") ? readdirSync("temp/run") : [])
    .flatMap((file) => {
      const match = /^netsy-(\d+)\.json$/.exec(file)
      return match === null ? [] : [Number(match[1])]
    })
    .toSorted((a, b) => a - b)

/** Numbers of the nodes that run. */
export const runningNodes = (): ReadonlyArray<number> =>
  numbered().filter((k) => pidOf(netsyNode(k, false)) !== undefined)

/** Everything that has a pid file, nodes before the bucket they still write to. */
const known = (): ReadonlyArray<Instance> => [...numbered().map((k) => netsyNode(k, false)), devS3([])]

/** `forGood`: `make clean` removes the data next, so that nothing is said about it here. */
export const stop = Effect.fnUntraced(function* (forGood: boolean) {
  let stopped = 0
  for (const instance of known()) {
    if (pidOf(instance) !== undefined) yield* say(`==> stopping ${instance.name}`)
    if (yield* halt(instance)) stopped += 1
  }
  if (!forGood) yield* say(stopped === 0 ? "Nothing is running." : "Stopped; the data stays in temp/.")
})

export const restart = Effect.fnUntraced(function* (options: Options) {
  if (pidOf(devS3([])) === undefined) return yield* start(options)
  const all = nodes(options)
  for (const node of all) {
    if (pidOf(node) !== undefined) yield* say(`==> stopping ${node.name}`)
    yield* halt(node)
  }
  const ports = all.flatMap((node) => node.ports.map(({ port }) => String(port)))
  yield* script("scripts/dev/check-ports.sh", [String(options.count), ...ports], "free these ports first")
  yield* script("scripts/dev/certs.sh", [String(options.count)], "the certificates could not be made")
  yield* launchAll(all, false)
  yield* say(all.length === 1 ? `${all[0]!.name} is ready.` : `All ${all.length} nodes are ready.`)
})

export const status = Effect.fnUntraced(function* (options: Options) {
  for (const instance of [devS3([]), ...nodes(options)]) {
    const pid = pidOf(instance)
    const answer = yield* probe(instance.readyUrl)
    const state =
      pid === undefined
        ? "stopped"
        : ended(instance)
          ? "ended, see its log; make start starts it again"
          : instance.name === "dev-s3"
            ? answer.status > 0
              ? "up"
              : `no answer on port ${s3Port}`
            : answer.status === 200
              ? "ready"
              : `not ready: ${answer.text}`
    yield* say(
      `${instance.name.padEnd(8)}  ${(pid === undefined ? "-" : `pid ${workerOf(pid)}`).padEnd(11)}  ${portsOf(instance)}  ${state}`
    )
  }
  const running = nodes(options).filter((node) => pidOf(node) !== undefined)
  if (running.length === 0) return
  // The same as each node sees it: the first that answers.
  const health = running.map(({ ports }) => `127.0.0.1:${ports.find(({ name }) => name === "health")!.port}`).join(",")
  const args = ["--disable-warning=ExperimentalWarning", "src/programs/netsy.ts", "status", "--endpoint", health]
  yield* say("")
  spawnSync(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"] })
})

/** Follows the logs on a terminal; elsewhere prints their last lines, so that a pipe ends. */
export const logs = Effect.fnUntraced(function* (options: Options, name: string | undefined) {
  const written = existsSync("temp/logs") ? readdirSync("temp/logs") : []
  const others = written.flatMap((file) => {
    const k = Number(/^netsy-(\d+)\.log$/.exec(file)?.[1] ?? 0)
    return k > options.count ? [netsyNode(k, false)] : []
  })
  const all = [devS3([]), ...nodes(options), ...others]
  const wanted = name === undefined ? all : all.filter((one) => one.name === (name === "s3" ? "dev-s3" : name))
  if (wanted.length === 0) {
    return yield* new DevError({
      message: `there is no log "${name}"; NAME is s3, ${all
        .slice(1)
        .map((one) => one.name)
        .join(", ")}`
    })
  }
  const files = wanted.map((instance) => instance.logFile).filter((file) => existsSync(file))
  if (files.length === 0) return yield* new DevError({ message: "there are no logs yet: make start" })
  const follow = process.stdout.isTTY ? ["-F"] : []
  yield* Effect.callback<void>((resume) => {
    const tail = spawn("tail", ["-n", "100", ...follow, ...files], { stdio: "inherit" })
    tail.on("exit", () => resume(Effect.void))
    tail.on("error", () => resume(Effect.void))
    return Effect.sync(() => tail.kill())
  })
})
