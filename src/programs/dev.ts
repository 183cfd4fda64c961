/**
 * The development environment behind `make start`, `stop`, `restart`, `status` and `logs`: dev-s3 and one node or
 * several, as processes of their own that outlive this one. Runs in the clone's folder (scripts/dev/run.sh sees to it).
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { logs, type Options, restart, runningNodes, start, status, stop } from "./dev/commands.ts"
import { DevError } from "./dev/processes.ts"

/** Ports of higher nodes would run into others': 8080 + 10 · 36 is past 8443. */
const countMax = 9

/** `NETSY_COUNT`; without it as many nodes as run now, or one. */
const countFrom = (text: string | undefined): number | undefined => {
  if (text === undefined || text === "") return Math.max(1, ...runningNodes())
  return /^[1-9]$/.test(text) ? Number(text) : undefined
}

const optionsFrom = (env: NodeJS.ProcessEnv): Options | DevError => {
  const text = env["NETSY_COUNT"]
  const count = countFrom(text)
  if (count === undefined)
    return new DevError({ message: `NETSY_COUNT=${text}: 1 to ${countMax} nodes can be started` })
  return {
    count,
    watch: count === 1 && env["NETSY_DEV_WATCH"] !== "0",
    s3Args: (env["DEV_S3_ARGS"] ?? "").split(/\s+/).filter((word) => word !== "")
  }
}

const main = Effect.gen(function* () {
  const [command, name] = process.argv.slice(2)
  if (command === "stop") return yield* stop(name === "for-good")
  const options = optionsFrom(process.env)
  if (options instanceof DevError) return yield* options
  if (command === "start") return yield* start(options)
  if (command === "restart") return yield* restart(options)
  if (command === "status") return yield* status(options)
  if (command === "logs") return yield* logs(options, name)
  return yield* new DevError({
    message: "usage: dev.ts start | stop [for-good] | restart | status | logs [s3|netsy-1|netsy-2|…]"
  })
})

main.pipe(
  Effect.catchTag("DevError", (error) =>
    Effect.sync(() => {
      console.error(`dev: ${error.message}`)
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
