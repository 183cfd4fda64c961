/**
 * Changes of users, roles and permissions as log operations. Passwords travel hashed (bcrypt text, as in etcd), so that
 * every node stores the same bytes.
 */
import type { Reader, Writer } from "../wire/protobuf.ts"

/** `Permission.Type` has etcd's numbers. */
export const PermissionType = { Read: 0, Write: 1, ReadWrite: 2 } as const

export interface Permission {
  readonly type: number
  readonly key: Uint8Array
  readonly rangeEnd: Uint8Array
}

export type AuthChange =
  | { readonly kind: "enable" }
  | { readonly kind: "disable" }
  | {
      readonly kind: "userAdd"
      readonly name: string
      readonly passwordHash: Uint8Array
      readonly noPassword: boolean
    }
  | { readonly kind: "userDelete"; readonly name: string }
  | {
      readonly kind: "userChangePassword"
      readonly name: string
      readonly passwordHash: Uint8Array
      readonly noPassword: boolean
    }
  | { readonly kind: "userGrantRole"; readonly name: string; readonly role: string }
  | { readonly kind: "userRevokeRole"; readonly name: string; readonly role: string }
  | { readonly kind: "roleAdd"; readonly name: string }
  | { readonly kind: "roleDelete"; readonly name: string }
  | { readonly kind: "roleGrantPermission"; readonly name: string; readonly permission: Permission }
  | {
      readonly kind: "roleRevokePermission"
      readonly name: string
      readonly key: Uint8Array
      readonly rangeEnd: Uint8Array
    }
  /** In snapshots: whether authentication is on. */
  | { readonly kind: "state"; readonly enabled: boolean }
  /** In snapshots: one whole user. */
  | {
      readonly kind: "user"
      readonly name: string
      readonly passwordHash: Uint8Array
      readonly noPassword: boolean
      readonly roles: ReadonlyArray<string>
    }
  /** In snapshots: one whole role. */
  | { readonly kind: "role"; readonly name: string; readonly permissions: ReadonlyArray<Permission> }

export interface AuthOp {
  /** Revision of the auth store after this change. */
  readonly authRevision: number
  readonly change: AuthChange
}

type Kind = AuthChange["kind"]

const fieldOf: Readonly<Record<Kind, number>> = {
  enable: 2,
  disable: 3,
  userAdd: 4,
  userDelete: 5,
  userChangePassword: 6,
  userGrantRole: 7,
  userRevokeRole: 8,
  roleAdd: 9,
  roleDelete: 10,
  roleGrantPermission: 11,
  roleRevokePermission: 12,
  state: 13,
  user: 14,
  role: 15
}

export const writeAuth = (writer: Writer, op: AuthOp): void => {
  writer.int64Field(1, op.authRevision)
  const { change } = op
  const mark = writer.open(fieldOf[change.kind])
  switch (change.kind) {
    case "enable":
    case "disable":
      break
    case "state":
      writer.boolField(1, change.enabled)
      break
    case "userAdd":
    case "userChangePassword":
    case "user":
      writer.stringField(1, change.name)
      writer.bytesField(2, change.passwordHash)
      writer.boolField(3, change.noPassword)
      if (change.kind === "user") {
        for (const role of change.roles) {
          writer.tag(4, 2)
          writer.string(role)
        }
      }
      break
    case "userDelete":
    case "roleAdd":
    case "roleDelete":
      writer.stringField(1, change.name)
      break
    case "userGrantRole":
    case "userRevokeRole":
      writer.stringField(1, change.name)
      writer.stringField(2, change.role)
      break
    case "roleGrantPermission":
      writer.stringField(1, change.name)
      writePermission(writer, change.permission)
      break
    case "roleRevokePermission":
      writer.stringField(1, change.name)
      writer.bytesField(2, change.key)
      writer.bytesField(3, change.rangeEnd)
      break
    case "role":
      writer.stringField(1, change.name)
      for (const permission of change.permissions) writePermission(writer, permission)
      break
  }
  writer.close(mark)
}

const writePermission = (writer: Writer, permission: Permission): void => {
  const mark = writer.open(2)
  writer.int64Field(1, permission.type)
  writer.bytesField(2, permission.key)
  writer.bytesField(3, permission.rangeEnd)
  writer.close(mark)
}

export const readAuth = (reader: Reader): AuthOp => {
  let authRevision = 0
  let change: AuthChange | undefined
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) authRevision = reader.int64Number()
    else if ((tag & 7) === 2 && tag >>> 3 >= 2 && tag >>> 3 <= 15) {
      const outer = reader.enter()
      change = readChange(reader, tag >>> 3)
      reader.leave(outer)
    } else reader.fail(`auth change ${tag >>> 3} is not known to this version`)
  }
  return { authRevision, change: change ?? reader.fail("an auth op without a change") }
}

/** Every change is made of some of these fields, by number and wire type. */
const readChange = (reader: Reader, field: number): AuthChange => {
  let name = ""
  let second = new Uint8Array(0)
  let third = new Uint8Array(0)
  let flag = false
  const roles: Array<string> = []
  const permissions: Array<Permission> = []
  const isRole = field === fieldOf.role || field === fieldOf.roleGrantPermission
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) name = reader.string()
    else if (tag === 8) flag = reader.bool()
    else if (tag === 18 && isRole) permissions.push(readPermission(reader))
    else if (tag === 18) second = reader.bytes().slice()
    else if (tag === 24) flag = reader.bool()
    else if (tag === 26) third = reader.bytes().slice()
    else if (tag === 34) roles.push(reader.string())
    else reader.skip(tag)
  }
  switch (field) {
    case fieldOf.enable:
      return { kind: "enable" }
    case fieldOf.disable:
      return { kind: "disable" }
    case fieldOf.userAdd:
      return { kind: "userAdd", name, passwordHash: second, noPassword: flag }
    case fieldOf.userDelete:
      return { kind: "userDelete", name }
    case fieldOf.userChangePassword:
      return { kind: "userChangePassword", name, passwordHash: second, noPassword: flag }
    case fieldOf.userGrantRole:
      return { kind: "userGrantRole", name, role: utf8(second) }
    case fieldOf.userRevokeRole:
      return { kind: "userRevokeRole", name, role: utf8(second) }
    case fieldOf.roleAdd:
      return { kind: "roleAdd", name }
    case fieldOf.roleDelete:
      return { kind: "roleDelete", name }
    case fieldOf.roleGrantPermission:
      return {
        kind: "roleGrantPermission",
        name,
        permission: permissions[0] ?? reader.fail("a grant without a permission")
      }
    case fieldOf.roleRevokePermission:
      return { kind: "roleRevokePermission", name, key: second, rangeEnd: third }
    case fieldOf.state:
      return { kind: "state", enabled: flag }
    case fieldOf.user:
      return { kind: "user", name, passwordHash: second, noPassword: flag, roles }
    default:
      return { kind: "role", name, permissions }
  }
}

const readPermission = (reader: Reader): Permission => {
  const outer = reader.enter()
  let type = 0
  let key = new Uint8Array(0)
  let rangeEnd = new Uint8Array(0)
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) type = reader.int32()
    else if (tag === 18) key = reader.bytes().slice()
    else if (tag === 26) rangeEnd = reader.bytes().slice()
    else reader.skip(tag)
  }
  reader.leave(outer)
  return { type, key, rangeEnd }
}

const decoder = new TextDecoder()
const utf8 = (bytes: Uint8Array): string => decoder.decode(bytes)
