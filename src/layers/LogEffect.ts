/** `Log` through the loggers of the program that the node is part of, with its level and its annotations. */
import { Effect, Layer, type LogLevel, References } from "effect"
import { Log, type LogFields } from "../services/Log.ts"
import { Settings } from "../services/Settings.ts"

const ranks = { Debug: 0, Info: 1, Warn: 2, Error: 3 } as const
type Level = keyof typeof ranks

/** The least of these levels that is let through. */
const leastRank = (least: LogLevel.LogLevel): number => {
  if (least === "All" || least === "Trace") return ranks.Debug
  return least in ranks ? ranks[least as Level] : ranks.Error + 1
}

export const layer: Layer.Layer<Log, never, Settings> = Layer.effect(
  Log,
  Effect.gen(function* () {
    const { clusterId, nodeId } = yield* Settings
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const least = leastRank(yield* References.MinimumLogLevel)
    const silent = (): void => {}
    const at = (level: Level) =>
      ranks[level] < least
        ? silent
        : (event: string, fields: LogFields = {}): void => {
            run(
              Effect.annotateLogs(Effect.logWithLevel(level)(event), {
                cluster_id: clusterId,
                node_id: nodeId,
                ...fields
              })
            )
          }
    return Log.of({
      debugging: least <= ranks.Debug,
      debug: at("Debug"),
      info: at("Info"),
      warn: at("Warn"),
      error: at("Error")
    })
  })
)
