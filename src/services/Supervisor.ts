/** Long-running tasks. A task that ends for any reason but interruption ends the process. */
import { Context, type Effect, Schema, type Scope } from "effect"

/** A supervised task failed, died or returned. */
export class TaskEnded extends Schema.TaggedError<TaskEnded>()("TaskEnded", {
  task: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `task "${this.task}" ended: ${why}`
  }
}

export class Supervisor extends Context.Service<
  Supervisor,
  {
    /** Forks `body` into the caller's scope at once, so that it stops before what it depends on. */
    readonly spawn: <E, R>(
      task: string,
      body: Effect.Effect<unknown, E, R>
    ) => Effect.Effect<void, never, R | Scope.Scope>
    /** Ends the process with this reason, for synchronous code that finds an invariant broken. */
    readonly fail: (task: string, cause: unknown) => void
    /** Never succeeds; fails with the first task that ended. */
    readonly ended: Effect.Effect<never, TaskEnded>
  }
>()("netsy/services/Supervisor") {}
