/** Text and bytes: what a program gives may be either, what the store has is bytes. */

/** A text is stored as its UTF-8 bytes. */
export type Bytes = string | Uint8Array

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

export const toBytes = (value: Bytes): Uint8Array => {
  if (typeof value === "string") return encoder.encode(value)
  if (value instanceof Uint8Array) return value
  // Without types anything may come.
  throw new TypeError(`a key or a value is a text or bytes, not ${value === null ? "null" : typeof value}`)
}

/** Bytes that are not UTF-8 show as U+FFFD. */
export const toText = (bytes: Uint8Array): string => decoder.decode(bytes)
