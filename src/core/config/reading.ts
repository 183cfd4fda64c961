/**
 * Reads typed values out of what was given, collecting problems instead of stopping at the first. Precedence is
 * decided here: a variable wins over the file.
 */
import { type DurationResult, durationOfNanos, formatMillis, millisOfNanos, parseDuration } from "./duration.ts"
import { type FileKey, variableOf } from "./fields.ts"
import { type Given, showGiven } from "./given.ts"
import type { Problem } from "./problem.ts"

export interface IntegerRule {
  /** Undefined: must be given. */
  readonly fallback: number
  readonly min?: number
  readonly max?: number
  /** Go's zero value means "not given" for the settings of Netsy 1.x that have a default. */
  readonly zeroIsFallback?: boolean
}

export interface DurationRule {
  /** Undefined: must be given. */
  readonly fallbackMillis: number | undefined
  readonly allowed: string
  readonly accept: (millis: number) => boolean
}

/** 2^53 − 1: beyond it integers are not exact. */
const integerMax = Number.MAX_SAFE_INTEGER

export class Reading {
  readonly problems: Array<Problem> = []
  readonly warnings: Array<string> = []
  readonly #given: Map<FileKey, Given>

  constructor(
    file: ReadonlyMap<FileKey, Given>,
    env: Readonly<Record<string, string | undefined>>,
    keys: Iterable<FileKey>
  ) {
    this.#given = new Map(file)
    for (const key of keys) {
      const variable = variableOf(key)
      const text = env[variable]
      // An empty variable counts as absent, except where the empty text is a value.
      if (text !== undefined && (text !== "" || key === "storage.key_prefix" || key === "storage.kms_key_id")) {
        this.#given.set(key, { kind: "word", text, source: variable })
      }
    }
  }

  given(key: FileKey): Given | undefined {
    return this.#given.get(key)
  }

  /** From a source that is stronger than file and variables. */
  put(key: FileKey, given: Given): void {
    this.#given.set(key, given)
  }

  /** For values that a stronger source has replaced. */
  forget(key: FileKey): void {
    this.#given.delete(key)
  }

  /** The first reason counts: a value of the wrong type breaks every later rule too. */
  refuse(key: FileKey, allowed: string): void {
    if (this.problems.some((problem) => problem.key === key)) return
    const given = this.#given.get(key)
    this.problems.push(
      given === undefined
        ? { key, value: undefined, allowed }
        : { key, value: showGiven(given), allowed, source: given.source }
    )
  }

  text(key: FileKey, fallback: string): string {
    const given = this.#given.get(key)
    if (given === undefined) return fallback
    if (given.kind === "text" || given.kind === "word") return given.text
    this.refuse(key, "a text in double quotes")
    return fallback
  }

  choice<A extends string>(key: FileKey, fallback: A, allowed: ReadonlyArray<A>): A {
    const text = this.text(key, fallback)
    if (text === "") return fallback
    const found = allowed.find((candidate) => candidate === text)
    if (found !== undefined) return found
    this.refuse(key, allowed.join(", "))
    return fallback
  }

  switch(key: FileKey, fallback: boolean): boolean {
    const given = this.#given.get(key)
    if (given === undefined) return fallback
    if ((given.kind === "boolean" || given.kind === "word") && (given.text === "true" || given.text === "false")) {
      return given.text === "true"
    }
    this.refuse(key, "true or false")
    return fallback
  }

  integer(key: FileKey, rule: IntegerRule): number {
    const given = this.#given.get(key)
    if (given === undefined) return rule.fallback
    const { min = -integerMax, max = integerMax } = rule
    const value = integerOf(given)
    if (value === 0 && rule.zeroIsFallback === true) return rule.fallback
    if (value !== undefined && value >= min && value <= max) return value
    this.refuse(key, rangeText(min, max))
    return rule.fallback
  }

  /** Undefined only after a problem, or without a fallback. */
  duration(key: FileKey, rule: DurationRule): number | undefined {
    const given = this.#given.get(key)
    if (given === undefined) {
      if (rule.fallbackMillis === undefined) this.refuse(key, `${rule.allowed}, for example "1s"`)
      return rule.fallbackMillis
    }
    const parsed = durationOf(given)
    if (!parsed.ok) {
      this.refuse(
        key,
        `${rule.allowed}, for example "1s" or "1h30m", or in the file whole nanoseconds as a number (${parsed.reason})`
      )
      return rule.fallbackMillis
    }
    const millis = millisOfNanos(parsed.nanos)
    if (rule.accept(millis)) return millis
    this.refuse(key, rule.allowed)
    return rule.fallbackMillis
  }
}

const rangeText = (min: number, max: number): string => {
  if (max !== integerMax) return `a whole number from ${min} to ${max}`
  return min === -integerMax ? "a whole number" : `a whole number, ${min} or more`
}

const integerOf = (given: Given): number | undefined => {
  if (given.kind !== "number" && given.kind !== "word") return undefined
  if (given.kind === "word" && !/^[+-]?\d+$/.test(given.text)) return undefined
  const value = Number(given.text)
  return Number.isSafeInteger(value) ? value + 0 : undefined
}

const durationOf = (given: Given): DurationResult => {
  if (given.kind === "text" || given.kind === "word") return parseDuration(given.text)
  if (given.kind !== "number") return { ok: false, reason: "neither a text nor a number" }
  if (!/^-?\d{1,19}$/.test(given.text)) return { ok: false, reason: "not a whole number of nanoseconds" }
  return durationOfNanos(BigInt(given.text))
}

export const positive = { allowed: "a duration greater than 0", accept: (millis: number) => millis > 0 }

export const atLeast = (millis: number) => ({
  allowed: `a duration of ${formatMillis(millis)} or more`,
  accept: (given: number) => given >= millis
})
