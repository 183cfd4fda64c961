/** What the messages of the etcd API are made of, found by name: parsed from `etcdDescriptor` when first asked for. */
import { assert } from "../assert.ts"
import { etcdDescriptor } from "./etcdDescriptor.ts"

export type ScalarName = "bytes" | "string" | "bool" | "int32" | "uint32" | "int64" | "uint64"

export interface EnumType {
  readonly kind: "enum"
  readonly name: string
  readonly numbers: ReadonlyMap<string, number>
  readonly names: ReadonlyMap<number, string>
}

export interface MessageType {
  readonly kind: "message"
  readonly name: string
  readonly byNumber: ReadonlyMap<number, Field>
  /** By the name in the .proto file, and by its lowerCamelCase. */
  readonly byName: ReadonlyMap<string, Field>
}

export interface Field {
  readonly number: number
  readonly name: string
  /** The name as it begins in JSON: `"name":`. */
  readonly label: string
  readonly repeated: boolean
  /** Name of the group of which only one is set. */
  readonly oneof: string | undefined
  readonly type: ScalarName | EnumType | MessageType
}

export interface Rpc {
  readonly request: MessageType
  readonly response: MessageType
}

const scalars = new Set<string>(["bytes", "string", "bool", "int32", "uint32", "int64", "uint64"])

const isScalar = (name: string): name is ScalarName => scalars.has(name)

const camelCase = (name: string): string => name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())

interface OpenMessage extends MessageType {
  readonly byNumber: Map<number, Field>
  readonly byName: Map<string, Field>
}

const parseEnum = (name: string, body: string): EnumType => {
  const pairs = body.split(", ").map((pair): [string, number] => {
    const [number, value] = pair.split(" ")
    return [value!, Number(number)]
  })
  return {
    kind: "enum",
    name,
    numbers: new Map(pairs),
    names: new Map(pairs.map(([value, number]) => [number, value]))
  }
}

const parse = (source: string): ReadonlyMap<string, Rpc> => {
  const lines = source
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, kind, name, body] = /^(\w+) ([^:]+): ?(.*)$/.exec(line)!
      return { kind: kind!, name: name!, body: body! }
    })
  const enums = new Map<string, EnumType>()
  const messages = new Map<string, OpenMessage>()
  for (const { body, kind, name } of lines) {
    if (kind === "enum") enums.set(name, parseEnum(name, body))
    if (kind === "message") messages.set(name, { kind: "message", name, byNumber: new Map(), byName: new Map() })
  }
  const message = (name: string): OpenMessage => {
    const found = messages.get(name)
    assert(found !== undefined, `descriptor: no message ${name}`)
    return found
  }
  for (const { body, kind, name } of lines) {
    if (kind !== "message" || body === "") continue
    const { byName, byNumber } = message(name)
    for (const text of body.split(", ")) {
      const [, number, type, star, fieldName, oneof] = /^(\d+) ([\w.]+)(\*?) (\w+)(?:\|(\w+))?$/.exec(text)!
      const field: Field = {
        number: Number(number),
        name: fieldName!,
        label: `"${fieldName}":`,
        repeated: star === "*",
        oneof,
        type: isScalar(type!) ? type : (enums.get(type!) ?? message(type!))
      }
      byNumber.set(field.number, field)
      byName.set(field.name, field)
      byName.set(camelCase(field.name), field)
    }
  }
  return new Map(
    lines
      .filter(({ kind }) => kind === "rpc")
      .map(({ body, name }) => {
        const [request, response] = body.split(" ")
        return [name, { request: message(request!), response: message(response!) }]
      })
  )
}

let parsed: ReadonlyMap<string, Rpc> | undefined

/** Request and response by gRPC path. The first call parses: a node that nobody asks for JSON never does. */
export const rpcs = (): ReadonlyMap<string, Rpc> => (parsed ??= parse(etcdDescriptor))
