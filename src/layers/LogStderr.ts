/**
 * `Log` and Effect's own logging as lines on stderr, or where `log.outputs` says, in the form of `log.format`. Every line
 * carries `cluster_id` and `node_id`, unless it looks like etcd's; annotate with `component` to say which part speaks.
 */
import { closeSync, createWriteStream, openSync } from "node:fs"
import { Cause, Clock, Effect, Layer, Logger, References, Schema, type Scope } from "effect"
import { effectLine, slogLevel } from "../core/logging/effectLine.ts"
import { formatJson, formatText } from "../core/logging/format.ts"
import { formatZapConsole, formatZapJson } from "../core/logging/zap.ts"
import { Log, type LogFields, type LogLevelName } from "../services/Log.ts"
import { type LogLevel, Settings } from "../services/Settings.ts"

/** Takes whole lines. Must not throw. */
export type WriteLine = (line: string) => void

const none: LogFields = {}

const printers = { text: formatText, json: formatJson, "zap-json": formatZapJson, "zap-console": formatZapConsole }

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, fatal: 4 }

const effectLevels = { debug: "Debug", info: "Info", warn: "Warn", error: "Error", fatal: "Fatal" } as const

/** With another sink than stderr. */
export const layerTo = (write: WriteLine): Layer.Layer<Log, never, Settings> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const {
        clusterId,
        nodeId,
        log: { format, level: least }
      } = yield* Settings
      const clock = yield* Clock.Clock
      const print = printers[format]
      const isLikeEtcd = format === "zap-json" || format === "zap-console"
      const common: ReadonlyArray<readonly [string, unknown]> = isLikeEtcd
        ? []
        : [
            ["cluster_id", clusterId],
            ["node_id", nodeId]
          ]

      const emit = (level: LogLevelName, message: string, fields: ReadonlyArray<readonly [string, unknown]>): void =>
        write(print({ timeMillis: clock.currentTimeMillisUnsafe(), level, message, fields: [...common, ...fields] }))

      const silent = (): void => {}
      const at = (level: LogLevelName, name: LogLevel) =>
        ranks[name] < ranks[least]
          ? silent
          : (event: string, fields: LogFields = none): void => emit(level, event, Object.entries(fields))

      const service = Log.of({
        debugging: least === "debug",
        debug: at("DEBUG", "debug"),
        info: at("INFO", "info"),
        warn: at("WARN", "warn"),
        error: at("ERROR", "error")
      })
      const logger = Logger.make<unknown, void>(({ message, logLevel, cause, fiber }) => {
        const annotations = fiber.getRef(References.CurrentLogAnnotations)
        const line = effectLine(message, annotations, cause.reasons.length === 0 ? undefined : Cause.pretty(cause))
        emit(slogLevel(logLevel), line.message, line.fields)
      })
      return Layer.mergeAll(
        Layer.succeed(Log, service),
        Logger.layer([logger]),
        Layer.succeed(References.MinimumLogLevel, effectLevels[least])
      )
    })
  )

/** A reader that went away, or a full disk, must not end the node. */
const ignoreWriteErrors = (): void => {}

/** A place of `log.outputs` cannot be written to. */
export class LogOutputFailed extends Schema.TaggedError<LogOutputFailed>()("LogOutputFailed", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `log output ${this.path}: ${this.reason}`
  }
}

const fileMode = 0o600

const sinkOf = (output: string): Effect.Effect<NodeJS.WritableStream, LogOutputFailed, Scope.Scope> => {
  if (output === "stderr" || output === "stdout") {
    return Effect.acquireRelease(
      Effect.sync(() => process[output].on("error", ignoreWriteErrors)),
      (stream) => Effect.sync(() => stream.off("error", ignoreWriteErrors))
    )
  }
  return Effect.acquireRelease(
    Effect.try({
      try: () => {
        // Opened at once, so that a wrong path ends the start and not a later line.
        closeSync(openSync(output, "a", fileMode))
        return createWriteStream(output, { flags: "a", mode: fileMode }).on("error", ignoreWriteErrors)
      },
      catch: (cause) =>
        new LogOutputFailed({ path: output, reason: cause instanceof Error ? cause.message : String(cause) })
    }),
    (stream) => Effect.callback<void>((resume) => void stream.end(() => resume(Effect.void)))
  )
}

export const layer: Layer.Layer<Log, LogOutputFailed, Settings> = Layer.unwrap(
  Effect.gen(function* () {
    const { log } = yield* Settings
    const sinks = yield* Effect.forEach(log.outputs, sinkOf)
    return layerTo((line) => {
      for (const sink of sinks) sink.write(line)
    })
  })
)
