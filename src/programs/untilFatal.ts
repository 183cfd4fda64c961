/** Waits for the task whose end ends the process, and logs why at once: what follows, draining, takes seconds. */
import { Effect } from "effect"
import { Log } from "../services/Log.ts"
import { Supervisor, type TaskEnded } from "../services/Supervisor.ts"

export const untilFatal: Effect.Effect<never, TaskEnded, Supervisor | Log> = Effect.gen(function* () {
  const log = yield* Log
  const { ended } = yield* Supervisor
  return yield* Effect.tapError(ended, (error) => Effect.sync(() => log.error("stopping", { reason: error.message })))
})
