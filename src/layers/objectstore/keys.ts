/** Which keys every store takes: what one refuses, all refuse, so that a bucket can move from one to another. */

const keyBytesMax = 1024
const segmentBytesMax = 255

/** Undefined: fine; else why not. Names with a leading dot belong to the directory store itself. */
export const keyProblem = (key: string): string | undefined => {
  if (key === "") return "the key is empty"
  // A character is at most 3 bytes of UTF-8 per UTF-16 unit, so most keys need no counting.
  if (key.length * 3 > keyBytesMax && Buffer.byteLength(key) > keyBytesMax) {
    return `the key has ${Buffer.byteLength(key)} bytes, more than ${keyBytesMax}`
  }
  if (key.includes("\0")) return "the key holds a NUL"
  if (!key.isWellFormed()) return "the key is not well-formed Unicode"
  for (const segment of key.split("/")) {
    if (segment === "") return 'the key has an empty part (it starts or ends with "/", or holds "//")'
    if (segment.startsWith(".")) return `a part of the key, "${segment}", starts with a dot`
    if (segment.length * 3 > segmentBytesMax && Buffer.byteLength(segment) > segmentBytesMax) {
      return `a part of the key has more than ${segmentBytesMax} bytes`
    }
  }
  return undefined
}

const listKeysMax = 1000

/** At most what a page may hold. */
export const pageLimit = (limit: number | undefined): number => Math.max(1, Math.min(listKeysMax, limit ?? listKeysMax))
