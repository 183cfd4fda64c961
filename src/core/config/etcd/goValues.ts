/** Values as Go's `flag` package reads them. Undefined: not of that kind. */
import { parseDuration } from "../duration.ts"

const truths: ReadonlySet<string> = new Set(["1", "t", "T", "TRUE", "true", "True"])
const untruths: ReadonlySet<string> = new Set(["0", "f", "F", "FALSE", "false", "False"])

export const parseGoBool = (text: string): boolean | undefined =>
  truths.has(text) ? true : untruths.has(text) ? false : undefined

const uintMax = 2n ** 64n - 1n
const intMax = 2n ** 63n - 1n
const textLengthMax = 64

/** Decimal, `0x…`, `0o…`, `0…`, `0b…`, with `_` between digits. */
const magnitudeOf = (text: string): bigint | undefined => {
  if (text.length > textLengthMax || !/^[0-9a-zA-Z]+(_[0-9a-zA-Z]+)*$/.test(text)) return undefined
  const digits = text.replaceAll("_", "")
  if (/^(0|[1-9][0-9]*)$/.test(digits) || /^0([xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)$/.test(digits)) {
    return BigInt(digits.toLowerCase())
  }
  return /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : undefined
}

export const parseGoUint = (text: string): bigint | undefined => {
  const value = magnitudeOf(text)
  return value === undefined || value > uintMax ? undefined : value
}

export const parseGoInt = (text: string): bigint | undefined => {
  const negative = text.startsWith("-")
  const value = magnitudeOf(negative || text.startsWith("+") ? text.slice(1) : text)
  if (value === undefined || value > (negative ? intMax + 1n : intMax)) return undefined
  return negative ? -value : value
}

/** Nanoseconds. */
export const parseGoDuration = (text: string): bigint | undefined => {
  const parsed = parseDuration(text)
  return parsed.ok ? parsed.nanos : undefined
}
