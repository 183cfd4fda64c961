/** Between stored rows and frames: rows become a frame's records, checksums verified, and a frame's records become rows. */
import { crc32 } from "node:zlib"
import type Database from "better-sqlite3"
import { type Frame, headBytes, kindAt } from "../../core/localstore/frame.ts"
import { Damaged } from "./errors.ts"

/** The columns every read asks for, in this order. */
export const columns = "idx, term, revision, sub, kind, crc, key, body"
export type Row = [
  idx: number,
  term: number,
  revision: number,
  sub: number,
  kind: number,
  crc: number,
  key: Uint8Array,
  body: Uint8Array
]

export const rowBytes = (row: Row): number => headBytes + row[6].length + row[7].length

/** A growing frame of rows that were read. */
export class RowFrame {
  private buffer: ArrayBuffer
  private bytes: Uint8Array
  private view: DataView
  private at = 0
  count = 0

  constructor(capacity = 65_536) {
    this.buffer = new ArrayBuffer(capacity)
    this.bytes = new Uint8Array(this.buffer)
    this.view = new DataView(this.buffer)
  }

  get length(): number {
    return this.at
  }

  add(row: Row): void {
    const [idx, term, revision, sub, kind, crc, key, body] = row
    const from = this.at
    const end = from + headBytes + key.length + body.length
    if (end > this.buffer.byteLength) this.grow(end)
    const view = this.view
    view.setFloat64(from, idx, true)
    view.setFloat64(from + 8, term, true)
    view.setFloat64(from + 16, revision, true)
    view.setUint32(from + 24, sub, true)
    view.setUint32(from + 28, key.length, true)
    view.setUint32(from + 32, body.length, true)
    this.bytes.set(key, from + headBytes)
    this.bytes.set(body, from + headBytes + key.length)
    if (crc32(this.bytes.subarray(from, end)) !== crc || kindAt(this.bytes, view, from) !== kind) {
      throw new Damaged(`the record at index ${idx}, sub ${sub} does not match its checksum`)
    }
    this.at = end
    this.count++
  }

  /** Starts over in the same buffer. */
  reset(): void {
    this.at = 0
    this.count = 0
  }

  take(): Frame {
    return { buffer: this.buffer, length: this.at }
  }

  private grow(needed: number): void {
    const grown = new ArrayBuffer(Math.max(needed, 2 * this.buffer.byteLength))
    const bytes = new Uint8Array(grown)
    bytes.set(this.bytes.subarray(0, this.at))
    this.buffer = grown
    this.bytes = bytes
    this.view = new DataView(grown)
  }
}

/** What an insertion looks at before each row: throws to refuse it. */
export type Check = (index: number, term: number, revision: number, sub: number) => void

/** Inserts the records of a frame without decoding their bodies. */
export class RowInserter {
  private readonly insert: Database.Statement<
    [number, number, number, number, number, number, Uint8Array, Uint8Array],
    unknown
  >

  constructor(db: Database.Database) {
    this.insert = db.prepare(
      "INSERT INTO records (idx, term, revision, sub, kind, crc, key, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
  }

  insertAll(frame: Frame, check: Check): void {
    // Buffers, not plain arrays: better-sqlite3 binds nothing else as a blob.
    const bytes = Buffer.from(frame.buffer, 0, frame.length)
    const view = new DataView(frame.buffer, 0, frame.length)
    for (let at = 0; at < frame.length;) {
      const index = view.getFloat64(at, true)
      const term = view.getFloat64(at + 8, true)
      const revision = view.getFloat64(at + 16, true)
      const sub = view.getUint32(at + 24, true)
      const body = at + headBytes + view.getUint32(at + 28, true)
      const end = body + view.getUint32(at + 32, true)
      check(index, term, revision, sub)
      const crc = crc32(bytes.subarray(at, end))
      const kind = kindAt(bytes, view, at)
      this.insert.run(
        index,
        term,
        revision,
        sub,
        kind,
        crc,
        bytes.subarray(at + headBytes, body),
        bytes.subarray(body, end)
      )
      at = end
    }
  }
}
