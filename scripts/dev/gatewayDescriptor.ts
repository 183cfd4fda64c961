/**
 * Writes src/core/json/etcdDescriptor.ts, the shape of etcd's messages for the JSON gateway, from proto/etcd. Run after
 * a change there: scripts/dev/run.sh node scripts/dev/gatewayDescriptor.ts (a test compares the two).
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import protobuf from "protobufjs"

const project = fileURLToPath(new URL("../..", import.meta.url))
const target = `${project}src/core/json/etcdDescriptor.ts`
const files = ["rpc.proto", "kv.proto", "auth.proto", "health.proto", "lock.proto", "election.proto"]

const load = (): protobuf.Root => {
  const root = new protobuf.Root()
  root.resolvePath = (_origin, path) => `${project}proto/etcd/${path.split("/").pop()}`
  root.loadSync(files, { keepCase: true })
  return root.resolveAll() as protobuf.Root
}

const nameOf = (object: protobuf.ReflectionObject): string => object.fullName.slice(1)

/** `number type name`, with `*` behind the type when repeated and `|oneof` behind the name. */
const fieldText = (field: protobuf.Field): string => {
  const type = field.resolvedType === null ? field.type : nameOf(field.resolvedType)
  const group = field.partOf === null ? "" : `|${field.partOf.name}`
  return `${field.id} ${type}${field.repeated ? "*" : ""} ${field.name}${group}`
}

const lines = (namespace: protobuf.NamespaceBase): ReadonlyArray<string> =>
  namespace.nestedArray.flatMap((object) => {
    if (object instanceof protobuf.Type) {
      const fields = object.fieldsArray.toSorted((a, b) => a.id - b.id).map(fieldText)
      return [`message ${nameOf(object)}: ${fields.join(", ")}`, ...lines(object)]
    }
    if (object instanceof protobuf.Enum) {
      return [
        `enum ${nameOf(object)}: ${Object.entries(object.values)
          .map(([name, n]) => `${n} ${name}`)
          .join(", ")}`
      ]
    }
    if (object instanceof protobuf.Service) {
      return object.methodsArray.map((method) => {
        const [request, response] = [method.resolvedRequestType, method.resolvedResponseType]
        if (request === null || response === null) throw new Error(`${method.fullName}: a type is missing`)
        return `rpc /${nameOf(object)}/${method.name}: ${nameOf(request)} ${nameOf(response)}`
      })
    }
    return object instanceof protobuf.Namespace ? lines(object) : []
  })

export const descriptorSource = (): string =>
  [
    "/** Made by scripts/dev/gatewayDescriptor.ts from proto/etcd: every rpc, message and enum of the etcd API. */",
    "export const etcdDescriptor = `",
    ...lines(load()).map((line) => line.trimEnd()),
    "`",
    ""
  ].join("\n")

export const descriptorOnDisk = (): string => readFileSync(target, "utf8")

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(target, descriptorSource())
