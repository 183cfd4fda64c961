/** Which keys a request is about, as a program says it and as the wire does. */
import { type Bytes, toBytes } from "./text.ts"

/** One key, all keys with a prefix (`""`: every key), or those with `from` ≤ key < `to` (without `to`: to the end). */
export type Keys = Bytes | { readonly prefix: Bytes } | { readonly from: Bytes; readonly to?: Bytes | undefined }

export interface KeySpan {
  readonly key: Uint8Array
  readonly rangeEnd: Uint8Array
}

const none = new Uint8Array(0)
const zero = Uint8Array.of(0)

/** First key behind all those with the prefix; a zero byte where there is none, which the wire reads as "to the end". */
export const endOfPrefix = (prefix: Uint8Array): Uint8Array => {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return zero
  const end = prefix.slice(0, length)
  end[length - 1]! += 1
  return end
}

/** The smallest key there can be stands for "from the beginning": an empty key is refused by etcd. */
const begin = (key: Uint8Array): Uint8Array => (key.length === 0 ? zero : key)

export const spanOf = (keys: Keys): KeySpan => {
  if (typeof keys === "string" || keys instanceof Uint8Array) return { key: toBytes(keys), rangeEnd: none }
  if ("prefix" in keys) {
    const prefix = toBytes(keys.prefix)
    return { key: begin(prefix), rangeEnd: endOfPrefix(prefix) }
  }
  return { key: begin(toBytes(keys.from)), rangeEnd: keys.to === undefined ? zero : toBytes(keys.to) }
}

/** The same keys without those up to and including `last`. */
export const spanAfter = (span: KeySpan, last: Uint8Array): KeySpan => {
  const key = new Uint8Array(last.length + 1)
  key.set(last)
  return { key, rangeEnd: span.rangeEnd }
}
