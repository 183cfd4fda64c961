/** The protobuf Reader over a piece of a buffer. What is not well-formed throws `MalformedMessage` with its offset. */
import { WireType } from "./wireType.ts"

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Messages inside messages that a Reader enters: 100 nested Txns (two messages each) and what they hold. */
export const maxDepth = 210

/** The bytes are not a well-formed message. `offset` counts from the start of the Reader's buffer. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage"
  readonly offset: number
  readonly reason: string
  constructor(offset: number, reason: string) {
    super(`malformed protobuf at byte ${offset}: ${reason}`)
    this.offset = offset
    this.reason = reason
  }
}

export class Reader {
  readonly buffer: Uint8Array
  position: number
  /** First byte that does not belong to the message. */
  end: number
  #depth = 0

  constructor(buffer: Uint8Array, start = 0, end = buffer.length) {
    this.buffer = buffer
    this.position = start
    this.end = end
  }

  /** True when the message (or the part entered) has been read to its end. */
  done(): boolean {
    return this.position >= this.end
  }

  fail(reason: string, offset = this.position): never {
    throw new MalformedMessage(offset, reason)
  }

  /** field × 8 + wire type. */
  tag(): number {
    const start = this.position
    const value = this.varint()
    if (value < 8 || value > 0xffffffff) this.fail(`field number ${Math.floor(value / 8)} is not allowed`, start)
    return value
  }

  /** An unsigned varint that must be a safe integer. */
  varint(): number {
    const start = this.position
    const buffer = this.buffer
    const end = this.end
    let at = start
    if (at >= end) this.fail("ends in the middle of a number")
    let byte = buffer[at++]!
    if (byte < 0x80) {
      this.position = at
      return byte
    }
    let value = byte & 0x7f
    let factor = 128
    for (let i = 1; i < 10; i++) {
      if (at >= end) this.fail("ends in the middle of a number", start)
      byte = buffer[at++]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) this.fail("number is 2^53 or more", start)
        this.position = at
        return value
      }
      factor *= 128
    }
    return this.fail("number is longer than ten bytes", start)
  }

  /** A uint64. */
  uint64(): bigint {
    const start = this.position
    let low = 0
    let high = 0
    for (let i = 0; i < 10; i++) {
      if (this.position >= this.end) this.fail("ends in the middle of a number", start)
      const byte = this.buffer[this.position++]!
      const bits = byte & 0x7f
      if (i < 4) low |= bits << (7 * i)
      else if (i === 4) {
        low |= bits << 28
        high |= bits >>> 4
      } else high |= bits << (7 * i - 32)
      if (byte < 0x80) {
        if (i === 9 && byte > 1) this.fail("number has more than 64 bits", start)
        return high === 0 ? BigInt(low >>> 0) : (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
      }
    }
    return this.fail("number is longer than ten bytes", start)
  }

  /** An int64 as bigint. */
  int64(): bigint {
    return BigInt.asIntN(64, this.uint64())
  }

  /** An int64 that must be a safe integer. */
  int64Number(): number {
    const start = this.position
    if (start < this.end && this.buffer[start]! < 0x80) return this.buffer[this.position++]!
    const value = this.int64()
    if (value > 9007199254740991n || value < -9007199254740991n) this.fail("number is outside ±2^53", start)
    return Number(value)
  }

  /** An int64 pulled into the safe integers: enough where only "too big" matters (revisions that a client asks for). */
  int64Clamped(): number {
    if (this.position < this.end && this.buffer[this.position]! < 0x80) return this.buffer[this.position++]!
    const value = this.int64()
    if (value > 9007199254740991n) return Number.MAX_SAFE_INTEGER
    if (value < -9007199254740991n) return Number.MIN_SAFE_INTEGER
    return Number(value)
  }

  /** As `int64Clamped` for a uint64. */
  uint64Clamped(): number {
    if (this.position < this.end && this.buffer[this.position]! < 0x80) return this.buffer[this.position++]!
    const value = this.uint64()
    return value > 9007199254740991n ? Number.MAX_SAFE_INTEGER : Number(value)
  }

  /** An int32 or an enum: the low 32 bits, as protobuf reads them. */
  int32(): number {
    if (this.position < this.end && this.buffer[this.position]! < 0x80) return this.buffer[this.position++]!
    return Number(BigInt.asIntN(32, this.uint64()))
  }

  bool(): boolean {
    if (this.position < this.end && this.buffer[this.position]! < 0x80) return this.buffer[this.position++] !== 0
    return this.uint64() !== 0n
  }

  /** Length of the part that follows, checked against the end. */
  size(): number {
    const start = this.position
    const size = this.varint()
    if (size > this.end - this.position) this.fail(`length ${size} goes beyond the end`, start)
    return size
  }

  /** A view into the buffer: copy it where it is kept longer than the buffer. */
  bytes(): Uint8Array {
    const size = this.size()
    const start = this.position
    this.position = start + size
    return this.buffer.subarray(start, start + size)
  }

  string(): string {
    const size = this.size()
    const start = this.position
    const end = start + size
    this.position = end
    if (size < 64) {
      let text = ""
      let i = start
      for (; i < end; i++) {
        const byte = this.buffer[i]!
        if (byte > 0x7f) break
        text += String.fromCharCode(byte)
      }
      if (i === end) return text
    }
    try {
      return decoder.decode(this.buffer.subarray(start, end))
    } catch {
      return this.fail("string is not UTF-8", start)
    }
  }

  /** Enters a length-delimited part: reading ends at its end until `leave` gets the result back. */
  enter(): number {
    const size = this.size()
    if (++this.#depth > maxDepth) this.fail(`more than ${maxDepth} messages inside each other`)
    const outer = this.end
    this.end = this.position + size
    return outer
  }

  leave(outer: number): void {
    if (this.position !== this.end) this.fail("part was not read to its end")
    this.#depth--
    this.end = outer
  }

  /**
   * Passes over an unknown field. A field that the message does have (number ≤ `lastKnown`) comes here only with a
   * wrong wire type, and that is refused.
   */
  unknown(tag: number, lastKnown: number): void {
    const field = Math.floor(tag / 8)
    if (field <= lastKnown) this.fail(`field ${field} has wire type ${tag & 7}`)
    this.skip(tag)
  }

  /** Passes over the value of a field whose tag was just read. */
  skip(tag: number): void {
    const start = this.position
    switch (tag & 7) {
      case WireType.Varint:
        this.uint64()
        return
      case WireType.Fixed64:
        this.position += 8
        break
      case WireType.Bytes: {
        const size = this.size()
        this.position += size
        return
      }
      case WireType.Fixed32:
        this.position += 4
        break
      default:
        this.fail(`wire type ${tag & 7} of field ${Math.floor(tag / 8)} is not allowed`, start)
    }
    if (this.position > this.end) this.fail("ends in the middle of a field", start)
  }
}
