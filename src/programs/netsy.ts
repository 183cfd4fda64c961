/** The daemon `netsy` and its subcommands: reads the settings, chooses, runs until a task ends or a signal comes. */
import { readFileSync } from "node:fs"
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Effect, Exit } from "effect"
import { decide } from "../core/config/command.ts"
import type { SettingsShape } from "../services/Settings.ts"
import { Log } from "../services/Log.ts"
import { Supervisor } from "../services/Supervisor.ts"

const version: string = (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version

/** Clean stops exit with 0, whatever ended the node otherwise with 1. */
const teardown = <E, A>(exit: Exit.Exit<A, E>, onExit: (code: number) => void): void =>
  onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)

const run = (settings: SettingsShape, warnings: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { daemon } = yield* Effect.promise(() => import("./node.ts"))
    return yield* Effect.gen(function*() {
      const log = yield* Log
      for (const warning of warnings) log.warn("configuration", { warning })
      log.info("netsy_ready", {
        version,
        client: `${settings.bind.client.host}:${settings.bind.client.port}`,
        storage: settings.storage.provider
      })
      return yield* (yield* Supervisor).ended
    }).pipe(Effect.provide(daemon(settings)))
  }).pipe(
    Effect.tapCause((cause) =>
      Effect.sync(() => {
        if (Cause.hasInterruptsOnly(cause)) return
        const error = Cause.squash(cause)
        process.stderr.write(`netsy: stopped: ${error instanceof Error ? error.message : String(error)}\n`)
      })
    )
  )

const main = (): void => {
  const argv = process.argv.slice(2)
  if (argv[0] === "inspect") {
    NodeRuntime.runMain(
      Effect.promise(() => import("./inspect.ts")).pipe(Effect.flatMap(({ inspect }) => inspect(argv.slice(1)))),
      { disableErrorReporting: true, teardown }
    )
    return
  }
  const command = decide({
    argv,
    env: process.env,
    readFile: (path) => readFileSync(path, "utf8"),
    cwd: process.cwd(),
    version
  })
  if (command.action === "exit") {
    process.stdout.write(command.stdout)
    process.stderr.write(command.stderr)
    process.exitCode = command.code
    return
  }
  NodeRuntime.runMain(run(command.settings, command.warnings), { disableErrorReporting: true, teardown })
}

main()
