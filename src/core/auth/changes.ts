/**
 * What a request would change in the auth store: the change for the log, undefined where it is so already, or why not
 * (reference etcd-api.md 2.10, 2.11; as in etcd 3.7).
 */
import { type AuthChange, type AuthOp, type Permission, PermissionType } from "../log/opAuth.ts"
import { compareBytes } from "../mvcc/keys.ts"
import { Code, type EtcdError, errors, etcdError } from "../wire/errors.ts"
import { rootRole, rootUser } from "./rights.ts"
import type { AuthState } from "./state.ts"

export type Outcome = AuthChange | EtcdError | undefined

/** Turning authentication on leaves the revision as it is; everything else raises it. */
export const authOp = (state: AuthState, change: AuthChange): AuthOp => ({
  authRevision: change.kind === "enable" ? state.revision : state.revision + 1,
  change
})

export const enable = (state: AuthState): Outcome => {
  if (state.enabled) return undefined
  const root = state.users.get(rootUser)
  if (root === undefined) return errors.rootUserNotFound
  return root.roles.includes(rootRole) ? { kind: "enable" } : errors.rootRoleNotGranted
}

export const disable = (state: AuthState): Outcome => (state.enabled ? { kind: "disable" } : undefined)

/** Keys of etcd's database are no longer: a longer name could not be exported. */
const nameBytesMax = 32_768

const isTooLong = (name: string): boolean =>
  name.length > nameBytesMax / 3 && new TextEncoder().encode(name).length > nameBytesMax

const tooLong = (what: string): EtcdError =>
  etcdError(Code.InvalidArgument, `netsy: a ${what} name has at most ${nameBytesMax} bytes`)

/** Asked before a password is hashed and again after. */
export const checkUserAdd = (state: AuthState, name: string): EtcdError | undefined => {
  if (name === "") return errors.userEmpty
  if (isTooLong(name)) return tooLong("user")
  return state.users.has(name) ? errors.userExists : undefined
}

export const userDelete = (state: AuthState, name: string): Outcome => {
  if (state.enabled && name === rootUser) return errors.invalidAuthManagement
  return state.users.has(name) ? { kind: "userDelete", name } : errors.userNotFound
}

/** A user who logs in without a password keeps none. */
export const userChangePassword = (state: AuthState, name: string, passwordHash: Uint8Array): Outcome => {
  const user = state.users.get(name)
  if (user === undefined) return errors.userNotFound
  const { noPassword } = user
  return { kind: "userChangePassword", name, passwordHash: noPassword ? new Uint8Array(0) : passwordHash, noPassword }
}

/** Role root counts as there even where nobody has added it. */
export const userGrantRole = (state: AuthState, name: string, role: string): Outcome => {
  const user = state.users.get(name)
  if (user === undefined) return errors.userNotFound
  if (role !== rootRole && !state.roles.has(role)) return errors.roleNotFound
  return user.roles.includes(role) ? undefined : { kind: "userGrantRole", name, role }
}

export const userRevokeRole = (state: AuthState, name: string, role: string): Outcome => {
  if (state.enabled && name === rootUser && role === rootRole) return errors.invalidAuthManagement
  const user = state.users.get(name)
  if (user === undefined) return errors.userNotFound
  return user.roles.includes(role) ? { kind: "userRevokeRole", name, role } : errors.roleNotGranted
}

export const roleAdd = (state: AuthState, name: string): Outcome => {
  if (name === "") return errors.roleEmpty
  if (isTooLong(name)) return tooLong("role")
  return state.roles.has(name) ? errors.roleExists : { kind: "roleAdd", name }
}

export const roleDelete = (state: AuthState, name: string): Outcome => {
  if (state.enabled && name === rootRole) return errors.invalidAuthManagement
  return state.roles.has(name) ? { kind: "roleDelete", name } : errors.roleNotFound
}

const isOpenEnd = (rangeEnd: Uint8Array): boolean => rangeEnd.length === 1 && rangeEnd[0] === 0

/** One key, everything from a key on, or a range that holds something. */
const isInterval = ({ key, rangeEnd }: Permission): boolean =>
  key.length > 0 && (rangeEnd.length === 0 || isOpenEnd(rangeEnd) || compareBytes(key, rangeEnd) < 0)

export const roleGrantPermission = (state: AuthState, name: string, permission: Permission | undefined): Outcome => {
  if (permission === undefined) return errors.permissionNotGiven
  if (!isInterval(permission)) return errors.invalidAuthManagement
  return state.roles.has(name) ? { kind: "roleGrantPermission", name, permission } : errors.roleNotFound
}

export const roleRevokePermission = (
  state: AuthState,
  name: string,
  key: Uint8Array,
  rangeEnd: Uint8Array
): Outcome => {
  const role = state.roles.get(name)
  if (role === undefined) return errors.roleNotFound
  const granted = role.permissions.some(
    (other) => compareBytes(other.key, key) === 0 && compareBytes(other.rangeEnd, rangeEnd) === 0
  )
  return granted ? { kind: "roleRevokePermission", name, key, rangeEnd } : errors.permissionNotGranted
}

const everything: Permission = {
  type: PermissionType.ReadWrite,
  key: new Uint8Array(0),
  rangeEnd: Uint8Array.of(0)
}

/** Role root is shown as what it means, whatever was granted to it. */
export const permissionsOf = (state: AuthState, name: string): ReadonlyArray<Permission> | EtcdError => {
  const role = state.roles.get(name)
  if (role === undefined) return errors.roleNotFound
  return name === rootRole ? [everything] : role.permissions
}
