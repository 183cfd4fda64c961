/** Effects that answer a call. A defect in one is told to the caller, and ends the process as any other. */
import { Cause, Effect, Exit, Fiber } from "effect"
import { Code, etcdError } from "../../core/wire/errors.ts"
import type { EtcdError } from "../../core/wire/errors.ts"
import type { Supervisor } from "../../services/Supervisor.ts"

const defect: EtcdError = etcdError(Code.Internal, "netsy: internal error")

/** Returns how to stop it; then neither is called. */
export type Run = <A, E extends { readonly message: string }>(
  effect: Effect.Effect<A, E>,
  on: { readonly onSuccess: (value: A) => void; readonly onFailure: (error: E | EtcdError) => void }
) => () => void

export const makeRun: (supervisor: Supervisor["Service"]) => Effect.Effect<Run> = Effect.fnUntraced(
  function* (supervisor) {
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    return (effect, on) => {
      const told = Effect.onExit(effect, (exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) return on.onSuccess(exit.value)
          const failure = exit.cause.reasons.find(Cause.isFailReason)
          if (failure !== undefined) return on.onFailure(failure.error)
          if (Cause.hasInterruptsOnly(exit.cause)) return
          supervisor.fail("client api", Cause.squash(exit.cause))
          on.onFailure(defect)
        })
      )
      const fiber = fork(told)
      return () => {
        fork(Fiber.interrupt(fiber))
      }
    }
  }
)
