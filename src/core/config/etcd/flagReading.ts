/** Typed values out of flags that were read, with problems that name where a value came from. */
import type { Problem } from "../problem.ts"
import { findFlag, type FlagSpec } from "./flagTable.ts"
import { type FlagValue, shown } from "./goFlags.ts"
import { parseGoBool, parseGoDuration, parseGoInt, parseGoUint } from "./goValues.ts"
import { type EtcdUrl, parseUrls } from "./urls.ts"

export class FlagReading {
  readonly problems: Array<Problem> = []
  readonly warnings: Array<string> = []
  readonly #values: ReadonlyMap<string, FlagValue>

  constructor(values: ReadonlyMap<string, FlagValue>) {
    this.#values = values
  }

  /** All flags that were given. */
  known(): ReadonlyArray<FlagSpec> {
    return [...this.#values.keys()].map((name) => findFlag(name)!.spec)
  }

  /** Somebody said it; the default does not count. */
  given(name: string): FlagValue | undefined {
    return this.#values.get(name)
  }

  text(name: string): string {
    return this.#values.get(name)?.text ?? findFlag(name)!.spec.fallback
  }

  isOn(name: string): boolean {
    return parseGoBool(this.text(name)) === true
  }

  /** A whole number of either kind; what is beyond 2^53 counts as that. */
  number(name: string): number {
    const text = this.text(name)
    const value = findFlag(name)!.spec.kind === "int" ? parseGoInt(text) : parseGoUint(text)
    return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number(value ?? 0n), Number.MAX_SAFE_INTEGER))
  }

  millis(name: string): number {
    return Number(parseGoDuration(this.text(name)) ?? 0n) / 1e6
  }

  list(name: string): ReadonlyArray<string> {
    return this.text(name)
      .split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "")
  }

  urls(name: string): ReadonlyArray<EtcdUrl> {
    const text = this.text(name)
    if (text.trim() === "") return []
    const parsed = parseUrls(text)
    if (parsed.ok) return parsed.urls
    this.refuse(name, `http://ADDRESS:PORT, with commas between several (${parsed.reason})`)
    return []
  }

  /** One of these, or a problem and the first of them. */
  choice<A extends string>(name: string, allowed: readonly [A, ...ReadonlyArray<A>]): A {
    const text = this.text(name)
    const found = allowed.find((candidate) => candidate === text)
    if (found === undefined) this.refuse(name, allowed.join(", "))
    return found ?? allowed[0]
  }

  refuse(name: string, allowed: string): void {
    const given = this.#values.get(name)
    const flag = `--${name}`
    this.problems.push(
      given === undefined
        ? { key: flag, value: undefined, allowed }
        : { key: flag, value: shown(given.text), allowed, source: given.source }
    )
  }
}
