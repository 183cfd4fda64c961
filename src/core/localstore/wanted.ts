/** The request form of `versions`: for each one wanted, f64 revision, u32 key bytes, the key. */
import type { Frame } from "./frame.ts"

export interface Wanted {
  readonly key: Uint8Array
  readonly revision: number
}

const headBytes = 12

export const wantedBytes = (wanted: ReadonlyArray<Wanted>): number => {
  let total = 0
  for (const one of wanted) total += headBytes + one.key.length
  return total
}

export const encodeWanted = (wanted: ReadonlyArray<Wanted>): Frame => {
  const length = wantedBytes(wanted)
  const buffer = new ArrayBuffer(length)
  const bytes = new Uint8Array(buffer)
  const view = new DataView(buffer)
  let at = 0
  for (const one of wanted) {
    view.setFloat64(at, one.revision, true)
    view.setUint32(at + 8, one.key.length, true)
    bytes.set(one.key, at + headBytes)
    at += headBytes + one.key.length
  }
  return { buffer, length }
}

export const decodeWanted = (frame: Frame): ReadonlyArray<Wanted> => {
  const bytes = new Uint8Array(frame.buffer, 0, frame.length)
  const view = new DataView(frame.buffer, 0, frame.length)
  const wanted: Array<Wanted> = []
  for (let at = 0; at < frame.length;) {
    const end = at + headBytes + view.getUint32(at + 8, true)
    wanted.push({ revision: view.getFloat64(at, true), key: bytes.subarray(at + headBytes, end) })
    at = end
  }
  return wanted
}
