/** Codecs of the two directions of `Follow`. `Append` is written out by hand: it is on the way of every write. */
import { biguint64, message, type Message } from "../codec/message.ts"
import { decodeMessage, nested, readEmpty } from "../codec/common.ts"
import { type Reader, varintLength, Writer } from "../protobuf.ts"
import { encodeEntries, EntriesReader, impliedTermField, recordField } from "./entries.ts"
import { always, count, nodeName, position } from "./fields.ts"
import type {
  Append,
  Confirm,
  Hello,
  Mismatch,
  PrimaryMessage,
  Receipt,
  Refusal,
  ReplicaMessage,
  Round,
  TooFarBehind
} from "./messages.ts"

type Fields<A> = Omit<A, "kind">

const hello: Message<Fields<Hello>> = message("Hello", {
  name: always(1, nodeName),
  memberId: biguint64(2),
  fenced: count(3),
  last: always(4, position),
  commitIndex: count(5)
})
const receipt: Message<Fields<Receipt>> = message("Receipt", { term: count(1), match: count(2), commitIndex: count(3) })
const mismatch: Message<Fields<Mismatch>> = message("Mismatch", { term: count(1), at: always(2, position) })
const refusal: Message<Fields<Refusal>> = message("Refusal", { term: count(1) })
const confirm: Message<Fields<Confirm>> = message("Confirm", { term: count(1), round: count(2) })
const round: Message<Fields<Round>> = message("Round", { term: count(1), round: count(2) })
const tooFarBehind: Message<Fields<TooFarBehind>> = message("TooFarBehind", { term: count(1), firstIndex: count(2) })

/** A message with one field set, which is a message. */
const wrap = <A>(field: number, part: Pick<Message<A>, "write">, value: A): Uint8Array => {
  const writer = new Writer(128)
  const mark = writer.open(field)
  part.write(writer, value)
  writer.close(mark)
  return writer.view()
}

const empty = { write: (): void => {} }

const last = <A>(reader: Reader, found: A | undefined): A =>
  found ?? reader.fail("none of the messages that are known here", reader.end)

export const encodeReplicaMessage = (value: ReplicaMessage): Uint8Array => {
  switch (value.kind) {
    case "hello":
      return wrap(1, hello, value)
    case "receipt":
      return wrap(2, receipt, value)
    case "mismatch":
      return wrap(3, mismatch, value)
    case "refusal":
      return wrap(4, refusal, value)
    case "confirm":
      return wrap(5, confirm, value)
    case "leaving":
      return wrap(6, empty, value)
  }
}

const readReplicaMessage = (reader: Reader): ReplicaMessage => {
  let found: ReplicaMessage | undefined
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        found = { kind: "hello", ...nested(reader, hello.read) }
        break
      case 18:
        found = { kind: "receipt", ...nested(reader, receipt.read) }
        break
      case 26:
        found = { kind: "mismatch", ...nested(reader, mismatch.read) }
        break
      case 34:
        found = { kind: "refusal", ...nested(reader, refusal.read) }
        break
      case 42:
        found = { kind: "confirm", ...nested(reader, confirm.read) }
        break
      case 50:
        nested(reader, readEmpty)
        found = { kind: "leaving" }
        break
      default:
        reader.unknown(tag, 6)
    }
  }
  return last(reader, found)
}

export const decodeReplicaMessage = (bytes: Uint8Array): ReplicaMessage => decodeMessage(bytes, readReplicaMessage)

export type AppendHead = Omit<Append, "kind" | "entries">

const head = new Writer(64)

/** A whole `PrimaryMessage`; `entries` come from `encodeEntries` and are copied in. */
export const encodeAppend = (append: AppendHead, entries: Uint8Array): Uint8Array => {
  head.reset()
  head.int64Field(1, append.term)
  head.int64Field(2, append.prev.index)
  head.int64Field(3, append.prev.term)
  head.int64Field(4, append.commitIndex)
  head.int64Field(5, append.storedIndex)
  const size = head.length + entries.length
  const writer = new Writer(1 + varintLength(size) + size + 8)
  writer.byte(10)
  writer.varint(size)
  writer.raw(head.view())
  writer.raw(entries)
  return writer.view()
}

const readAppend = (reader: Reader): Append => {
  let term = 0
  let index = 0
  let prevTerm = 0
  let commitIndex = 0
  let storedIndex = 0
  const entries = new EntriesReader()
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 8:
        term = reader.varint()
        break
      case 16:
        index = reader.varint()
        break
      case 24:
        prevTerm = reader.varint()
        break
      case 32:
        commitIndex = reader.varint()
        break
      case 40:
        storedIndex = reader.varint()
        break
      case impliedTermField * 8:
        entries.impliedTerm(reader)
        break
      case recordField * 8 + 2:
        entries.record(reader)
        break
      default:
        reader.unknown(tag, recordField)
    }
  }
  const found = entries.finish()
  if (found.length > 0 && found[0]!.index !== index + 1) {
    reader.fail(`entry ${found[0]!.index} is said to follow entry ${index}`)
  }
  return { kind: "append", term, prev: { index, term: prevTerm }, commitIndex, storedIndex, entries: found }
}

export const encodePrimaryMessage = (value: PrimaryMessage): Uint8Array => {
  switch (value.kind) {
    case "append":
      return encodeAppend(value, encodeEntries(value.entries))
    case "round":
      return wrap(2, round, value)
    case "tooFarBehind":
      return wrap(3, tooFarBehind, value)
    case "mayLeave":
      return wrap(4, empty, value)
  }
}

const readPrimaryMessage = (reader: Reader): PrimaryMessage => {
  let found: PrimaryMessage | undefined
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        found = nested(reader, readAppend)
        break
      case 18:
        found = { kind: "round", ...nested(reader, round.read) }
        break
      case 26:
        found = { kind: "tooFarBehind", ...nested(reader, tooFarBehind.read) }
        break
      case 34:
        nested(reader, readEmpty)
        found = { kind: "mayLeave" }
        break
      default:
        reader.unknown(tag, 4)
    }
  }
  return last(reader, found)
}

/** Entries share the memory of `bytes`. */
export const decodePrimaryMessage = (bytes: Uint8Array): PrimaryMessage => decodeMessage(bytes, readPrimaryMessage)
