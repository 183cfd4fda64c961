/** RFC 3339 times as Netsy 1.x stores them (nanoseconds, trailing zeros trimmed), read as protobuf Timestamps. */
import type { Timestamp } from "../log/record.ts"

const form = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/

const secondsPerDay = 86_400

/** Undefined when the text is not such a time. */
export const parseRfc3339 = (text: string): Timestamp | undefined => {
  const match = form.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const offset =
    match[8] === undefined ? 0 : (Number(match[9]) * 60 + Number(match[10])) * (match[8] === "-" ? -60 : 60)
  return {
    seconds: daysSince1970(year, month, day) * secondsPerDay + hour * 3600 + minute * 60 + second - offset,
    nanos: Number((match[7] ?? "").padEnd(9, "0"))
  }
}

/** `20261121T022200Z`: a moment as it appears in the name of a file that was set aside. */
export const fileStamp = (epochMillis: number): string => {
  const seconds = Math.floor(epochMillis / 1000)
  const days = Math.floor(seconds / secondsPerDay)
  const inDay = seconds - days * secondsPerDay
  let year = 1970 + Math.floor(days / (days < 0 ? 365 : 366))
  while (daysSince1970(year + 1, 1, 1) <= days) year++
  let month = 1
  while (month < 12 && daysSince1970(year, month + 1, 1) <= days) month++
  const day = days - daysSince1970(year, month, 1) + 1
  const time = [Math.floor(inDay / 3600), Math.floor(inDay / 60) % 60, inDay % 60]
  return `${digits(year, 4)}${digits(month, 2)}${digits(day, 2)}T${time.map((part) => digits(part, 2)).join("")}Z`
}

const digits = (value: number, count: number): string => String(value).padStart(count, "0")

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

const daysInMonth = (year: number, month: number): number =>
  month === 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31

const daysSince1970 = (year: number, month: number, day: number): number => {
  let days = (year - 1970) * 365 + leapsBefore(year) - leapsBefore(1970) + day - 1
  for (let before = 1; before < month; before++) days += daysInMonth(year, before)
  return days
}

/** Leap years from year 1 up to the one before `year`. */
const leapsBefore = (year: number): number =>
  Math.floor((year - 1) / 4) - Math.floor((year - 1) / 100) + Math.floor((year - 1) / 400)
