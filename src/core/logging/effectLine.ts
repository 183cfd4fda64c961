/** How a message of `Effect.log…` becomes an event with fields. Pure; the layers hand over what the runtime gave them. */

export interface EffectLine {
  readonly message: string
  readonly fields: ReadonlyArray<readonly [string, unknown]>
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value))

const wordOf = (value: unknown): string => {
  if (typeof value === "string") return value
  return value instanceof Error ? value.message : String(value)
}

/** Words are joined to the message, plain objects are fields, then annotations, then the cause as `error`. */
export const effectLine = (
  message: unknown,
  annotations: Readonly<Record<string, unknown>>,
  cause: string | undefined
): EffectLine => {
  const parts = Array.isArray(message) ? message : [message]
  const words: Array<string> = []
  const fields: Array<readonly [string, unknown]> = []
  for (const part of parts) {
    if (isPlain(part)) fields.push(...Object.entries(part))
    else words.push(wordOf(part))
  }
  fields.push(...Object.entries(annotations))
  if (cause !== undefined) fields.push(["error", cause])
  return { message: words.join(" "), fields }
}

/** Effect's level names to slog's. */
export const slogLevel = (level: string): "DEBUG" | "INFO" | "WARN" | "ERROR" => {
  if (level === "Fatal" || level === "Error") return "ERROR"
  if (level === "Warn") return "WARN"
  return level === "Debug" || level === "Trace" || level === "All" ? "DEBUG" : "INFO"
}
