/** Writer and Reader at the edges: numbers around every length, parts inside parts, and what is refused where. */
import { assert, describe, it } from "@effect/vitest"
import {
  int64Length,
  MalformedMessage,
  Reader,
  varint64Length,
  varintLength,
  Writer
} from "../../src/core/wire/protobuf.ts"
import { random } from "./random.ts"

const around = (value: number): ReadonlyArray<number> => [value - 1, value, value + 1]
const numbers = [
  0,
  ...[7, 14, 21, 28, 31, 32, 35, 42, 49, 52].flatMap((bits) => around(2 ** bits)),
  Number.MAX_SAFE_INTEGER
]

const written = (write: (writer: Writer) => void): Uint8Array => {
  const writer = new Writer(1)
  write(writer)
  return writer.finish()
}

const failure = (read: () => unknown): MalformedMessage => {
  try {
    read()
  } catch (error) {
    if (error instanceof MalformedMessage) return error
    throw error
  }
  throw new Error("was read")
}

describe("Writer and Reader", () => {
  it("numbers come back as they went in, in the length that was said before", () => {
    for (const value of numbers.flatMap((number) => [number, -number])) {
      const bytes = written((writer) => writer.varint(value))
      assert.strictEqual(bytes.length, int64Length(value))
      assert.strictEqual(bytes.length, varint64Length(BigInt(value)))
      assert.strictEqual(new Reader(bytes).int64Number(), value + 0)
      assert.strictEqual(new Reader(bytes).int64Clamped(), value + 0)
      assert.strictEqual(new Reader(bytes).int64(), BigInt(value))
      if (value < 0) continue
      assert.strictEqual(bytes.length, varintLength(value))
      assert.strictEqual(new Reader(bytes).varint(), value)
    }
  })

  it("64-bit numbers come back whole", () => {
    const edges = [2n ** 53n, 2n ** 56n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]
    for (const value of edges.flatMap((edge) => [edge - 1n, edge])) {
      const bytes = written((writer) => writer.varint64(value))
      assert.strictEqual(bytes.length, varint64Length(value))
      assert.strictEqual(new Reader(bytes).uint64(), value)
      assert.strictEqual(new Reader(bytes).int64(), BigInt.asIntN(64, value))
      assert.strictEqual(
        new Reader(bytes).uint64Clamped(),
        value > 2n ** 53n - 1n ? Number.MAX_SAFE_INTEGER : Number(value)
      )
    }
  })

  it("a number that does not fit is refused at its first byte where it must fit", () => {
    const bytes = written((writer) => writer.varint64(2n ** 53n))
    assert.strictEqual(failure(() => new Reader(bytes).varint()).offset, 0)
    assert.strictEqual(failure(() => new Reader(bytes).int64Number()).offset, 0)
  })

  it("a number of more than 64 bits or ten bytes is refused", () => {
    const nine = new Array<number>(9).fill(0xff)
    assert.match(failure(() => new Reader(Uint8Array.of(...nine, 2)).uint64()).reason, /more than 64 bits/)
    assert.match(failure(() => new Reader(Uint8Array.of(...nine, 0xff, 1)).uint64()).reason, /longer than ten bytes/)
    assert.match(failure(() => new Reader(Uint8Array.of(...nine, 0xff, 1)).varint()).reason, /longer than ten bytes/)
  })

  it("parts of any size nest, with their lengths in front", () => {
    for (const size of [0, 1, 126, 127, 128, 129, 16_383, 16_384, 70_000]) {
      const inside = random(size + 1).bytes(size)
      const bytes = written((writer) => {
        const outer = writer.open(1)
        const inner = writer.open(2)
        writer.bytesField(3, inside)
        writer.close(inner)
        writer.close(outer)
        writer.boolField(4, true)
      })
      const reader = new Reader(bytes)
      assert.strictEqual(reader.tag(), 10)
      const outer = reader.enter()
      assert.strictEqual(reader.tag(), 18)
      const inner = reader.enter()
      if (size > 0) {
        assert.strictEqual(reader.tag(), 26)
        assert.isTrue(Buffer.from(inside).equals(reader.bytes()))
      }
      assert.isTrue(reader.done())
      reader.leave(inner)
      reader.leave(outer)
      assert.strictEqual(reader.tag(), 32)
      assert.isTrue(reader.bool())
      assert.isTrue(reader.done())
    }
  })

  it("strings of every kind come back", () => {
    for (const text of [
      "",
      "a",
      "x".repeat(63),
      "x".repeat(64),
      "x".repeat(300),
      "é",
      `${"a".repeat(62)}é`,
      "日本",
      "😀",
      "\u0000"
    ]) {
      const reader = new Reader(written((writer) => writer.stringElement(1, text)))
      reader.tag()
      assert.strictEqual(reader.string(), text)
      assert.isTrue(reader.done())
    }
  })

  it("a reader never leaves its bounds", () => {
    const bytes = Uint8Array.of(9, 9, 10, 3, 1, 2, 3, 9, 9)
    const reader = new Reader(bytes, 2, 7)
    reader.tag()
    assert.deepStrictEqual(reader.bytes(), Uint8Array.of(1, 2, 3))
    assert.isTrue(reader.done())
    const cut = new Reader(bytes, 2, 6)
    cut.tag()
    const error = failure(() => cut.bytes())
    assert.strictEqual(error.offset, 3)
    assert.strictEqual(error.message, "malformed protobuf at byte 3: length 3 goes beyond the end")
  })

  it("field number 0, groups and wire types that do not exist are refused", () => {
    assert.match(failure(() => new Reader(Uint8Array.of(2)).tag()).reason, /field number 0/)
    for (const wireType of [3, 4, 6, 7]) {
      const reader = new Reader(new Uint8Array(20))
      assert.match(failure(() => reader.skip(8 + wireType)).reason, /is not allowed/)
    }
    assert.match(failure(() => new Reader(new Uint8Array(7)).skip(9)).reason, /in the middle of a field/)
    assert.match(failure(() => new Reader(new Uint8Array(3)).skip(13)).reason, /in the middle of a field/)
  })

  it("a reused writer shows nothing of what it wrote before", () => {
    const writer = new Writer(4)
    writer.raw(random(1).bytes(100))
    writer.reset()
    writer.varint(300)
    assert.deepStrictEqual(writer.finish(), Uint8Array.of(0xac, 2))
    assert.deepStrictEqual(Uint8Array.from(writer.view()), Uint8Array.of(0xac, 2))
  })
})
