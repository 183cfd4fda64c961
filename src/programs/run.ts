/** Runs the node, or a subcommand, until it ends by itself or by a signal. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Effect, Exit } from "effect"
import { version } from "../core/version.ts"
import { SetAside } from "../layers/replicator/setAside.ts"
import { ClientListener } from "../services/ClientListener.ts"
import { Log } from "../services/Log.ts"
import type { SettingsShape } from "../services/Settings.ts"
import { TaskEnded } from "../services/Supervisor.ts"
import { daemon } from "./node.ts"
import { untilFatal } from "./untilFatal.ts"

/** A clean stop exits with 0, whatever ended the node otherwise with 1. */
const teardown = <E, A>(exit: Exit.Exit<A, E>, onExit: (code: number) => void): void =>
  onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)

/** The last word on standard error: why the program ended. */
const report =
  (what: string) =>
  (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
    Effect.sync(() => {
      if (Cause.hasInterruptsOnly(cause)) return
      const error = Cause.squash(cause)
      process.stderr.write(`${what}: ${error instanceof Error ? error.message : String(error)}\n`)
    })

const run = <E>(what: string, program: Effect.Effect<unknown, E>): void =>
  NodeRuntime.runMain(program.pipe(Effect.tapCause(report(what))), { disableErrorReporting: true, teardown })

const untilEnd = (settings: SettingsShape, warnings: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const log = yield* Log
    const { address } = yield* ClientListener
    for (const warning of warnings) log.warn("configuration", { warning })
    log.info("netsy_ready", { version, client: `${address.host}:${address.port}`, storage: settings.storage.provider })
    return yield* untilFatal
  })

/** A node whose database was set aside starts again, with a new one, as a new incarnation (design 6.4). */
const again = <E>(program: () => Effect.Effect<never, E>): Effect.Effect<never, E> =>
  program().pipe(
    Effect.catchIf(
      (error) => error instanceof TaskEnded && error.cause instanceof SetAside,
      () => again(program)
    )
  )

export const runDaemon = async (settings: SettingsShape, warnings: ReadonlyArray<string>): Promise<void> => {
  if (settings.etcd === undefined) {
    return run(
      "netsy: stopped",
      again(() => untilEnd(settings, warnings).pipe(Effect.provide(daemon(settings))))
    )
  }
  const { etcdDaemon } = await import("./etcdNode.ts")
  run(
    "etcd: stopped",
    again(() => etcdDaemon(settings, warnings))
  )
}

/** Loaded alone: a look does not wait for the parts of the daemon. */
const programs = {
  inspect: () => import("./inspect.ts").then((module) => module.inspect),
  status: () => import("./status.ts").then((module) => module.status),
  restore: () => import("./restore.ts").then((module) => module.restore),
  recover: () => import("./recover.ts").then((module) => module.recover),
  verify: () => import("./verify.ts").then((module) => module.verify)
}

export const runSubcommand = async (name: keyof typeof programs, argv: ReadonlyArray<string>): Promise<void> => {
  const program = await programs[name]()
  run(`netsy ${name}`, program(argv))
}
