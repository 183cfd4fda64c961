/**
 * A JSON object to the bytes of a message, as protobuf's JSON mapping has it: names as in the .proto file or in
 * lowerCamelCase, bytes in base64, 64-bit numbers as numbers or strings, enums by name or number, null for nothing.
 */
import { Writer } from "../wire/protobufWriter.ts"
import { WireType } from "../wire/wireType.ts"
import type { EnumType, Field, MessageType } from "./descriptor.ts"
import { type JsonKind, JsonReader } from "./reader.ts"

const ranges = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n]
} as const
type Integer = keyof typeof ranges

/** Decimal digits that a 64-bit number has at most. */
const digitsMax = 20

/** The value of a JSON number if it is a whole one; undefined if not. Anything beyond 64 bits comes out as 10^20. */
export const wholeNumber = (text: string): bigint | undefined => {
  if (/^-?\d{1,18}$/.test(text)) return BigInt(text)
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return undefined
  const [, sign, whole = "", fraction = "", exponent = "0"] = match
  const digits = (whole + fraction).replace(/^0+/, "")
  const significant = digits.replace(/0+$/, "")
  if (significant === "") return 0n
  // Numbers, because an exponent of any length compares rightly as one.
  const zeros = Number(exponent) - fraction.length + (digits.length - significant.length)
  if (zeros < 0) return undefined
  const value =
    significant.length + zeros > digitsMax ? 10n ** BigInt(digitsMax) : BigInt(significant) * 10n ** BigInt(zeros)
  return sign === "-" ? -value : value
}

const numberText = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** Where a value belongs, for messages: `RequestOp.request_put`. */
const placeOf = (type: MessageType, field: Field): string => `${type.name.split(".").pop()}.${field.name}`

class Transcoder {
  readonly #json: JsonReader
  readonly #writer = new Writer()

  constructor(json: JsonReader) {
    this.#json = json
  }

  finish(): Uint8Array {
    return this.#writer.view()
  }

  message(type: MessageType): void {
    const json = this.#json
    if (json.kind() !== "object") json.fail(`${type.name} must be an object`)
    /** Fields and groups that are there already. */
    const seen = new Set<Field | string>()
    json.object((name) => {
      const field = type.byName.get(name)
      if (field === undefined) return json.skip()
      if (json.kind() === "null") return json.word("null")
      if (seen.has(field)) json.fail(`${placeOf(type, field)} is given twice`)
      seen.add(field)
      if (field.oneof !== undefined) {
        if (seen.has(field.oneof)) json.fail(`${placeOf(type, field)}: another one of ${field.oneof} is given already`)
        seen.add(field.oneof)
      }
      if (field.repeated) this.#list(type, field)
      else this.#value(type, field)
    })
  }

  #list(type: MessageType, field: Field): void {
    const json = this.#json
    if (json.kind() !== "array") json.fail(`${placeOf(type, field)} must be an array`)
    json.array(() => {
      if (json.kind() === "null") json.fail(`${placeOf(type, field)} has null as an element`)
      this.#value(type, field)
    })
  }

  #value(type: MessageType, field: Field): void {
    const json = this.#json
    const writer = this.#writer
    const wants = field.type
    if (typeof wants === "object") {
      if (wants.kind === "enum") return this.#varint(field, BigInt(this.#enumNumber(type, field, wants)))
      const mark = writer.open(field.number)
      this.message(wants)
      return writer.close(mark)
    }
    switch (wants) {
      case "bytes":
        return this.#bytes(type, field)
      case "string":
        return writer.stringElement(field.number, this.#text(type, field))
      case "bool": {
        const kind = json.kind()
        if (kind !== "true" && kind !== "false")
          return json.fail(`${placeOf(type, field)} must be true or false, not ${kind}`)
        json.word(kind)
        return this.#varint(field, kind === "true" ? 1n : 0n)
      }
      default:
        return this.#varint(field, this.#integer(type, field, wants))
    }
  }

  /** Zero is what is not written; an element or one of a group is there even as zero. */
  #varint(field: Field, value: bigint): void {
    if (value === 0n && !field.repeated && field.oneof === undefined) return
    this.#writer.tag(field.number, WireType.Varint)
    this.#writer.varint64(value)
  }

  #text(type: MessageType, field: Field): string {
    const kind = this.#json.kind()
    if (kind !== "string") this.#json.fail(`${placeOf(type, field)} must be a string, not ${article(kind)}`)
    return this.#json.string()
  }

  #bytes(type: MessageType, field: Field): void {
    const at = this.#json.position
    const text = this.#text(type, field).replaceAll(/[\r\n]/g, "")
    const fault = base64Fault(text)
    if (fault !== undefined) this.#json.fail(`${placeOf(type, field)} is not base64: ${fault}`, at)
    this.#writer.bytesElement(field.number, Buffer.from(text, "base64"))
  }

  #integer(type: MessageType, field: Field, wants: Integer): bigint {
    const json = this.#json
    const kind = json.kind()
    const at = json.position
    const isNumber = kind === "number"
    const text = isNumber ? json.number() : this.#text(type, field)
    if (!isNumber && !numberText.test(text)) json.fail(`${placeOf(type, field)} is not a number`, at)
    const value = wholeNumber(text)
    const [lowest, highest] = ranges[wants]
    if (value === undefined) return json.fail(`${placeOf(type, field)} is not a whole number`, at)
    if (value < lowest || value > highest) json.fail(`${placeOf(type, field)} does not fit into ${wants}`, at)
    return value
  }

  #enumNumber(type: MessageType, field: Field, wants: EnumType): number {
    if (this.#json.kind() === "number") return Number(this.#integer(type, field, "int32"))
    const at = this.#json.position
    const name = this.#text(type, field)
    const number = wants.numbers.get(name)
    if (number !== undefined) return number
    const names = [...wants.numbers.keys()].join(", ")
    return this.#json.fail(`${placeOf(type, field)} is ${shortened(name)}, which is none of ${names}`, at)
  }
}

const article = (kind: JsonKind): string =>
  kind === "object" || kind === "array" ? `an ${kind}` : kind === "number" ? "a number" : kind

const shortened = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)

/** What is wrong with it; both alphabets will do, padded or not. */
export const base64Fault = (text: string): string | undefined => {
  const end = text.length - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0)
  const foreign = text.slice(0, end).search(/[-_]/.test(text) ? /[^A-Za-z0-9_-]/ : /[^A-Za-z0-9+/]/)
  if (foreign !== -1) return `character ${foreign + 1} is ${JSON.stringify(text[foreign])}`
  const padded = end < text.length
  return end % 4 === 1 || (padded && text.length % 4 !== 0) ? `it has ${text.length} characters` : undefined
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The bytes of the message that the first value in `json` says; what follows it is not looked at. Throws `BadJson`. */
export const toProtobuf = (type: MessageType, json: Uint8Array): Uint8Array => {
  let text: string
  try {
    text = decoder.decode(json)
  } catch {
    return new JsonReader("").fail("the text is not UTF-8")
  }
  const reader = new JsonReader(text)
  // Nothing at all is an empty message.
  if (reader.done()) return new Uint8Array(0)
  const transcoder = new Transcoder(reader)
  transcoder.message(type)
  return transcoder.finish()
}
