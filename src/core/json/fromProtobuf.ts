/**
 * The bytes of a message to JSON, in pieces, so that a big answer neither keeps others waiting nor becomes one string.
 * Names as in the .proto file, bytes in base64, 64-bit numbers as strings, enums by name; zero values are left out.
 */
import { assert } from "../assert.ts"
import { Reader } from "../wire/protobufReader.ts"
import { WireType } from "../wire/wireType.ts"
import type { EnumType, Field, MessageType, ScalarName } from "./descriptor.ts"

/** Characters after which a piece ends. */
const pieceCharacters = 64 * 1024

interface Frame {
  readonly type: MessageType
  readonly end: number
  empty: boolean
  /** The array that is open. */
  list: Field | undefined
  /** Highest field number of an array so far: encoders write fields in order, so none is opened twice. */
  lastList: number
}

const frameOf = (type: MessageType, end: number): Frame => ({ type, end, empty: true, list: undefined, lastList: 0 })

export class JsonSteps {
  readonly #reader: Reader
  readonly #stack: Array<Frame>
  #piece = "{"

  constructor(type: MessageType, bytes: Uint8Array) {
    this.#reader = new Reader(bytes)
    this.#stack = [frameOf(type, bytes.length)]
  }

  /** True when the last piece has been given. */
  done(): boolean {
    return this.#stack.length === 0
  }

  /** The next piece. Not to be called when done. */
  step(): string {
    while (this.#piece.length < pieceCharacters) {
      const frame = this.#stack.at(-1)
      if (frame === undefined) break
      if (this.#reader.position < frame.end) this.#field(frame)
      else this.#close(frame)
    }
    const piece = this.#piece
    this.#piece = ""
    return piece
  }

  #close(frame: Frame): void {
    assert(this.#reader.position === frame.end, `JSON of ${frame.type.name}: a field goes beyond its message`)
    this.#piece += frame.list === undefined ? "}" : "]}"
    this.#stack.pop()
  }

  #field(frame: Frame): void {
    const reader = this.#reader
    const tag = reader.tag()
    const field = frame.type.byNumber.get(Math.floor(tag / 8))
    if (field === undefined) return reader.skip(tag)
    const { type } = field
    if (typeof type === "object" && type.kind === "message") {
      const end = reader.size() + reader.position
      this.#begin(frame, field)
      this.#piece += "{"
      this.#stack.push(frameOf(type, end))
      return
    }
    const isPacked = field.repeated && (tag & 7) === WireType.Bytes && type !== "bytes" && type !== "string"
    if (isPacked) {
      const end = reader.size() + reader.position
      while (reader.position < end) this.#scalar(frame, field, type)
      return
    }
    this.#scalar(frame, field, type)
  }

  #scalar(frame: Frame, field: Field, type: ScalarName | EnumType): void {
    const value = this.#value(type)
    if (value === undefined) {
      if (!field.repeated && field.oneof === undefined) return
    }
    this.#begin(frame, field)
    this.#piece += value ?? zeroOf(type)
  }

  /** Undefined: zero. */
  #value(type: ScalarName | EnumType): string | undefined {
    const reader = this.#reader
    if (typeof type === "object") {
      const number = reader.int32()
      return number === 0 ? undefined : enumText(type, number)
    }
    switch (type) {
      case "bytes": {
        const bytes = reader.bytes()
        if (bytes.length === 0) return undefined
        return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")}"`
      }
      case "string": {
        const text = reader.string()
        return text === "" ? undefined : JSON.stringify(text)
      }
      case "bool":
        return reader.bool() ? "true" : undefined
      case "int32":
        return nonZero(reader.int32(), "")
      case "uint32":
        return nonZero(Number(BigInt.asUintN(32, reader.uint64())), "")
      case "int64":
        return nonZero(reader.int64(), '"')
      case "uint64":
        return nonZero(reader.uint64(), '"')
    }
  }

  /** Comma, name and bracket in front of a value. */
  #begin(frame: Frame, field: Field): void {
    if (frame.list === field) {
      this.#piece += ","
      return
    }
    if (frame.list !== undefined) this.#piece += "]"
    if (!frame.empty) this.#piece += ","
    frame.empty = false
    frame.list = undefined
    this.#piece += field.label
    if (!field.repeated) return
    assert(field.number > frame.lastList, `JSON of ${frame.type.name}: ${field.name} comes in two parts`)
    frame.list = field
    frame.lastList = field.number
    this.#piece += "["
  }
}

const nonZero = (value: number | bigint, quote: string): string | undefined =>
  value === 0 || value === 0n ? undefined : `${quote}${value}${quote}`

const enumText = (type: EnumType, number: number): string => {
  const name = type.names.get(number)
  return name === undefined ? String(number) : `"${name}"`
}

const zeroOf = (type: ScalarName | EnumType): string => {
  if (typeof type === "object") return enumText(type, 0)
  if (type === "bytes" || type === "string") return '""'
  if (type === "bool") return "false"
  return type === "int64" || type === "uint64" ? '"0"' : "0"
}

/** The whole at once, for what is known to be small. */
export const fromProtobuf = (type: MessageType, bytes: Uint8Array): string => {
  const steps = new JsonSteps(type, bytes)
  let text = ""
  while (!steps.done()) text += steps.step()
  return text
}
