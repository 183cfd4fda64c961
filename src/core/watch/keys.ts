/** What a watch looks at, with keys as strings in byte order. */
import { keyString } from "../mvcc/keys.ts"

/** Above every latin1 string: the end of a range without an upper end. */
export const noEnd = "\uffff"

/** One key when `end` is undefined, else `begin` ≤ key < `end`. */
export interface KeyRange {
  readonly begin: string
  readonly end: string | undefined
}

/** Rule W4; undefined when the range is empty (`end` ≤ `key`, rule W3). */
export const watchedRange = (key: Uint8Array, rangeEnd: Uint8Array): KeyRange | undefined => {
  const begin = key.length === 0 ? "\0" : keyString(key)
  if (rangeEnd.length === 0) return { begin, end: undefined }
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { begin, end: noEnd }
  const end = keyString(rangeEnd)
  return end > begin ? { begin, end } : undefined
}
