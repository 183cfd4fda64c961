/**
 * The development environment behind `make start`, `stop`, `restart`, `status` and `logs`: dev-s3 and a node as
 * processes of their own that outlive this one. Runs in the clone's folder (scripts/dev/run.sh sees to it).
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { logs, type Options, restart, start, status, stop } from "./dev/commands.ts"
import { DevError } from "./dev/processes.ts"

const optionsFrom = (env: NodeJS.ProcessEnv): Options | DevError => {
  const count = env["NETSY_COUNT"] ?? "1"
  if (count !== "1") {
    return new DevError({ message: `NETSY_COUNT=${count}: only one node can be started, clusters are not built yet` })
  }
  return {
    count: 1,
    watch: env["NETSY_DEV_WATCH"] !== "0",
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
    message: "usage: dev.ts start | stop [for-good] | restart | status | logs [s3|netsy-1]"
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
