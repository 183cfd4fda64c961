/** One log line as etcd's logger writes it, as JSON or for people: level, time, message, fields. */
import { isoTime } from "../isoTime.ts"
import { clipped, fieldsOf, jsonValue, type LogLine } from "./format.ts"

/** Names that the line itself has. */
const own = ["level", "ts", "caller", "msg"]

const fieldTexts = (line: LogLine, taken: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Set(taken)
  const texts: Array<string> = []
  for (const [name, value] of fieldsOf(line)) {
    const unique = clipped(seen.has(name) ? `${name}_` : name)
    if (seen.has(unique)) continue
    seen.add(unique)
    texts.push(`${JSON.stringify(unique)}:${jsonValue(value)}`)
  }
  return texts
}

export const formatZapJson = (line: LogLine): string => {
  const head = [
    `"level":${JSON.stringify(line.level.toLowerCase())}`,
    `"ts":"${isoTime(line.timeMillis)}"`,
    `"msg":${JSON.stringify(clipped(line.message))}`
  ]
  return `{${[...head, ...fieldTexts(line, own)].join(",")}}\n`
}

/** Columns with tabs between them; a message cannot break out of its line. */
export const formatZapConsole = (line: LogLine): string => {
  const message = clipped(line.message).replace(/\p{Cc}/gu, " ")
  const fields = fieldTexts(line, [])
  const tail = fields.length === 0 ? "" : `\t{${fields.join(", ")}}`
  return `${isoTime(line.timeMillis)}\t${line.level.toLowerCase()}\t${message}${tail}\n`
}
