/**
 * Reads messages that must be in canonical form: fields ascending, defaults left out, shortest numbers. The files'
 * CRCs are taken over that form, so any other encoding is damage, even one that means the same.
 */
import type { Timestamp } from "../log/record.ts"
import { Reader, type Writer } from "../wire/protobuf.ts"

export class CanonicalReader extends Reader {
  /** Halves of the last `halves()`. */
  low = 0
  high = 0
  private lastField = 0

  /** Points the reader at one message of its buffer. */
  message(start: number, end: number): this {
    this.position = start
    this.end = end
    this.lastField = 0
    return this
  }

  /** Tag of the next field, which must come after the last one. */
  field(): number {
    const start = this.position
    const tag = this.varint()
    const field = Math.floor(tag / 8)
    if (field === 0 || tag > 0xffffffff) this.fail(`field number ${field} is not allowed`, start)
    if (field <= this.lastField) this.fail(`field ${field} after field ${this.lastField}`, start)
    this.lastField = field
    return tag
  }

  override varint(): number {
    const start = this.position
    const value = super.varint()
    if (this.position - start > 1 && this.buffer[this.position - 1] === 0) this.fail("number is not minimal", start)
    return value
  }

  /** A number that is not the default. */
  positive(): number {
    const start = this.position
    const value = this.varint()
    if (value === 0) this.fail("default value is written out", start)
    return value
  }

  isTrue(): true {
    if (this.varint() !== 1) this.fail("bool is not 1", this.position - 1)
    return true
  }

  /** A uint64 into `low` and `high`. */
  halves(): void {
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
        if (i > 0 && byte === 0) this.fail("number is not minimal", start)
        if (i === 9 && byte > 1) this.fail("number has more than 64 bits", start)
        this.low = low >>> 0
        this.high = high >>> 0
        return
      }
    }
    this.fail("number is longer than ten bytes", start)
  }

  /** An int64 that is not 0. */
  bigint(): bigint {
    const start = this.position
    this.halves()
    if (this.low === 0 && this.high === 0) this.fail("default value is written out", start)
    return BigInt.asIntN(64, (BigInt(this.high) << 32n) | BigInt(this.low))
  }

  filledBytes(): Uint8Array {
    const start = this.position
    const bytes = this.bytes()
    if (bytes.length === 0) this.fail("default value is written out", start)
    return bytes
  }

  filledString(): string {
    const start = this.position
    const text = this.string()
    if (text.length === 0) this.fail("default value is written out", start)
    return text
  }

  timestamp(): Timestamp {
    const start = this.position
    const outer = this.enter()
    const outerField = this.lastField
    this.lastField = 0
    let seconds = 0
    let nanos = 0
    while (!this.done()) {
      const tag = this.field()
      if (tag === 8) seconds = this.seconds()
      else if (tag === 16) nanos = this.positive()
      else this.fail(`unknown field ${Math.floor(tag / 8)} in a timestamp`)
    }
    if (nanos > 999999999) this.fail("timestamp has more than 999999999 nanoseconds", start)
    this.leave(outer)
    this.lastField = outerField
    return { seconds, nanos }
  }

  /** Seconds since 1970, before 1970 negative. */
  private seconds(): number {
    const start = this.position
    const value = this.bigint()
    if (value > 9007199254740991n || value < -9007199254740991n) this.fail("timestamp is out of range", start)
    return Number(value)
  }
}

export const writeTimestamp = (writer: Writer, field: number, time: Timestamp | undefined): void => {
  if (time === undefined) return
  const mark = writer.open(field)
  writer.int64Field(1, time.seconds)
  writer.int64Field(2, time.nanos)
  writer.close(mark)
}
