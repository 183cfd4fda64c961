/** Random JSON texts and small damages to them. */
import type { Random } from "../wire/random.ts"

const strings = ['""', '"a"', '"Zm9v"', '"\\u00e9\\n"', '"\\"{[,:]}"', '"日本語"', '"12"', '"9223372036854775807"']
const numbers = ["0", "-0", "1", "-12", "3.25", "1e5", "2E-3", "9007199254740993", "18446744073709551615"]
const names = [
  "key",
  "range_end",
  "rangeEnd",
  "limit",
  "ID",
  "TTL",
  "create_request",
  "success",
  "request_put",
  "x",
  ""
]

export const randomJson = (random: Random, depth = 0): string => {
  const kind = random.int(depth > 4 ? 5 : 8)
  if (kind < 2) return strings[random.int(strings.length)]!
  if (kind === 2) return numbers[random.int(numbers.length)]!
  if (kind < 5) return ["true", "false", "null"][random.int(3)]!
  const inside = Array.from({ length: random.int(4) }, () => randomJson(random, depth + 1))
  const space = random.chance(20) ? " \n" : ""
  if (kind === 5) return `[${space}${inside.join(`,${space}`)}]`
  return `{${space}${inside.map((value) => `"${names[random.int(names.length)]!}":${space}${value}`).join(",")}}`
}

const damages = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\\",
  "\u0000",
  "0",
  "-",
  "e",
  ".",
  "n",
  "=",
  "\t",
  "ü",
  "\\u",
  "//"
]

/** With up to `count` characters dropped, doubled or put in. */
export const mutated = (random: Random, text: string, count: number): string => {
  let result = text
  for (let i = random.int(count + 1); i > 0; i--) {
    const at = random.int(result.length + 1)
    const kind = random.int(3)
    if (kind === 0) result = result.slice(0, at) + result.slice(at + 1 + random.int(3))
    else if (kind === 1) result = result.slice(0, at) + damages[random.int(damages.length)]! + result.slice(at)
    else result = result.slice(0, at) + result.slice(random.int(at + 1))
  }
  return result
}
