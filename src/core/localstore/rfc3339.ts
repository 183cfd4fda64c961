/** RFC 3339 times as Netsy 1.x stores them (nanoseconds, trailing zeros trimmed), to and from protobuf Timestamps. */
import type { Timestamp } from "../log/record.ts"

const form = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/

/** Undefined when the text is not such a time. */
export const parseRfc3339 = (text: string): Timestamp | undefined => {
  const match = form.exec(text)
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHours, offsetMinutes] = match
  const millis = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second))
  const date = new Date(millis)
  // Date.UTC rolls a 31 February over into March and takes 0 … 99 for years of the 20th century: neither is a time.
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined
  if (date.getUTCFullYear() !== Number(year) || Number(hour) > 23 || Number(minute) > 59) return undefined
  if (Number(second) > 59) return undefined
  const offset = sign === undefined ? 0 : (Number(offsetHours) * 60 + Number(offsetMinutes)) * (sign === "-" ? -60 : 60)
  return { seconds: millis / 1000 - offset, nanos: Number((fraction ?? "").padEnd(9, "0")) }
}

/** `20261121T022200Z`: a moment as it appears in the name of a file that was set aside. */
export const fileStamp = (epochMillis: number): string =>
  new Date(epochMillis).toISOString().replace(/\.\d+/, "").replace(/[-:]/g, "")
