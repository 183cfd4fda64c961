/**
 * The protobuf wire format: one growable Writer, one Reader over a piece of a buffer. Plain and synchronous; a Writer
 * is meant to be kept and reused. 64-bit numbers come in two shapes: `number` for values that are safe integers by
 * design 3 (revisions, counts), `bigint` for ids that use all 64 bits.
 */

export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const

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

const two32 = 4294967296
const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Bytes that `varint(value)` takes; `value` is a safe integer ≥ 0. */
export const varintLength = (value: number): number => {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x200000) return 3
  if (value < 0x10000000) return 4
  if (value < 0x800000000) return 5
  if (value < 0x40000000000) return 6
  if (value < 0x2000000000000) return 7
  return 8
}

/** Bytes that an int64 takes as a varint: negative numbers take ten. */
export const int64Length = (value: number): number => (value < 0 ? 10 : varintLength(value))

/** Bytes that `varint64(value)` takes. */
export const varint64Length = (value: bigint): number => {
  if (value < 0n) return 10
  if (value <= 9007199254740991n) return varintLength(Number(value))
  if (value < 0x100000000000000n) return 8
  return value < 0x8000000000000000n ? 9 : 10
}

export class Writer {
  buffer: Uint8Array
  length = 0

  constructor(initialBytes = 256) {
    this.buffer = new Uint8Array(initialBytes)
  }

  /** Forgets the contents, keeps the memory. */
  reset(): this {
    this.length = 0
    return this
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.buffer.length) return
    let size = this.buffer.length * 2
    while (size < needed) size *= 2
    const grown = new Uint8Array(size)
    grown.set(this.buffer.subarray(0, this.length))
    this.buffer = grown
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.buffer.slice(0, this.length)
  }

  /** What was written, without a copy; valid until the next write or reset. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }

  byte(value: number): void {
    if (this.length === this.buffer.length) this.reserve(1)
    this.buffer[this.length++] = value
  }

  /** A safe integer. Negative ones take ten bytes, as int64 and int32 do. */
  varint(value: number): void {
    if (value < 0) return this.varint64(BigInt(value))
    this.reserve(8)
    const buffer = this.buffer
    let at = this.length
    while (value >= two32) {
      buffer[at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    value >>>= 0
    while (value > 0x7f) {
      buffer[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    buffer[at++] = value
    this.length = at
  }

  /** An int64 or uint64. */
  varint64(value: bigint): void {
    const bits = BigInt.asUintN(64, value)
    this.varintHalves(Number(bits >> 32n), Number(bits & 0xffffffffn))
  }

  /** A uint64 given as two unsigned 32-bit halves. */
  varintHalves(high: number, low: number): void {
    this.reserve(10)
    const buffer = this.buffer
    let at = this.length
    high >>>= 0
    low >>>= 0
    while (high !== 0) {
      buffer[at++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    while (low > 0x7f) {
      buffer[at++] = (low & 0x7f) | 0x80
      low >>>= 7
    }
    buffer[at++] = low
    this.length = at
  }

  tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType)
  }

  /** Bytes as they are, without a length. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Bytes with their length in front. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.raw(bytes)
  }

  string(text: string): void {
    if (text.length < 64) {
      this.reserve(text.length + 1)
      const buffer = this.buffer
      let at = this.length
      buffer[at++] = text.length
      let i = 0
      for (; i < text.length; i++) {
        const code = text.charCodeAt(i)
        if (code > 0x7f) break
        buffer[at++] = code
      }
      if (i === text.length) {
        this.length = at
        return
      }
    }
    this.bytes(encoder.encode(text))
  }

  /** Starts a length-delimited part whose length is not known yet; give the result to `close`. */
  open(field: number): number {
    this.tag(field, WireType.Bytes)
    this.byte(0)
    return this.length
  }

  /** Ends the part begun by `open`: writes its length in front of it. */
  close(mark: number): void {
    const size = this.length - mark
    if (size < 0x80) {
      this.buffer[mark - 1] = size
      return
    }
    const extra = varintLength(size) - 1
    this.reserve(extra)
    this.buffer.copyWithin(mark + extra, mark, this.length)
    const end = this.length + extra
    this.length = mark - 1
    this.varint(size)
    this.length = end
  }

  // Fields of a proto3 message: the default value is left out.

  int64Field(field: number, value: number): void {
    if (value === 0) return
    this.tag(field, WireType.Varint)
    this.varint(value)
  }

  bigintField(field: number, value: bigint): void {
    if (value === 0n) return
    this.tag(field, WireType.Varint)
    this.varint64(value)
  }

  boolField(field: number, value: boolean): void {
    if (!value) return
    this.tag(field, WireType.Varint)
    this.byte(1)
  }

  bytesField(field: number, value: Uint8Array): void {
    if (value.length > 0) this.bytesElement(field, value)
  }

  /** Bytes that are written even when empty: an element of a repeated field or a message as bytes. */
  bytesElement(field: number, value: Uint8Array): void {
    this.tag(field, WireType.Bytes)
    this.bytes(value)
  }

  stringField(field: number, value: string): void {
    if (value.length > 0) this.stringElement(field, value)
  }

  /** A string that is written even when empty: an element of a repeated field. */
  stringElement(field: number, value: string): void {
    this.tag(field, WireType.Bytes)
    this.string(value)
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
