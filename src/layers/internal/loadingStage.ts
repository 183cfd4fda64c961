/** A stage of loading: its events in the log and its duration (netsy-1x.md 14.2, 14.3). */
import { type Clock, Effect, Exit } from "effect"
import { catalog } from "../../core/metrics/catalog.ts"
import type { Log } from "../../services/Log.ts"
import type { Metrics } from "../../services/Metrics.ts"

export type LoadingStage = <A, E, R>(
  stage: "registration" | "backfill",
  body: Effect.Effect<A, E, R>
) => Effect.Effect<A, E, R>

export const makeLoadingStage = (
  log: Log["Service"],
  metrics: Metrics["Service"],
  clock: Clock.Clock
): LoadingStage => {
  const seconds = metrics.histogram(catalog.loadingStageDuration)
  return (stage, body) =>
    Effect.suspend(() => {
      const startedAt = clock.monotonicTimeNanosUnsafe()
      log.info("loading_stage_started", { stage })
      return Effect.onExit(body, (exit) =>
        Effect.sync(() => {
          const took = Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9
          const result = Exit.isSuccess(exit) ? "success" : "error"
          seconds.observe(took, { stage, result })
          log.info("loading_stage_completed", { stage, result, duration_ms: Math.round(took * 1000) })
        })
      )
    })
}
