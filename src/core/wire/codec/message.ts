/**
 * Codecs from a list of fields, for messages off the hot path: one description gives type, decoder and encoder. The
 * hot ones (KV, Txn, Watch) are written out by hand.
 */
import { assert } from "../../assert.ts"
import { emptyBytes } from "../../log/record.ts"
import type { KeyValue, ResponseHeader } from "../messages.ts"
import { type Reader, WireType, type Writer } from "../protobuf.ts"
import { decodeMessage, encodeMessage, readHeader, readKeyValue, writeHeader, writeKeyValue } from "./common.ts"

export interface Field<A> {
  readonly number: number
  readonly wireType: number
  readonly initial: () => A
  /** Reads one occurrence; `before` is the value so far. */
  readonly read: (reader: Reader, before: A) => A
  /** Zero values are left out. */
  readonly write: (writer: Writer, number: number, value: A) => void
}

// oxlint-disable-next-line typescript/no-explicit-any -- the type of a list of fields of any type
type Fields = Readonly<Record<string, Field<any>>>
type ValueOf<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer A> ? A : never }

export interface Message<A> {
  readonly name: string
  /** Every field is filled: proto3 zero values where the wire has none. Bytes are views. Throws MalformedMessage. */
  readonly decode: (bytes: Uint8Array) => A
  readonly encode: (value: A) => Uint8Array
  readonly read: (reader: Reader) => A
  readonly write: (writer: Writer, value: A) => void
}

/** The value that a codec is for. */
export type Value<M> = M extends Message<infer A> ? A : never

const scalar = <A>(
  wireType: number,
  zero: A,
  read: (reader: Reader) => A,
  write: (writer: Writer, number: number, value: A) => void
) => {
  const initial = (): A => zero
  return (number: number): Field<A> => ({ number, wireType, initial, read, write })
}

/** An int64 pulled into the safe integers. */
export const int64 = scalar(
  WireType.Varint,
  0,
  (reader) => reader.int64Clamped(),
  (writer, number, value) => writer.int64Field(number, value)
)
/** An int64 with all its bits: lease and watch ids. */
export const bigint64 = scalar(
  WireType.Varint,
  0n,
  (reader) => reader.int64(),
  (writer, number, value) => writer.bigintField(number, value)
)
/** A uint64 with all its bits: member and cluster ids. */
export const biguint64 = scalar(
  WireType.Varint,
  0n,
  (reader) => reader.uint64(),
  (writer, number, value) => writer.bigintField(number, value)
)
/** A uint64 that only counts, pulled into the safe integers; a uint32. */
export const uint64 = scalar(
  WireType.Varint,
  0,
  (reader) => reader.uint64Clamped(),
  (writer, number, value) => writer.int64Field(number, value)
)
export const enumeration = scalar(
  WireType.Varint,
  0,
  (reader) => reader.int32(),
  (writer, number, value) => writer.int64Field(number, value)
)
export const bool = scalar(
  WireType.Varint,
  false,
  (reader) => reader.bool(),
  (writer, number, value) => writer.boolField(number, value)
)
export const string = scalar(
  WireType.Bytes,
  "",
  (reader) => reader.string(),
  (writer, number, value) => writer.stringField(number, value)
)
export const bytes = scalar<Uint8Array>(
  WireType.Bytes,
  emptyBytes,
  (reader) => reader.bytes(),
  (writer, number, value) => writer.bytesField(number, value)
)

/** One element of a repeated field, written even when it is empty. */
const element = <A>(
  number: number,
  read: (reader: Reader) => A,
  write: (writer: Writer, number: number, value: A) => void
): Field<ReadonlyArray<A>> => ({
  number,
  wireType: WireType.Bytes,
  initial: () => [],
  read: (reader, before) => {
    ;(before as Array<A>).push(read(reader))
    return before
  },
  write: (writer, at, values) => {
    for (const value of values) write(writer, at, value)
  }
})

export const strings = (number: number) =>
  element(
    number,
    (reader) => reader.string(),
    (writer, at, value) => writer.stringElement(at, value)
  )
export const byteStrings = (number: number) =>
  element(
    number,
    (reader) => reader.bytes(),
    (writer, at, value) => writer.bytesElement(at, value)
  )

type Part<A> = Pick<Message<A>, "read" | "write">

const readPart = <A>(reader: Reader, part: Part<A>): A => {
  const outer = reader.enter()
  const value = part.read(reader)
  reader.leave(outer)
  return value
}

const writePart = <A>(writer: Writer, number: number, value: A, part: Part<A>): void => {
  const mark = writer.open(number)
  part.write(writer, value)
  writer.close(mark)
}

export const repeated = <A>(number: number, part: Part<A>) =>
  element(
    number,
    (reader) => readPart(reader, part),
    (writer, at, value) => writePart(writer, at, value, part)
  )

/** A message inside a message; undefined where it is left out. */
export const optional = <A>(number: number, part: Part<A>): Field<A | undefined> => ({
  number,
  wireType: WireType.Bytes,
  initial: () => undefined,
  read: (reader) => readPart(reader, part),
  write: (writer, at, value) => {
    if (value !== undefined) writePart(writer, at, value, part)
  }
})

/** Field 1 of every response. */
export const header = optional<ResponseHeader>(1, { read: readHeader, write: writeHeader })
export const keyValue = (number: number) => optional<KeyValue>(number, { read: readKeyValue, write: writeKeyValue })

/** Fields in the order of their numbers. */
export const message = <F extends Fields>(name: string, fields: F): Message<ValueOf<F>> => {
  const list = Object.entries(fields)
  const byTag = new Map(list.map(([key, field]) => [field.number * 8 + field.wireType, { key, field }]))
  const lastKnown = list.at(-1)?.[1].number ?? 0
  for (const [at, [key, field]] of list.entries()) {
    assert(at === 0 || field.number > list[at - 1]![1].number, `${name}.${key} stands behind a higher number`)
  }
  const read = (reader: Reader): ValueOf<F> => {
    const value: Record<string, unknown> = {}
    for (const [key, field] of list) value[key] = field.initial()
    while (!reader.done()) {
      const tag = reader.tag()
      const found = byTag.get(tag)
      if (found === undefined) reader.unknown(tag, lastKnown)
      else value[found.key] = found.field.read(reader, value[found.key])
    }
    return value as ValueOf<F>
  }
  const write = (writer: Writer, value: ValueOf<F>): void => {
    for (const [key, field] of list) field.write(writer, field.number, value[key])
  }
  return {
    name,
    read,
    write,
    decode: (input) => decodeMessage(input, read),
    encode: (value) => encodeMessage(value, write)
  }
}
