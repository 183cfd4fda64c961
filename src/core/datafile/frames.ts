/** Length-delimited messages out of a source that comes in pieces; holds one message and one piece. */
import { varintLength } from "../wire/protobuf.ts"
import { damaged, type Place } from "./header.ts"

export class Frames {
  /** The joined bytes of the message at hand, and what lies behind it. */
  bytes: Uint8Array = new Uint8Array(0)
  at = 0
  /** Of `bytes[0]` in the file or the decompressed body. */
  base: number
  private pieces: Array<Uint8Array> = []
  private pieceBytes = 0
  private needed = 1
  private readonly source: string
  private readonly decompressed: boolean
  private readonly maxBytes: number

  constructor(source: string, base: number, decompressed: boolean, maxBytes: number) {
    this.source = source
    this.base = base
    this.decompressed = decompressed
    this.maxBytes = maxBytes
  }

  push(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.pieces.push(piece)
    this.pieceBytes += piece.length
  }

  /** Moves to the next message if it is there whole: [start, end) in `bytes`. */
  next(): { readonly start: number; readonly end: number } | undefined {
    if (this.pieceBytes > 0 && this.bytes.length - this.at + this.pieceBytes >= this.needed) this.join()
    const bytes = this.bytes
    let size = 0
    let factor = 1
    let position = this.at
    for (;;) {
      if (position >= bytes.length) {
        this.needed = bytes.length - this.at + 1
        return undefined
      }
      const byte = bytes[position++]!
      size += (byte & 0x7f) * factor
      factor *= 128
      if (byte < 0x80) break
      if (position - this.at >= 10) throw damaged(this.place(), "message size", "the length is longer than ten bytes")
    }
    if (size > this.maxBytes) {
      throw damaged(this.place(), "message size", `${size} bytes, allowed are ${this.maxBytes}`)
    }
    if (position - this.at !== varintLength(size)) {
      throw damaged(this.place(), "message size", "the length is not minimal")
    }
    if (bytes.length - position < size) {
      this.needed = position - this.at + size
      return undefined
    }
    return { start: position, end: position + size }
  }

  /** The message is done with. */
  advance(end: number): void {
    this.at = end
    this.needed = 1
  }

  /** Bytes that have come and were not read. */
  get unread(): number {
    return this.bytes.length - this.at + this.pieceBytes
  }

  get offset(): number {
    return this.base + this.at
  }

  place(): Place {
    return { source: this.source, offset: this.offset, decompressed: this.decompressed }
  }

  /** Everything unread, for the body behind a header. */
  rest(): Uint8Array {
    this.join()
    return this.bytes.subarray(this.at)
  }

  private join(): void {
    if (this.pieces.length === 0) return
    const left = this.bytes.length - this.at
    this.base += this.at
    if (left === 0 && this.pieces.length === 1) this.bytes = this.pieces[0]!
    else {
      // A new buffer each time: records already handed out are views into the old one.
      const joined = new Uint8Array(left + this.pieceBytes)
      joined.set(this.bytes.subarray(this.at))
      let position = left
      for (const piece of this.pieces) {
        joined.set(piece, position)
        position += piece.length
      }
      this.bytes = joined
    }
    this.at = 0
    this.pieces = []
    this.pieceBytes = 0
  }
}
