/**
 * Keys as file names a person can read: `a/b.json` is the file `a/b.json`. What a file system cannot hold is written
 * with `%XX`; an object whose name is also a folder gets the suffix `%file`. Reversible, and never leaves the bucket.
 */

const segmentBytesMax = 200
const emptySegment = "%empty"
/** Ends the name of a folder that holds the rest of a long segment. */
const continued = "%more"
export const besideFolder = "%file"

const byteEscape = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`

const escapeSegment = (segment: string): string => {
  if (segment === "") return emptySegment
  let name = ""
  for (const character of segment) {
    const code = character.codePointAt(0)!
    const hidden = code === 0x2e && name === ""
    const parked = code >= 0xf700 && code <= 0xf7ff
    const plain = code > 0x1f && code !== 0x7f && !'%\\:*?"<>|'.includes(character) && !hidden && !parked
    if (plain) name += character
    else for (const byte of Buffer.from(character)) name += byteEscape(byte)
  }
  if (Buffer.byteLength(name) <= segmentBytesMax) return name
  const pieces: Array<string> = []
  let piece = ""
  for (const character of name.match(/%[0-9A-F]{2}|[^]/gu) ?? []) {
    if (Buffer.byteLength(piece) + Buffer.byteLength(character) > segmentBytesMax) {
      pieces.push(piece + continued)
      piece = ""
    }
    piece += character
  }
  return [...pieces, piece].join("/")
}

/** Path below the bucket's folder. */
export const pathOfKey = (key: string): string => key.split("/").map(escapeSegment).join("/")

const unescapeSegment = (name: string): string => {
  if (name === emptySegment) return ""
  const bytes = name.replace(/%([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(0xf700 + Number.parseInt(hex, 16))
  )
  if (bytes === name) return name
  // Escaped bytes were parked in a private range; they become UTF-8 again together.
  const out: Array<Buffer> = []
  for (const character of bytes) {
    const code = character.codePointAt(0)!
    out.push(code >= 0xf700 && code <= 0xf7ff ? Buffer.from([code - 0xf700]) : Buffer.from(character))
  }
  return Buffer.concat(out).toString("utf8")
}

/** The key of a file, from its path below the bucket's folder. */
export const keyOfPath = (path: string): string => {
  const names = path.split("/")
  const last = names.length - 1
  if (names[last]!.endsWith(besideFolder)) names[last] = names[last]!.slice(0, -besideFolder.length)
  const segments: Array<string> = []
  let segment = ""
  for (const name of names) {
    const more = name.endsWith(continued)
    segment += more ? name.slice(0, -continued.length) : name
    if (more) continue
    segments.push(unescapeSegment(segment))
    segment = ""
  }
  return segments.join("/")
}
