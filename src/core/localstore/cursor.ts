/** Reads and writes the primitives of the local store's frames at a moving place in one buffer. Hot: plain and small. */
import { assert } from "../assert.ts"
import { emptyBytes } from "../log/record.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class Cursor {
  readonly buffer: ArrayBuffer
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
  at = 0
  /** Leader ids repeat from record to record, so the last one is remembered in both forms. */
  private lastText = ""
  private lastTextBytes: Uint8Array = emptyBytes

  constructor(buffer: ArrayBuffer, length: number) {
    this.buffer = buffer
    this.bytes = new Uint8Array(buffer, 0, length)
    this.view = new DataView(buffer, 0, length)
  }

  byte(value: number): void {
    this.bytes[this.at++] = value
  }

  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a varint holds a safe integer ≥ 0")
    let rest = value
    while (rest > 0x7fffffff) {
      this.bytes[this.at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest > 0x7f) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.bytes[this.at++] = rest
  }

  int64(value: bigint): void {
    assert(BigInt.asIntN(64, value) === value, "a lease id fits 64 bits")
    this.view.setBigInt64(this.at, value, true)
    this.at += 8
  }

  bytesRaw(value: Uint8Array): void {
    this.bytes.set(value, this.at)
    this.at += value.length
  }

  text(value: string): void {
    if (value !== this.lastText) {
      this.lastText = value
      this.lastTextBytes = encoder.encode(value)
    }
    this.varint(this.lastTextBytes.length)
    this.bytesRaw(this.lastTextBytes)
  }

  takeByte(): number {
    return this.bytes[this.at++]!
  }

  takeVarint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.bytes[this.at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
  }

  takeInt64(): bigint {
    const value = this.view.getBigInt64(this.at, true)
    this.at += 8
    return value
  }

  take(length: number): Uint8Array {
    if (length === 0) return emptyBytes
    const value = this.bytes.subarray(this.at, this.at + length)
    this.at += length
    return value
  }

  takeText(): string {
    const length = this.takeVarint()
    const bytes = this.bytes.subarray(this.at, this.at + length)
    this.at += length
    if (!sameBytes(bytes, this.lastTextBytes)) {
      this.lastText = decoder.decode(bytes)
      this.lastTextBytes = bytes
    }
    return this.lastText
  }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
