/** `Log` into an array, for tests and the simulator: `layer(lines)`. Keeps the last `linesMax` lines. */
import { Layer } from "effect"
import { Log, type LogFields, type LogLevelName } from "../services/Log.ts"

export interface MemoryLine {
  readonly level: LogLevelName
  readonly event: string
  readonly fields: LogFields
}

const linesMax = 10_000

export const layer = (lines: Array<MemoryLine> = []): Layer.Layer<Log> => {
  const at =
    (level: LogLevelName) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ level, event, fields })
      if (lines.length > linesMax) lines.shift()
    }
  return Layer.succeed(
    Log,
    Log.of({ debugging: true, debug: at("DEBUG"), info: at("INFO"), warn: at("WARN"), error: at("ERROR") })
  )
}
