/** Milliseconds since 1970 as `2026-11-21T02:29:14.123Z`: arithmetic only, so that pure code can print times. */

const dayMillis = 86_400_000
/** The years that four digits can write: 0000-01-01 to 9999-12-31. */
const millisMin = -62_167_219_200_000
const millisMax = 253_402_300_799_999

const padded = (value: number, width: number): string => String(value).padStart(width, "0")

/** A time outside of the years 0 to 9999, or none at all, is printed as the number that it is. */
export const isoTime = (millis: number): string => {
  if (!(millis >= millisMin && millis <= millisMax)) return String(millis)
  const whole = Math.floor(millis)
  const day = Math.floor(whole / dayMillis)
  const rest = whole - day * dayMillis
  // Howard Hinnant's civil_from_days: years that begin in March put the leap day last.
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const date = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const time = [
    padded(Math.floor(rest / 3_600_000), 2),
    padded(Math.floor(rest / 60_000) % 60, 2),
    `${padded(Math.floor(rest / 1_000) % 60, 2)}.${padded(rest % 1_000, 3)}`
  ].join(":")
  return `${padded(year, 4)}-${padded(month, 2)}-${padded(date, 2)}T${time}Z`
}
