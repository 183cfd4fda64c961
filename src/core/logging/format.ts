/**
 * One log line: Go slog's text format (`time=… level=INFO msg=… k=v`, quoted where slog quotes) or one JSON object.
 * Never throws, whatever the fields hold, and bounds every value.
 */
import { isoTime } from "../isoTime.ts"

export interface LogLine {
  readonly timeMillis: number
  readonly level: string
  readonly message: string
  readonly fields: ReadonlyArray<readonly [string, unknown]>
}

const valueLengthMax = 8_192
const fieldsMax = 64

export const clipped = (text: string): string =>
  text.length > valueLengthMax ? `${text.slice(0, valueLengthMax)}… (${text.length} characters)` : text

/** JSON with the values that JSON does not know. */
const jsonOf = (value: unknown): string =>
  JSON.stringify(value, (_, inner) => {
    if (typeof inner === "bigint") return String(inner)
    if (inner instanceof Error) return inner.message
    if (inner instanceof Uint8Array)
      return Buffer.from(inner.buffer, inner.byteOffset, inner.byteLength).toString("base64")
    return inner
  }) ?? String(value)

const textOf = (value: unknown): string => {
  try {
    if (typeof value === "string") return value
    if (value instanceof Error) return value.message === "" ? value.name : value.message
    if (typeof value === "object" && value !== null) {
      return value instanceof Uint8Array ? jsonOf(value).slice(1, -1) : jsonOf(value)
    }
    return String(value)
  } catch {
    return "(not printable)"
  }
}

/** slog: empty, spaces, `=`, `"`, control and other unprintable characters. A backslash alone is left as it is. */
const quotable = /[\s="\p{C}\p{Z}\u{fffd}]/u

const escapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\u000b": "\\v",
  '"': '\\"',
  "\\": "\\\\"
}

const hex = (code: number, width: number): string => code.toString(16).padStart(width, "0")

/** As Go's `strconv.Quote`. */
const quote = (text: string): string =>
  `"${text.replace(/["\\]|(?! )[\p{C}\p{Z}]/gu, (character) => {
    const known = escapes[character]
    if (known !== undefined) return known
    const code = character.codePointAt(0)!
    if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`
    return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
  })}"`

const word = (text: string): string => (text === "" || quotable.test(text) ? quote(text) : text)

export const fieldsOf = (line: LogLine): ReadonlyArray<readonly [string, unknown]> =>
  line.fields.filter(([, value]) => value !== undefined).slice(0, fieldsMax)

export const formatText = (line: LogLine): string => {
  let out = `time=${isoTime(line.timeMillis)} level=${line.level} msg=${word(clipped(line.message))}`
  for (const [name, value] of fieldsOf(line)) out += ` ${word(clipped(name))}=${word(clipped(textOf(value)))}`
  return `${out}\n`
}

export const jsonValue = (value: unknown): string => {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return jsonOf(value)
  if (typeof value !== "object" || value instanceof Error || value instanceof Uint8Array) {
    return JSON.stringify(clipped(textOf(value)))
  }
  const text = textOf(value)
  return text.length > valueLengthMax || text === "(not printable)" ? JSON.stringify(clipped(text)) : text
}

export const formatJson = (line: LogLine): string => {
  const parts = [
    `"time":"${isoTime(line.timeMillis)}"`,
    `"level":${JSON.stringify(line.level)}`,
    `"msg":${JSON.stringify(clipped(line.message))}`
  ]
  const seen = new Set(["time", "level", "msg"])
  for (const [name, value] of fieldsOf(line)) {
    // Two equal names would make readers drop one of them.
    const unique = seen.has(name) ? `${name}_` : name
    if (seen.has(unique)) continue
    seen.add(unique)
    parts.push(`${JSON.stringify(clipped(unique))}:${jsonValue(value)}`)
  }
  return `{${parts.join(",")}}\n`
}
