/** Fields that the messages between nodes have and those of etcd's API have not: strict numbers, presence, names of states. */
import { assert } from "../../assert.ts"
import { type Arbiter, decodeArbiter, encodeArbiter, type NodeName } from "../../election/arbiter.ts"
import type { Position } from "../../log/record.ts"
import { type Field, message, type Message, string } from "../codec/message.ts"
import { type Reader, WireType, type Writer } from "../protobuf.ts"

/** Numbers in one packed field. */
const packedMax = 1_000_000

/** A safe integer ≥ 0: an index, a term, a revision, a number of things. What is larger is malformed, not cut off. */
export const count = (number: number): Field<number> => ({
  number,
  wireType: WireType.Varint,
  initial: () => 0,
  read: (reader) => reader.varint(),
  write: (writer, at, value) => {
    assert(Number.isSafeInteger(value) && value >= 0, `field ${at} holds ${value}, which is no count`)
    writer.int64Field(at, value)
  }
})

/** A measured time, or -1 where there is none: a fraction is rounded. */
export const measured = (number: number): Field<number> => ({
  number,
  wireType: WireType.Varint,
  initial: () => 0,
  read: (reader) => reader.int64Number(),
  write: (writer, at, value) => {
    const whole = Math.round(value)
    assert(Number.isSafeInteger(whole), `field ${at} holds ${value}, which is no time`)
    writer.int64Field(at, whole)
  }
})

/** One of some words, by its place in the list; 0 stands for none and is malformed. */
export const oneOf = <A extends string>(words: readonly [A, ...Array<A>]) => {
  const byNumber = (reader: Reader): A => {
    const start = reader.position
    const value = words[reader.varint() - 1]
    return value ?? reader.fail("not one of the states there are", start)
  }
  return (number: number): Field<A> => ({
    number,
    wireType: WireType.Varint,
    initial: () => words[0],
    read: byNumber,
    write: (writer, at, value) => {
      const place = words.indexOf(value)
      assert(place >= 0, `field ${at} holds ${value}, which is none of ${words.join(", ")}`)
      writer.int64Field(at, place + 1)
    }
  })
}

/** Bytes or text that may be absent, which is not the same as empty. */
const present = <A>(
  read: (reader: Reader) => A,
  write: (writer: Writer, number: number, value: A) => void
): ((number: number) => Field<A | undefined>) => {
  const writePresent = (writer: Writer, at: number, value: A | undefined): void => {
    if (value !== undefined) write(writer, at, value)
  }
  return (number) => ({ number, wireType: WireType.Bytes, initial: () => undefined, read, write: writePresent })
}

export const optionalBytes = present(
  (reader) => reader.bytes(),
  (writer, at, value) => writer.bytesElement(at, value)
)
export const optionalText = present(
  (reader) => reader.string(),
  (writer, at, value) => writer.stringElement(at, value)
)

const packed = <A>(read: (reader: Reader) => A, write: (writer: Writer, value: A) => void) => {
  const readAll = (reader: Reader, before: ReadonlyArray<A>): ReadonlyArray<A> => {
    const values = before as Array<A>
    const outer = reader.enter()
    while (!reader.done()) {
      if (values.length === packedMax) reader.fail(`more than ${packedMax} numbers`)
      values.push(read(reader))
    }
    reader.leave(outer)
    return values
  }
  const writeAll = (writer: Writer, at: number, values: ReadonlyArray<A>): void => {
    if (values.length === 0) return
    assert(values.length <= packedMax, `field ${at} holds ${values.length} numbers, more than ${packedMax}`)
    const mark = writer.open(at)
    for (const value of values) write(writer, value)
    writer.close(mark)
  }
  return (number: number): Field<ReadonlyArray<A>> => ({
    number,
    wireType: WireType.Bytes,
    initial: () => [],
    read: readAll,
    write: writeAll
  })
}

export const packedIds = packed(
  (reader) => reader.int64(),
  (writer, value: bigint) => writer.varint64(value)
)
export const packedNumbers = packed(
  (reader) => reader.int64Number(),
  (writer, value: number) => writer.varint(value)
)

/** A message that is always there; one that the wire leaves out has no field set. */
export const always = <A>(number: number, part: Message<A>): Field<A> => ({
  number,
  wireType: WireType.Bytes,
  initial: () => part.decode(new Uint8Array(0)),
  read: (reader) => {
    const outer = reader.enter()
    const value = part.read(reader)
    reader.leave(outer)
    return value
  },
  write: (writer, at, value) => {
    const mark = writer.open(at)
    part.write(writer, value)
    writer.close(mark)
  }
})

export const nodeName: Message<NodeName> = message("NodeName", { nodeId: string(1), incarnation: string(2) })

export const position: Message<Position> = message("Position", { index: count(1), term: count(2) })

/** As it stands in the bucket. */
export const arbiter = (number: number): Field<Arbiter | undefined> => ({
  number,
  wireType: WireType.Bytes,
  initial: () => undefined,
  read: (reader) => {
    const start = reader.position
    const found = decodeArbiter(reader.bytes())
    return typeof found === "string" ? reader.fail(`arbiter: ${found}`, start) : found
  },
  write: (writer, at, value) => {
    if (value !== undefined) writer.bytesElement(at, encodeArbiter(value))
  }
})
