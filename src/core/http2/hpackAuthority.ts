/**
 * Takes the scheme out of `:authority` in the first header block of an HTTP/2 connection. gRPC clients of etcd 3.4 send
 * the endpoint there as it was given, `http://host:port`, which is no authority: nghttp2 resets the stream. Only the
 * block is changed: both tables count the same entries, ours being a few bytes smaller. Source: RFC 7541.
 */

/** The codes of what an authority is made of, by length: code numbers follow each other (RFC 7541, Appendix B). */
const codes: ReadonlyArray<{ readonly bits: number; readonly first: number; readonly characters: string }> = [
  { bits: 5, first: 0, characters: "012aceiost" },
  { bits: 6, first: 21, characters: "%-./3456789=A_bdfghlmnpru" },
  { bits: 7, first: 92, characters: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz" },
  { bits: 8, first: 252, characters: "XZ" },
  { bits: 13, first: 8187, characters: "[]" }
]
const longestCodeBits = 13

/** Undefined: other characters, or no Huffman code. */
const decodeHuffman = (bytes: Uint8Array): string | undefined => {
  let text = ""
  let code = 0
  let bits = 0
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >> bit) & 1)
      bits++
      const group = codes.find(
        (one) => one.bits === bits && code >= one.first && code < one.first + one.characters.length
      )
      if (group !== undefined) {
        text += group.characters[code - group.first]
        code = 0
        bits = 0
      } else if (bits >= longestCodeBits) return undefined
    }
  }
  // The padding is less than a byte of ones.
  return bits < 8 && code === (1 << bits) - 1 ? text : undefined
}

/** `:authority` in the static table. */
const authorityIndex = 1

class Block {
  readonly bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** An integer with a prefix of so many bits; NaN when it does not end. */
  integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1
    let value = (this.bytes[this.at++] ?? 0) & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.bytes[this.at++]
      if (byte === undefined) return Number.NaN
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    return Number.NaN
  }

  /** Passes over a string; where it is, undefined when it goes beyond the end. */
  text(): { readonly from: number; readonly value: string | undefined } | undefined {
    const from = this.at
    const huffman = ((this.bytes[from] ?? 0) & 0x80) !== 0
    const length = this.integer(7)
    if (!(this.at + length <= this.bytes.length)) return undefined
    const raw = this.bytes.subarray(this.at, this.at + length)
    this.at += length
    return { from, value: huffman ? decodeHuffman(raw) : String.fromCharCode(...raw) }
  }
}

const schemes = /^https?:\/\//

/** The block with a bare authority; undefined when there is nothing to change (or nothing is understood). */
export const withoutScheme = (bytes: Uint8Array): Uint8Array | undefined => {
  const block = new Block(bytes)
  while (block.at < bytes.length) {
    const first = bytes[block.at]!
    if (first >= 0x80 || (first & 0xe0) === 0x20) {
      // An indexed field, or a new table size.
      if (Number.isNaN(block.integer(first >= 0x80 ? 7 : 5))) return undefined
      continue
    }
    const index = block.integer((first & 0x40) !== 0 ? 6 : 4)
    const name = index === 0 ? block.text() : undefined
    const value = block.text()
    if (Number.isNaN(index) || value === undefined || (index === 0 && name === undefined)) return undefined
    if (index !== authorityIndex && name?.value !== ":authority") continue
    const text = value.value
    if (text === undefined || !schemes.test(text)) return undefined
    const bare = text.replace(schemes, "").replace(/\/$/, "")
    // A length of one byte, as it is without Huffman coding.
    if (bare.length === 0 || bare.length >= 127) return undefined
    const changed = new Uint8Array(value.from + 1 + bare.length + bytes.length - block.at)
    changed.set(bytes.subarray(0, value.from))
    changed[value.from] = bare.length
    for (let i = 0; i < bare.length; i++) changed[value.from + 1 + i] = bare.charCodeAt(i)
    changed.set(bytes.subarray(block.at), value.from + 1 + bare.length)
    return changed
  }
  return undefined
}
