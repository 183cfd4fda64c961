/**
 * The protobuf wire format: a growable writer and a bounded reader. No tables, no descriptors: codecs call these in
 * field order. Bytes that are not protobuf throw `ProtobufError` with the offset at which reading stopped.
 */
import { assert } from "../assert.ts"

export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const

/** Messages inside messages that a reader follows: 100 nested Txns (two messages each) and what they hold. */
export const maxDepth = 210

/** Input that is not a well-formed message of the expected type. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError"
  readonly reason: string
  /** Byte offset inside the outermost message. */
  readonly offset: number
  constructor(reason: string, offset: number) {
    super(`malformed protobuf at byte ${offset}: ${reason}`)
    this.reason = reason
    this.offset = offset
  }
}

const two28 = 2 ** 28
const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const utf8Encoder = new TextEncoder()

/** Bytes of `value` (0 … 2^53 − 1) as a varint. */
export const varintSize = (value: number): number => {
  if (value < 128) return 1
  if (value < 16384) return 2
  if (value < 2097152) return 3
  if (value < two28) return 4
  let size = 4
  for (let rest = Math.floor(value / two28); rest > 0; rest = Math.floor(rest / 128)) size++
  return size
}

/** As `varintSize` for an int64 field: negative numbers take 10 bytes. */
export const int64Size = (value: number): number => (value < 0 ? 10 : varintSize(value))

/** As `varintSize` for a 64-bit field given as bigint (negative: two's complement). */
export const bigintSize = (value: bigint): number => {
  let rest = BigInt.asUintN(64, value)
  let size = 1
  while (rest > 127n) {
    rest >>= 7n
    size++
  }
  return size
}

/** Appends protobuf fields to a buffer that grows. The `…Field` methods leave out proto3 zero values. */
export class Writer {
  #bytes: Uint8Array
  #position = 0

  constructor(initialBytes = 256) {
    this.#bytes = new Uint8Array(initialBytes)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#position
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): void {
    this.#position = 0
  }

  /** A copy of exactly what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#position)
  }

  /** What was written, without a copy; valid until the next write or reset. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#position)
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    const needed = this.#position + size
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#position))
    this.#bytes = grown
  }

  /** An unsigned varint, 0 … 2^53 − 1. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "varint must be a safe integer that is not negative")
    this.reserve(8)
    const bytes = this.#bytes
    let position = this.#position
    let rest = value
    while (rest >= two28) {
      bytes[position++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    while (rest > 127) {
      bytes[position++] = (rest & 127) | 128
      rest >>>= 7
    }
    bytes[position++] = rest
    this.#position = position
  }

  /** An int64 varint: a negative number becomes ten bytes of two's complement. */
  int64(value: number): void {
    if (value >= 0) return this.varint(value)
    assert(Number.isSafeInteger(value), "int64 must be a safe integer")
    this.varintBigint(BigInt(value))
  }

  /** A 64-bit varint; a negative value is written in two's complement. */
  varintBigint(value: bigint): void {
    let rest = BigInt.asUintN(64, value)
    this.reserve(10)
    while (rest > 127n) {
      this.#bytes[this.#position++] = Number(rest & 127n) | 128
      rest >>= 7n
    }
    this.#bytes[this.#position++] = Number(rest)
  }

  tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType)
  }

  /** Bytes without tag and length. */
  raw(value: Uint8Array): void {
    this.reserve(value.length)
    this.#bytes.set(value, this.#position)
    this.#position += value.length
  }

  /** Length and bytes, without tag. */
  delimited(value: Uint8Array): void {
    this.varint(value.length)
    this.raw(value)
  }

  uintField(field: number, value: number): void {
    if (value === 0) return
    this.tag(field, WireType.Varint)
    this.varint(value)
  }

  int64Field(field: number, value: number): void {
    if (value === 0) return
    this.tag(field, WireType.Varint)
    this.int64(value)
  }

  bigintField(field: number, value: bigint): void {
    if (value === 0n) return
    this.tag(field, WireType.Varint)
    this.varintBigint(value)
  }

  boolField(field: number, value: boolean): void {
    if (!value) return
    this.tag(field, WireType.Varint)
    this.varint(1)
  }

  bytesField(field: number, value: Uint8Array): void {
    if (value.length > 0) this.bytesElement(field, value)
  }

  /** A bytes field that is written even when empty: a repeated element or a member of a oneof. */
  bytesElement(field: number, value: Uint8Array): void {
    this.tag(field, WireType.Bytes)
    this.delimited(value)
  }

  stringField(field: number, value: string): void {
    if (value.length > 0) this.stringElement(field, value)
  }

  stringElement(field: number, value: string): void {
    const mark = this.begin(field)
    this.reserve(value.length * 3)
    const { written } = utf8Encoder.encodeInto(value, this.#bytes.subarray(this.#position))
    this.#position += written
    this.end(mark)
  }

  /** Opens a nested message; pass the result to `end` when its fields are written. */
  begin(field: number): number {
    this.tag(field, WireType.Bytes)
    this.reserve(1)
    return this.#position++
  }

  end(mark: number): void {
    const size = this.#position - mark - 1
    if (size < 128) {
      this.#bytes[mark] = size
      return
    }
    const extra = varintSize(size) - 1
    this.reserve(extra)
    this.#bytes.copyWithin(mark + 1 + extra, mark + 1, this.#position)
    this.#position = mark
    this.varint(size)
    this.#position += size
  }
}

/**
 * Reads one message. Usage: `while (r.more()) switch (r.field()) { case 1: x = r.bytes(); break; default: r.skip() }`.
 * The value methods check the wire type of the field read last. Nested: `const outer = r.enter(); …; r.leave(outer)`.
 */
export class Reader {
  readonly #bytes: Uint8Array
  #position: number
  #end: number
  #wireType = 0
  #depth = 0

