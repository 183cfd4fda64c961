/**
 * Go's duration texts (`1h30m`, `1.5s`, `100ms`), as nanoseconds in a signed 64-bit range. The parser accepts what
 * Go's `time.ParseDuration` accepts, the printer writes what `Duration.String` writes.
 */

export type DurationResult =
  | { readonly ok: true; readonly nanos: bigint }
  | { readonly ok: false; readonly reason: string }

const nanosPerUnit: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  "\u00b5s": 1_000n,
  "\u03bcs": 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n
}

export const durationNanosMax = 2n ** 63n - 1n
const durationNanosMin = -(2n ** 63n)
const textLengthMax = 128

const refused = (reason: string): DurationResult => ({ ok: false, reason })

/** Checks the 64-bit range, for JSON numbers as well as for texts. */
export const durationOfNanos = (nanos: bigint): DurationResult =>
  nanos > durationNanosMax || nanos < durationNanosMin ? refused("longer than 292 years") : { ok: true, nanos }

export const parseDuration = (text: string): DurationResult => {
  if (text.length > textLengthMax) return refused(`longer than ${textLengthMax} characters`)
  const negative = text.startsWith("-")
  const body = negative || text.startsWith("+") ? text.slice(1) : text
  if (body === "0") return { ok: true, nanos: 0n }
  if (body === "") return refused("empty")

  const part = /(\d*)(?:\.(\d*))?([^\d.]*)/y
  let nanos = 0n
  while (part.lastIndex < body.length) {
    const match = part.exec(body)
    if (match === null || match[0] === "") return refused("not a number with a unit")
    const [, whole = "", fraction = "", unit = ""] = match
    if (whole === "" && fraction === "") return refused("a number is missing")
    if (unit === "") return refused("a unit is missing (ns, us, ms, s, m, h)")
    const scale = Object.hasOwn(nanosPerUnit, unit) ? nanosPerUnit[unit] : undefined
    if (scale === undefined) return refused(`unknown unit "${unit}" (known: ns, us, ms, s, m, h)`)
    nanos += BigInt(whole === "" ? "0" : whole) * scale
    if (fraction !== "") nanos += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length)
  }
  return durationOfNanos(negative ? -nanos : nanos)
}

const withFraction = (nanos: bigint, scale: bigint): string => {
  const digits = scale.toString().length - 1
  const fraction = (nanos % scale).toString().padStart(digits, "0").replace(/0+$/, "")
  return fraction === "" ? `${nanos / scale}` : `${nanos / scale}.${fraction}`
}

export const formatDuration = (nanos: bigint): string => {
  if (nanos === 0n) return "0s"
  const sign = nanos < 0n ? "-" : ""
  const size = nanos < 0n ? -nanos : nanos
  if (size < 1_000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return `${sign}${withFraction(size, 1_000n)}\u00b5s`
  if (size < 1_000_000_000n) return `${sign}${withFraction(size, 1_000_000n)}ms`
  const hours = size / nanosPerUnit["h"]!
  const minutes = (size / nanosPerUnit["m"]!) % 60n
  const seconds = `${withFraction(size % nanosPerUnit["m"]!, 1_000_000_000n)}s`
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}`
  return minutes > 0n ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`
}

export const millisOfNanos = (nanos: bigint): number => Number(nanos) / 1e6

/** For messages: `5000` → `5s`. */
export const formatMillis = (millis: number): string => formatDuration(BigInt(Math.round(millis * 1e6)))
