/** Object keys of data files: named by the index of the last entry (equal to the revision in files of Netsy 1.x). */
import { assert } from "../assert.ts"

export const chunksPrefix = "chunks/"
export const snapshotsPrefix = "snapshots/"

/** `chunks/2345/0000000000000012345.netsy` */
export const chunkKey = (lastIndex: number): string => {
  assert(Number.isSafeInteger(lastIndex) && lastIndex > 0, `chunk key of index ${lastIndex}`)
  const partition = String(lastIndex % 10000).padStart(4, "0")
  return `${chunksPrefix}${partition}/${String(lastIndex).padStart(19, "0")}.netsy`
}

/** `snapshots/0000000000000012345.netsy` */
export const snapshotKey = (lastIndex: number): string => {
  assert(Number.isSafeInteger(lastIndex) && lastIndex > 0, `snapshot key of index ${lastIndex}`)
  return `${snapshotsPrefix}${String(lastIndex).padStart(19, "0")}.netsy`
}

/**
 * Last index of a data file's key; undefined for other objects, which are ignored. Lenient as Netsy 1.x: only the last
 * path segment counts, padding is not needed.
 */
export const indexOfKey = (key: string): number | undefined => {
  const match = /(?:^|\/)([+-]?[0-9]+)\.netsy$/.exec(key)
  if (match === null) return undefined
  const index = Number(match[1])
  return Number.isSafeInteger(index) && index > 0 ? index : undefined
}
