/**
 * `Log` and Effect's own logging as lines on stderr, text or JSON by `log.format`. Every line carries `cluster_id` and
 * `node_id`; annotate with `component` to say which part speaks.
 */
import { Cause, Clock, Effect, Layer, Logger, References } from "effect"
import { effectLine, slogLevel } from "../core/logging/effectLine.ts"
import { formatJson, formatText } from "../core/logging/format.ts"
import { Log, type LogFields, type LogLevelName } from "../services/Log.ts"
import { Settings } from "../services/Settings.ts"

/** Takes whole lines. Must not throw. */
export type WriteLine = (line: string) => void

const none: LogFields = {}

/** With another sink than stderr. */
export const layerTo = (write: WriteLine): Layer.Layer<Log, never, Settings> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const {
        clusterId,
        nodeId,
        log: { format, debug }
      } = yield* Settings
      const clock = yield* Clock.Clock
      const print = format === "json" ? formatJson : formatText
      const common: ReadonlyArray<readonly [string, unknown]> = [
        ["cluster_id", clusterId],
        ["node_id", nodeId]
      ]

      const emit = (level: LogLevelName, message: string, fields: ReadonlyArray<readonly [string, unknown]>): void =>
        write(print({ timeMillis: clock.currentTimeMillisUnsafe(), level, message, fields: [...common, ...fields] }))

      const at =
        (level: LogLevelName) =>
        (event: string, fields: LogFields = none): void =>
          emit(level, event, Object.entries(fields))

      const service = Log.of({
        debugging: debug,
        debug: debug ? at("DEBUG") : () => {},
        info: at("INFO"),
        warn: at("WARN"),
        error: at("ERROR")
      })
      const logger = Logger.make<unknown, void>(({ message, logLevel, cause, fiber }) => {
        const annotations = fiber.getRef(References.CurrentLogAnnotations)
        const line = effectLine(message, annotations, cause.reasons.length === 0 ? undefined : Cause.pretty(cause))
        emit(slogLevel(logLevel), line.message, line.fields)
      })
      return Layer.mergeAll(
        Layer.succeed(Log, service),
        Logger.layer([logger]),
        Layer.succeed(References.MinimumLogLevel, debug ? "Debug" : "Info")
      )
    })
  )

/** A reader of stderr that went away must not end the node. */
const ignoreWriteErrors = (): void => {}

export const layer: Layer.Layer<Log, never, Settings> = Layer.unwrap(
  Effect.acquireRelease(
    Effect.sync(() => process.stderr.on("error", ignoreWriteErrors)),
    (stderr) => Effect.sync(() => stderr.off("error", ignoreWriteErrors))
  ).pipe(
    Effect.map((stderr) =>
      layerTo((line) => {
        stderr.write(line)
      })
    )
  )
)
