/** What a setting that is a duration may be, in words for errors and as a check, and how one is read. */
import { type DurationResult, durationOfNanos, millisOfNanos, parseDuration } from "./duration.ts"
import type { Given } from "./given.ts"
import type { DurationSetting } from "./settingKinds.ts"

export interface DurationRule {
  readonly allowed: string
  readonly accept: (millis: number) => boolean
}

/** Of a text of this program; anything else than a duration is a defect. */
export const millisOfText = (text: string): number => {
  const parsed = parseDuration(text)
  if (!parsed.ok) throw new Error(`${text} is no duration: ${parsed.reason}`)
  return millisOfNanos(parsed.nanos)
}

export const durationRule = (bounds: DurationSetting["bounds"]): DurationRule => {
  if ("zero" in bounds) return { allowed: `a duration (0: ${bounds.zero})`, accept: () => true }
  if ("above" in bounds) {
    const above = millisOfText(bounds.above)
    return {
      allowed: `a duration greater than ${above === 0 ? "0" : bounds.above}`,
      accept: (millis) => millis > above
    }
  }
  if ("wholeSecondsMin" in bounds) {
    const min = millisOfText(bounds.wholeSecondsMin)
    return {
      allowed: `whole seconds, ${bounds.wholeSecondsMin} or more`,
      accept: (millis) => millis >= min && millis % 1_000 === 0
    }
  }
  const min = millisOfText(bounds.min)
  if (bounds.max === undefined) {
    return { allowed: `a duration of ${bounds.min} or more`, accept: (millis) => millis >= min }
  }
  const max = millisOfText(bounds.max)
  return {
    allowed: `a duration from ${bounds.min} to ${bounds.max}`,
    accept: (millis) => millis >= min && millis <= max
  }
}

/** A text as in Go, or in the file a number of nanoseconds. */
export const durationOf = (given: Given): DurationResult => {
  if (given.kind === "text" || given.kind === "word") return parseDuration(given.text)
  if (given.kind !== "number") return { ok: false, reason: "neither a text nor a number" }
  if (!/^-?\d{1,19}$/.test(given.text)) return { ok: false, reason: "not a whole number of nanoseconds" }
  return durationOfNanos(BigInt(given.text))
}
