/** The small space that random requests are drawn from. */
import type { Random } from "../wire/random.ts"
import type { Plain } from "./messages.ts"

export const pick = <T>(random: Random, values: ReadonlyArray<T>): T => values[random.int(values.length)]!

export const weighted = <T>(random: Random, choices: ReadonlyArray<readonly [number, T]>): T => {
  let at = random.int(choices.reduce((sum, [weight]) => sum + weight, 0))
  for (const [weight, value] of choices) {
    if (at < weight) return value
    at -= weight
  }
  throw new Error("no choice")
}

const keys = [
  "a",
  "b",
  "c",
  "aa",
  "ab",
  "a\0",
  "a\u00ff",
  "b/1",
  "b/2",
  "b/10",
  "c%",
  "c_",
  "C",
  "\u00ff",
  "\u00ff\u00ff",
  "\0",
  "\0\0",
  "d",
  "e",
  "f",
  "g",
  "h",
  "i",
  "j",
  "k",
  "l",
  "m"
]
const values = ["", "1", "2", "10", "x", "xx", "\0", "\u00ff", "value", "a longer value that is not like the others"]

export const key = (random: Random): string => pick(random, keys)
export const value = (random: Random): string => pick(random, values)
export const givenLease = (random: Random): unknown => pick(random, [1, 2, 3, 4, 5, 6, 4096, "9223372036854775807"])

/** Key and range_end; `emptyPercent` of the keys are missing. */
export const interval = (random: Random, emptyPercent = 1): Plain => {
  const start = random.chance(emptyPercent) ? "" : key(random)
  return weighted<() => Plain>(random, [
    [40, () => ({ key: start })],
    [30, () => ({ key: start, range_end: key(random) })],
    [12, () => ({ key: start, range_end: "\0" })],
    [8, () => ({ key: "\0", range_end: "\0" })],
    [10, () => ({ key: "b/", range_end: "b0" })]
  ])()
}

export const filters = (random: Random): ReadonlyArray<string> =>
  pick(random, [["NOPUT"], ["NODELETE"], ["NOPUT", "NODELETE"], ["NOPUT", "NOPUT"]])
