/**
 * etcd's messages as plain objects: bytes are latin1 strings, 64-bit numbers are numbers while safe and decimal strings
 * beyond. A request may hold symbols that get their value when it is sent, so that one sequence fits two servers.
 */
import { fileURLToPath } from "node:url"
import Long from "long"
import protobuf from "protobufjs"

export type Plain = { readonly [name: string]: unknown }

/** A revision relative to the newest one, or to the newest compaction. */
export class Revision {
  readonly base: "head" | "compact"
  readonly plus: number
  readonly least: number

  constructor(base: "head" | "compact", plus: number, least = Number.NEGATIVE_INFINITY) {
    this.base = base
    this.plus = plus
    this.least = least
  }
}

/** The id that the server chose for the grant with this label. */
export class ChosenLease {
  readonly label: string

  constructor(label: string) {
    this.label = label
  }
}

export interface Symbols {
  readonly head: number
  readonly compact: number
  readonly leases: ReadonlyMap<string, string>
}

const folder = fileURLToPath(new URL("../../proto/etcd/", import.meta.url))
const root = new protobuf.Root()
root.resolvePath = (_origin, target) => folder + target.split("/").pop()
root.loadSync(["rpc.proto", "kv.proto", "lock.proto", "election.proto"], { keepCase: true })
root.resolveAll()

const types = new Map<string, protobuf.Type>()

export const messageType = (name: string): protobuf.Type => {
  const full = name.includes(".") ? name : `etcdserverpb.${name}`
  const known = types.get(full) ?? root.lookupType(full)
  types.set(full, known)
  return known
}

export interface Method {
  readonly path: string
  readonly request: protobuf.Type
  readonly response: protobuf.Type
}

const methods = new Map<string, Method>()

/** `KV.Range`, `Auth.UserAdd`: the service without its package when that is etcdserverpb. */
export const methodOf = (name: string): Method => {
  const known = methods.get(name)
  if (known !== undefined) return known
  const dot = name.lastIndexOf(".")
  const service = name.slice(0, dot)
  const full = service.includes(".") ? service : `etcdserverpb.${service}`
  const method = root.lookupService(full).methods[name.slice(dot + 1)]
  if (method === undefined) throw new Error(`there is no method ${name}`)
  method.resolve()
  const found: Method = {
    path: `/${full}/${method.name}`,
    request: method.resolvedRequestType!,
    response: method.resolvedResponseType!
  }
  methods.set(name, found)
  return found
}

const unknownLease = "987654321"

/** The request with its symbols replaced. */
export const resolved = (value: unknown, symbols: Symbols): unknown => {
  if (value instanceof Revision) {
    return Math.max(value.least, (value.base === "head" ? symbols.head : symbols.compact) + value.plus)
  }
  if (value instanceof ChosenLease) return symbols.leases.get(value.label) ?? unknownLease
  if (Array.isArray(value)) return value.map((one) => resolved(one, symbols))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolved(one, symbols)]))
}

const wire = (field: protobuf.Field, value: unknown): unknown => {
  if (field.resolvedType instanceof protobuf.Type) return wireObject(field.resolvedType, value as Plain)
  if (field.resolvedType instanceof protobuf.Enum) {
    return typeof value === "string" ? field.resolvedType.values[value] : value
  }
  switch (field.type) {
    case "bytes":
      return Buffer.from(value as string, "latin1")
    case "int64":
      return Long.fromString(String(value))
    case "uint64":
      return Long.fromString(String(value), true)
  }
  return value
}

const wireObject = (type: protobuf.Type, message: Plain): Record<string, unknown> => {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(message)) {
    const field = type.fields[name]
    if (field === undefined) throw new Error(`${type.name} has no field ${name}`)
    if (value === undefined) continue
    result[name] = field.repeated
      ? (value as ReadonlyArray<unknown>).map((one) => wire(field, one))
      : wire(field, value)
  }
  return result
}

export const encode = (type: protobuf.Type, message: Plain): Uint8Array =>
  type.encode(wireObject(type, message)).finish()

const plainValue = (field: protobuf.Field, value: unknown): unknown => {
  if (field.resolvedType instanceof protobuf.Type) return plainObject(field.resolvedType, value as Plain)
  if (field.resolvedType instanceof protobuf.Enum) {
    return field.resolvedType.valuesById[value as number] ?? value
  }
  if (Long.isLong(value)) {
    const number = value.toNumber()
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  return field.type === "bytes" ? Buffer.from(value as Uint8Array).toString("latin1") : value
}

/** Only what stands on the wire: a message that is absent is absent here; of repeated ones the empty list is absent. */
const plainObject = (type: protobuf.Type, message: Plain): Plain => {
  const result: Record<string, unknown> = {}
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(message, field.name)) continue
    const value = message[field.name]
    if (value === undefined || value === null) continue
    if (!field.repeated) result[field.name] = plainValue(field, value)
    else if ((value as ReadonlyArray<unknown>).length > 0) {
      result[field.name] = (value as ReadonlyArray<unknown>).map((one) => plainValue(field, one))
    }
  }
  return result
}

export const decode = (type: protobuf.Type, bytes: Uint8Array): Plain =>
  plainObject(type, type.decode(bytes) as unknown as Plain)
