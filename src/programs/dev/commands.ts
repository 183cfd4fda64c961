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

export const start = Effect.fnUntraced(function* (options: Options) {
  const begin = yield* Clock.currentTimeMillis
  const s3 = devS3(options.s3Args)
  const all = [s3, ...nodes(options)]
  // A watcher whose node crashed would wait for a change in src/ although it was, say, the configuration that was wrong.
  const missing = all.filter(ended)
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
  for (const instance of all) {
    const pid = pidOf(instance)
    if (pid !== undefined)
      yield* say(`==> ${instance.name} runs already, with the settings of its start (pid ${workerOf(pid)})`)
    else {
      yield* say(`==> ${instance.name} (log ${instance.logFile})`)
      yield* launch(instance, true)
    }
    yield* ready(instance)
  }

  const seconds = (((yield* Clock.currentTimeMillis) - begin) / 1000).toFixed(1)
  yield* say(
    [
      "",
      `Ready after ${seconds} s.`,
      `  dev-s3   http://127.0.0.1:${s3Port}, bucket ${bucket} in temp/dev-s3/`,
      ...nodes(options).map((node) => `  ${node.name}  127.0.0.1: ${portsOf(node)}; TLS with temp/certs/`),
      ...(options.watch ? ["  The node restarts when a file in src/ changes (NETSY_DEV_WATCH=0 turns this off)."] : []),
      "",
      "Try next:",
      "  scripts/etcdctl/etcdctl.sh put a 1",
      '  scripts/etcdctl/etcdctl.sh get "" --prefix',
      "  curl http://127.0.0.1:8080/metrics",
      "  make status | make logs NAME=netsy-1 | make restart | make stop (the data stays; make clean removes it)"
    ].join("\n")
  )
})

const portsOf = (instance: Instance): string => instance.ports.map(({ name, port }) => `${name} ${port}`).join(", ")

/** Everything that has a pid file, nodes before the bucket they still write to. */
const known = (): ReadonlyArray<Instance> => {
  const files = existsSync("temp/run") ? readdirSync("temp/run") : []
  const numbers = files.flatMap((file) => {
    const match = /^netsy-(\d+)\.json$/.exec(file)
    return match === null ? [] : [Number(match[1])]
  })
  return [...numbers.toSorted((a, b) => a - b).map((k) => netsyNode(k, false)), devS3([])]
}

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
  for (const node of nodes(options)) {
    if (pidOf(node) !== undefined) yield* say(`==> stopping ${node.name}`)
    yield* halt(node)
    yield* script(
      "scripts/dev/check-ports.sh",
      [String(options.count), ...node.ports.map(({ port }) => String(port))],
      "free these ports first"
    )
    yield* say(`==> ${node.name} (log ${node.logFile})`)
    yield* launch(node, false)
    yield* ready(node)
    yield* say(`${node.name} is ready.`)
  }
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
})

/** Follows the logs on a terminal; elsewhere prints their last lines, so that a pipe ends. */
export const logs = Effect.fnUntraced(function* (options: Options, name: string | undefined) {
  const all = [devS3([]), ...nodes(options)]
  const wanted = name === undefined ? all : all.filter((one) => one.name === (name === "s3" ? "dev-s3" : name))
  if (wanted.length === 0) {
    return yield* new DevError({ message: `there is no log "${name}"; NAME is s3 or ${nodes(options)[0]!.name}` })
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
