/**
 * A moment of the log as somebody names it who wants the state of then: the last entry that is not behind it. By revision
 * that is the last one of that revision, with the operations that took none of their own; by time, the last one that a
 * Primary's clock had put there or earlier.
 */
import { isoTime } from "../isoTime.ts"
import type { LogRecord, Timestamp } from "./record.ts"

export type Moment =
  | { readonly kind: "newest" }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "revision"; readonly revision: number }
  | { readonly kind: "time"; readonly millis: number }

/** Where something stands in the log; `millis` undefined: nothing says when it was made. */
export interface Standing {
  readonly index: number
  readonly revision: number
  readonly millis: number | undefined
}

export const millisOf = (time: Timestamp | undefined): number | undefined =>
  time === undefined ? undefined : time.seconds * 1000 + Math.floor(time.nanos / 1_000_000)

export const standingOf = ({ createdAt, index, revision }: LogRecord): Standing => ({
  index,
  revision,
  millis: millisOf(createdAt)
})

/** Is it at the moment or before it? Without a time nothing is said to be before one. */
export const isWithin = (moment: Moment, { index, millis, revision }: Standing): boolean => {
  if (moment.kind === "index") return index <= moment.index
  if (moment.kind === "revision") return revision <= moment.revision
  if (moment.kind === "time") return millis !== undefined && millis <= moment.millis
  return true
}

export const showMoment = (moment: Moment): string => {
  if (moment.kind === "index") return `index ${moment.index}`
  if (moment.kind === "revision") return `revision ${moment.revision}`
  return moment.kind === "time" ? isoTime(moment.millis) : "the newest moment"
}

/** Why the log's end at `last` is before the moment, which nobody has seen then. */
export const beyond = (moment: Moment, last: Omit<Standing, "millis">): string | undefined => {
  if (moment.kind !== "index" && moment.kind !== "revision") return undefined
  const isBeyond = moment.kind === "index" ? moment.index > last.index : moment.revision > last.revision
  return isBeyond
    ? `${showMoment(moment)} is newer than the newest, revision ${last.revision} (index ${last.index})`
    : undefined
}

/** `at`: the oldest state there is a way from; `alone`: older ones that only stand for themselves. */
export const tooOld = (moment: Moment, at: Standing, alone: ReadonlyArray<Omit<Standing, "millis">>): string => {
  const place = (one: Omit<Standing, "millis">): string => `revision ${one.revision} (index ${one.index})`
  const since = at.millis === undefined ? "" : ` of ${isoTime(at.millis)}`
  const more = alone.length === 0 ? "" : `; older, and only exactly so: ${alone.map(place).join(", ")}`
  return `${showMoment(moment)} is older than what the bucket keeps: the oldest to be had is ${place(at)}${since}${more}`
}