  /** `start` and `end` bound the message inside `bytes`. Nothing is copied. */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    assert(start >= 0 && start <= end && end <= bytes.length, "reader bounds must lie inside the bytes")
    this.#bytes = bytes
    this.#position = start
    this.#end = end
  }

  /** Offset of the next byte. */
  get position(): number {
    return this.#position
  }

  /** Wire type of the field read last. */
  get wireType(): number {
    return this.#wireType
  }

  more(): boolean {
    return this.#position < this.#end
  }

  /** The next field's number. */
  field(): number {
    const at = this.#position
    const tag = this.#uint()
    const field = Math.floor(tag / 8)
    if (field === 0 || field > 536870911) throw new ProtobufError(`field number ${field}`, at)
    this.#wireType = tag & 7
    return field
  }

  /** Passes over the value of the field read last. Groups are refused: proto3 has none. */
  skip(): void {
    switch (this.#wireType) {
      case WireType.Varint:
        this.#varint64()
        return
      case WireType.Fixed64:
        return this.#advance(8)
      case WireType.Bytes:
        return this.#advance(this.#length())
      case WireType.Fixed32:
        return this.#advance(4)
      default:
        throw new ProtobufError(`wire type ${this.#wireType}`, this.#position)
    }
  }

  /** A varint that must fit 0 … 2^53 − 1. */
  uint(): number {
    this.#expect(WireType.Varint)
    return this.#uint()
  }

  /** An int64; beyond ±(2^53 − 1) it is clamped. */
  int64(): number {
    this.#expect(WireType.Varint)
    this.#varint64()
    if (this.#high < 0x80000000) return this.#high < 0x200000 ? this.#high * 2 ** 32 + this.#low : Number.MAX_SAFE_INTEGER
    // Two's complement: −(~x) − 1.
    const high = ~this.#high >>> 0
    return high < 0x200000 ? Math.max(-(high * 2 ** 32 + (~this.#low >>> 0)) - 1, Number.MIN_SAFE_INTEGER) : Number.MIN_SAFE_INTEGER
  }

  /** An int64 in full. */
  bigint(): bigint {
    this.#expect(WireType.Varint)
    this.#varint64()
    if (this.#high === 0) return BigInt(this.#low)
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low))
  }

  /** A uint64 in full. */
  ubigint(): bigint {
    return BigInt.asUintN(64, this.bigint())
  }

  /** An int32 or an enum: the low 32 bits. */
  int32(): number {
    this.#expect(WireType.Varint)
    return this.unpackedInt32()
  }

  bool(): boolean {
    this.#expect(WireType.Varint)
    this.#varint64()
    return this.#high !== 0 || this.#low !== 0
  }

  /** A view into the message, not a copy: it keeps the whole message alive. */
  bytes(): Uint8Array {
    const size = this.#delimited()
    const start = this.#position
    this.#position += size
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, size)
  }

  bytesCopy(): Uint8Array {
    return this.bytes().slice()
  }

  string(): string {
    const at = this.#position
    const bytes = this.bytes()
    try {
      return utf8Decoder.decode(bytes)
    } catch {
      throw new ProtobufError("a string is not UTF-8", at)
    }
  }

  /** Goes into a nested message or a packed list; `more` then ends with it. Returns what `leave` needs. */
  enter(): number {
    const size = this.#delimited()
    if (++this.#depth > maxDepth) throw new ProtobufError(`more than ${maxDepth} nested messages`, this.#position)
    const outer = this.#end
    this.#end = this.#position + size
    return outer
  }

  leave(outer: number): void {
    assert(this.#position === this.#end, "a nested message must be read to its end")
    this.#depth--
    this.#end = outer
  }

  /** One element of a packed list of enums or int32, inside `enter` … `leave`. */
  unpackedInt32(): number {
    this.#varint64()
    return this.#low | 0
  }

  // Result of the last #varint64: two unsigned 32-bit halves.
  #low = 0
  #high = 0

  #expect(wireType: number): void {
    if (this.#wireType !== wireType) {
      throw new ProtobufError(`wire type ${this.#wireType} instead of ${wireType}`, this.#position)
    }
  }

  #advance(size: number): void {
    if (size > this.#end - this.#position) throw new ProtobufError("the message is cut off", this.#position)
    this.#position += size
  }

  #delimited(): number {
    this.#expect(WireType.Bytes)
    return this.#length()
  }

  /** A length that fits what is left. */
  #length(): number {
    const at = this.#position
    const size = this.#uint()
    if (size > this.#end - this.#position) {
      throw new ProtobufError(`a length of ${size} bytes with ${this.#end - this.#position} left`, at)
    }
    return size
  }

  #uint(): number {
    if (this.#position < this.#end) {
      const first = this.#bytes[this.#position]!
      if (first < 128) {
        this.#position++
        return first
      }
    }
    const at = this.#position
    this.#varint64()
    if (this.#high >= 0x200000) throw new ProtobufError("a number beyond 2^53 − 1", at)
    return this.#high * 2 ** 32 + this.#low
  }

  #varint64(): void {
    const bytes = this.#bytes
    const at = this.#position
    const end = Math.min(this.#end, at + 10)
    let position = at
    let low = 0
    let high = 0
    let shift = 0
    while (position < end) {
      const byte = bytes[position++]!
      const bits = byte & 127
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high |= bits >>> 4
      } else {
        if (shift === 63 && bits > 1) throw new ProtobufError("a varint of more than 64 bits", at)
        high |= bits << (shift - 32)
      }
      shift += 7
      if (byte < 128) {
        this.#low = low >>> 0
        this.#high = high >>> 0
        this.#position = position
        return
      }
    }
    throw new ProtobufError(position - at === 10 ? "a varint of more than 10 bytes" : "the message is cut off", at)
  }
}
