/**
 * Keys inside the index are latin1 strings of their bytes: comparing two with `<` is byte order (design section 3).
 * Intervals follow rule R2.
 */

const latin1Slice = Buffer.prototype.latin1Slice as (this: Uint8Array, start: number, end: number) => string

export const keyString = (key: Uint8Array): string => latin1Slice.call(key, 0, key.length)

export const keyBytes = (key: string): Uint8Array => {
  const bytes = new Uint8Array(key.length)
  for (let i = 0; i < key.length; i++) bytes[i] = key.charCodeAt(i)
  return bytes
}

/** [start, end) in byte order; `end` undefined: no upper bound. Empty when `end` ≤ `start`. */
export interface Interval {
  readonly start: string
  readonly end: string | undefined
  /** Exactly the key `start` and nothing else. */
  readonly single: boolean
}

/** Rule R2: no end = one key, end "\0" = everything from `key` on, else half-open. */
export const interval = (key: Uint8Array, rangeEnd: Uint8Array): Interval => {
  const start = keyString(key)
  if (rangeEnd.length === 0) return { start, end: start + "\0", single: true }
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { start, end: undefined, single: false }
  return { start, end: keyString(rangeEnd), single: false }
}

export const everything: Interval = { start: "", end: undefined, single: false }

export const contains = (span: Interval, key: string): boolean =>
  key >= span.start && (span.end === undefined || key < span.end)

/** Byte order of two byte strings, shorter first when one is the other's prefix. */
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b)
