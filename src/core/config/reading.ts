/**
 * Reads typed values out of what was given, collecting problems instead of stopping at the first. Precedence is
 * decided here: a variable wins over the file. Defaults and bounds are those of settingTable.ts.
 */
import { durationOf, type DurationRule, durationRule, millisOfText } from "./durationRule.ts"
import { type FileKey, fileKeys, variableOf } from "./fields.ts"
import { type Given, showGiven } from "./given.ts"
import { millisOfNanos } from "./duration.ts"
import type { Problem } from "./problem.ts"
import type { DurationSetting, IntegerSetting } from "./settingKinds.ts"
import { type ChoiceOf, type KeyOf, settingOf } from "./settingTable.ts"

/** 2^53 − 1: beyond it integers are not exact. */
const integerMax = Number.MAX_SAFE_INTEGER

export class Reading {
  readonly problems: Array<Problem> = []
  readonly warnings: Array<string> = []
  readonly #given: Map<FileKey, Given>
  readonly #alone: boolean

  /** `alone`: the defaults of one node without a file. */
  constructor(file: ReadonlyMap<FileKey, Given>, env: Readonly<Record<string, string | undefined>>, alone: boolean) {
    this.#given = new Map(file)
    this.#alone = alone
    for (const key of fileKeys) {
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

  /** Empty when it is absent and has no default. */
  text(key: KeyOf<"text">): string {
    const setting = settingOf(key)
    return this.#text(key, this.#fallback(setting) ?? "")
  }

  #text(key: FileKey, fallback: string): string {
    const given = this.#given.get(key)
    if (given === undefined) return fallback
    if (given.kind === "text" || given.kind === "word") return given.text
    this.refuse(key, "a text in double quotes")
    return fallback
  }

  #fallback<A>(setting: { readonly fallback?: A; readonly alone?: A }): A | undefined {
    return this.#alone ? (setting.alone ?? setting.fallback) : setting.fallback
  }

  /** `among`: those of the allowed ones that other settings leave. */
  choice<Key extends KeyOf<"choice">>(key: Key, among?: ReadonlyArray<ChoiceOf<Key>>): ChoiceOf<Key> {
    const { allowed, fallback } = settingOf<KeyOf<"choice">>(key)
    const left: ReadonlyArray<string> = among ?? allowed
    const text = this.#text(key, fallback)
    const found = text === "" ? fallback : left.find((candidate) => candidate === text)
    if (found === undefined) this.refuse(key, left.join(", "))
    return (found ?? fallback) as ChoiceOf<Key>
  }

  switch(key: KeyOf<"switch">): boolean {
    const { fallback } = settingOf(key)
    const given = this.#given.get(key)
    if (given === undefined) return fallback
    if ((given.kind === "boolean" || given.kind === "word") && (given.text === "true" || given.text === "false")) {
      return given.text === "true"
    }
    this.refuse(key, "true or false")
    return fallback
  }

  integer(key: KeyOf<"integer">): number {
    const setting: IntegerSetting = settingOf(key)
    return this.integerWithin(key, { ...setting, fallback: this.#fallback(setting) ?? 0 })
  }

  integerWithin(
    key: FileKey,
    rule: Pick<IntegerSetting, "min" | "max" | "zeroIsFallback"> & { readonly fallback: number }
  ): number {
    const given = this.#given.get(key)
    if (given === undefined) return rule.fallback
    const { min = -integerMax, max = integerMax } = rule
    const value = integerOf(given)
    if (value === 0 && rule.zeroIsFallback === true) return rule.fallback
    if (value !== undefined && value >= min && value <= max) return value
    this.refuse(key, rangeText(min, max))
    return rule.fallback
  }

  /** Milliseconds; 0 only after a problem, where the key has no default. `rule`: as other settings make it. */
  duration(key: KeyOf<"duration">, rule?: DurationRule): number {
    const setting: DurationSetting = settingOf(key)
    const fallback = this.#fallback(setting)
    return (
      this.durationWithin(
        key,
        rule ?? durationRule(setting.bounds),
        fallback === undefined ? undefined : millisOfText(fallback)
      ) ?? 0
    )
  }

  durationWithin(key: FileKey, rule: DurationRule, fallbackMillis: number | undefined): number | undefined {
    const given = this.#given.get(key)
    if (given === undefined) {
      if (fallbackMillis === undefined) this.refuse(key, `${rule.allowed}, for example "1s"`)
      return fallbackMillis
    }
    const parsed = durationOf(given)
    if (!parsed.ok) {
      this.refuse(
        key,
        `${rule.allowed}, for example "1s" or "1h30m", or in the file whole nanoseconds as a number (${parsed.reason})`
      )
      return fallbackMillis
    }
    const millis = millisOfNanos(parsed.nanos)
    if (rule.accept(millis)) return millis
    this.refuse(key, rule.allowed)
    return fallbackMillis
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
