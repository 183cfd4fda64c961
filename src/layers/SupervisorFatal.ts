/** `Supervisor` whose `ended` fails with the first task that ended; the program then stops everything. */
import { Cause, Deferred, Effect, Exit, Layer } from "effect"
import { Supervisor, TaskEnded } from "../services/Supervisor.ts"

export const layer: Layer.Layer<Supervisor> = Layer.effect(
  Supervisor,
  Effect.sync(() => {
    const ended = Deferred.makeUnsafe<never, TaskEnded>()
    const fail = (task: string, cause: unknown): void => {
      Deferred.doneUnsafe(ended, Exit.fail(new TaskEnded({ task, cause })))
    }
    return Supervisor.of({
      ended: Deferred.await(ended),
      fail,
      spawn: (task, body) =>
        body.pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) return
              fail(task, Exit.isFailure(exit) ? Cause.squash(exit.cause) : "returned")
            })
          ),
          Effect.annotateLogs({ task }),
          Effect.forkScoped({ startImmediately: true }),
          Effect.asVoid
        )
    })
  })
)
