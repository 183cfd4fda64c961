/** The etcd messages as protobufjs sees them, from proto/etcd: random ones, and their translation into our shapes. */
import { fileURLToPath } from "node:url"
import Long from "long"
import protobuf from "protobufjs"
import type { Random } from "./random.ts"

const folder = fileURLToPath(new URL("../../proto/etcd/", import.meta.url))
const root = new protobuf.Root()
root.resolvePath = (_origin, target) => folder + target.split("/").pop()
root.loadSync(["rpc.proto", "kv.proto", "health.proto", "lock.proto", "election.proto", "membership.proto"], {
  keepCase: true
})
root.resolveAll()

export const messageType = (name: string): protobuf.Type => root.lookupType(name)
export const rpcServices = (): ReadonlyArray<protobuf.Service> => {
  const found: Array<protobuf.Service> = []
  const walk = (namespace: protobuf.NamespaceBase): void => {
    for (const object of namespace.nestedArray) {
      if (object instanceof protobuf.Service) found.push(object)
      else if (object instanceof protobuf.Namespace) walk(object)
    }
  }
  walk(root)
  return found
}

const bigintOf = (value: Long | number): bigint => BigInt(value.toString())

const int64 = (random: Random, field: protobuf.Field): Long => {
  const unsigned = field.type === "uint64"
  const wide = isWide(field)
  const bits = 1 + random.int(wide ? 64 : 53)
  const raw = new Long(random.int(0x1_0000_0000), random.int(0x1_0000_0000), true).shiftRightUnsigned(64 - bits)
  if (wide) return unsigned ? raw : raw.toSigned()
  return !unsigned && random.chance(20) ? raw.toSigned().negate() : unsigned ? raw : raw.toSigned()
}

/** Ids use all 64 bits and are bigint here; every other 64-bit number is a safe integer. */
const isWide = (field: protobuf.Field): boolean =>
  /^(.*ID|lease|leader|cluster_id|member_id|watch_id)$/.test(field.name) && field.type !== "string"

const text = (random: Random): string =>
  ["a", "host:2379", "grün", "日本語", "😀", "x".repeat(200), "line\nbreak\u0000"][random.int(7)]!

const value = (random: Random, field: protobuf.Field, depth: number): unknown => {
  switch (field.type) {
    case "bytes":
      return random.bytes(1 + random.int(random.chance(5) ? 20000 : 40))
    case "string":
      return text(random)
    case "bool":
      return true
    case "uint32":
      return 1 + random.int(0xffff_ffff)
    case "int64":
    case "uint64":
      return int64(random, field)
  }
  const type = field.resolvedType
  if (type instanceof protobuf.Enum) return 1 + random.int(random.chance(10) ? 1000 : type.valuesArray().length)
  if (type instanceof protobuf.Type) return randomMessage(random, type, depth + 1)
  throw new Error(`no random value for ${field.fullName}`)
}

declare module "protobufjs" {
  interface Enum {
    valuesArray: () => ReadonlyArray<number>
  }
}
protobuf.Enum.prototype.valuesArray = function () {
  return Object.values(this.values)
}

const isZero = (given: unknown): boolean => given instanceof Long && given.isZero()

/** Zero values are left out, as the canonical encoding does, except in a oneof. */
export const randomMessage = (random: Random, type: protobuf.Type, depth = 0): Record<string, unknown> => {
  const message: Record<string, unknown> = {}
  for (const field of type.fieldsArray) {
    if (field.partOf !== null) continue
    if (field.repeated) {
      if (depth > 6) continue
      const length = random.chance(50) ? 0 : 1 + random.int(3)
      if (length > 0) message[field.name] = Array.from({ length }, () => value(random, field, depth))
    } else if (random.chance(60) || (type.name === "Event" && field.name === "kv")) {
      // An event has a key always.
      const given = value(random, field, depth)
      if (!isZero(given)) message[field.name] = given
    }
  }
  for (const oneof of type.oneofsArray) {
    // A response is never without its oneof; a request may be.
    if (type.name !== "ResponseOp" && random.chance(15)) continue
    const members = oneof.fieldsArray.filter((field) => depth <= 6 || !field.name.endsWith("_txn"))
    const field = members[random.int(members.length)]!
    message[field.name] = value(random, field, depth)
  }
  return message
}

const names: Record<string, string> = {
  ID: "id",
  memberID: "memberId",
  targetID: "targetId",
  peerURLs: "peerUrls",
  clientURLs: "clientUrls",
  TTL: "ttl",
  grantedTTL: "grantedTtl"
}
const camel = (name: string): string =>
  names[name] ?? name.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase())

const numberOrBigint = (field: protobuf.Field, given: unknown): unknown =>
  isWide(field) ? bigintOf(given as Long | number) : Number(String(given))

const zero = (field: protobuf.Field): unknown => {
  if (field.repeated) return []
  switch (field.type) {
    case "bytes":
      return new Uint8Array(0)
    case "string":
      return ""
    case "bool":
      return false
    case "uint32":
      return 0
    case "int64":
    case "uint64":
      return isWide(field) ? 0n : 0
  }
  return field.resolvedType instanceof protobuf.Enum ? 0 : undefined
}

const translated = (field: protobuf.Field, given: unknown): unknown => {
  if (field.type === "int64" || field.type === "uint64") return numberOrBigint(field, given)
  if (field.resolvedType instanceof protobuf.Type) return ours(field.resolvedType, given as Record<string, unknown>)
  return given
}

const unionKinds: Record<string, string> = { create_revision: "create", mod_revision: "mod" }

/** The message in the shape of src/core/wire/messages.ts. */
export const ours = (type: protobuf.Type, message: Record<string, unknown>): unknown => {
  const chosen = type.oneofsArray[0]?.fieldsArray.find((field) => message[field.name] !== undefined)
  if (type.name === "RequestOp" || type.name === "ResponseOp") {
    if (chosen === undefined) return { kind: "none" }
    const kind = camel(chosen.name.replace(/^(request|response)_/, ""))
    return { kind, [kind]: translated(chosen, message[chosen.name]) }
  }
  if (type.name === "WatchRequest") {
    if (chosen === undefined) return { kind: "none" }
    if (chosen.name === "progress_request") return { kind: "progress" }
    const request = translated(chosen, message[chosen.name]) as { readonly watchId: bigint }
    return chosen.name === "create_request"
      ? { kind: "create", create: request }
      : { kind: "cancel", watchId: request.watchId }
  }
  const result: Record<string, unknown> = {}
  for (const field of type.fieldsArray) {
    if (field.partOf !== null) continue
    const given = message[field.name]
    result[camel(field.name)] =
      given === undefined
        ? zero(field)
        : field.repeated
          ? (given as ReadonlyArray<unknown>).map((element) => translated(field, element))
          : translated(field, given)
  }
  if (type.name === "Compare") {
    const kind = chosen === undefined ? "" : (unionKinds[chosen.name] ?? chosen.name)
    result["targetUnion"] =
      chosen === undefined
        ? undefined
        : { kind, [kind === "value" || kind === "lease" ? kind : "number"]: translated(chosen, message[chosen.name]) }
  }
  return result
}
