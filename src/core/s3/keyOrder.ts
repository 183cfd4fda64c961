/** Keys of objects in the order in which S3 lists them: byte order of their UTF-8. */

// UTF-16 order differs from UTF-8 order only where a surrogate meets U+E000 … U+FFFF: lift surrogates above those.
const fixUp = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit)

export const compareKeys = (left: string, right: string): number => {
  const length = Math.min(left.length, right.length)
  for (let i = 0; i < length; i++) {
    const a = left.charCodeAt(i)
    const b = right.charCodeAt(i)
    if (a !== b) return fixUp(a) - fixUp(b)
  }
  return left.length - right.length
}

/** First position in `sorted` whose key is ≥ `key` (or > `key` with `after`). */
const searchKeys = (sorted: ReadonlyArray<string>, key: string, after = false): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = compareKeys(sorted[middle]!, key)
    if (order < 0 || (after && order === 0)) low = middle + 1
    else high = middle
  }
  return low
}

export interface KeyPage {
  readonly keys: ReadonlyArray<string>
  readonly prefixes: ReadonlyArray<string>
  /** Last key or rolled-up prefix of this page; undefined on the last page. */
  readonly next: string | undefined
}

/** One page of `sorted` as S3 lists it: keys and rolled-up prefixes count alike, `after` may be either. */
export const pageOfKeys = (
  sorted: ReadonlyArray<string>,
  options: { readonly prefix: string; readonly delimiter?: string; readonly after?: string; readonly limit: number }
): KeyPage => {
  const { prefix, delimiter, after, limit } = options
  const keys: Array<string> = []
  const prefixes: Array<string> = []
  let last: string | undefined
  let index = searchKeys(sorted, prefix)
  if (after !== undefined && compareKeys(after, prefix) >= 0) index = searchKeys(sorted, after, true)
  for (;;) {
    const key = sorted[index]
    if (key === undefined || !key.startsWith(prefix)) return { keys, prefixes, next: undefined }
    const cut = delimiter === undefined || delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length)
    const rolled = cut === -1 ? undefined : key.slice(0, cut + delimiter!.length)
    if (rolled !== undefined && rolled === after) {
      // A page ended with this prefix: everything under it has been said.
      index = skipPrefix(sorted, rolled, index)
      continue
    }
    if (keys.length + prefixes.length === limit) return { keys, prefixes, next: last }
    if (rolled === undefined) {
      keys.push(key)
      index++
    } else {
      prefixes.push(rolled)
      index = skipPrefix(sorted, rolled, index)
    }
    last = rolled ?? key
  }
}

/** First position from `from` on whose key does not start with `prefix` (keys with it are adjacent). */
const skipPrefix = (sorted: ReadonlyArray<string>, prefix: string, from: number): number => {
  let low = from
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]!.startsWith(prefix)) low = middle + 1
    else high = middle
  }
  return low
}
