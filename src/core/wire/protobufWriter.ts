/** The growable protobuf Writer, made to be kept and reused, and the sizes of what it writes. */
import { WireType } from "./wireType.ts"

const two32 = 4294967296
const encoder = new TextEncoder()

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
