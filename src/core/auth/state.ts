/**
 * Users, roles and whether authentication is on, as the log says. Values are never changed in place: an operation makes
 * the next one, so that head and committed state share what did not change.
 */
import { Buffer } from "node:buffer"
import type { AuthChange, AuthOp, Permission } from "../log/opAuth.ts"
import { compareBytes } from "../mvcc/keys.ts"

export interface AuthUser {
  readonly name: string
  /** bcrypt text; empty for a user without password. */
  readonly passwordHash: Uint8Array
  readonly noPassword: boolean
  /** Sorted. */
  readonly roles: ReadonlyArray<string>
}

export interface AuthRole {
  readonly name: string
  /** Sorted by key; those of one key in the order in which they were granted, as in etcd. */
  readonly permissions: ReadonlyArray<Permission>
}

export interface AuthState {
  readonly enabled: boolean
  /** Grows with each change of users, roles or grants and when authentication is turned off; 1 in a new store. */
  readonly revision: number
  readonly users: ReadonlyMap<string, AuthUser>
  readonly roles: ReadonlyMap<string, AuthRole>
}

export const noAuth: AuthState = { enabled: false, revision: 1, users: new Map(), roles: new Map() }

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0

const byKey = (a: Permission, b: Permission): number => compareBytes(a.key, b.key)

const isSameInterval = (a: Permission, b: Permission): boolean =>
  sameBytes(a.key, b.key) && sameBytes(a.rangeEnd, b.rangeEnd)

/** In the place of one on the same interval, else behind those of the same key. */
const granted = (permissions: ReadonlyArray<Permission>, permission: Permission): ReadonlyArray<Permission> =>
  permissions.some((other) => isSameInterval(other, permission))
    ? permissions.map((other) => (isSameInterval(other, permission) ? permission : other))
    : [...permissions, permission].sort(byKey)

/** By the bytes of the text, as etcd sorts names. */
export const byText = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const with_ = <A>(map: ReadonlyMap<string, A>, key: string, value: A): ReadonlyMap<string, A> =>
  new Map(map).set(key, value)

const without = <A>(map: ReadonlyMap<string, A>, key: string): ReadonlyMap<string, A> => {
  const rest = new Map(map)
  rest.delete(key)
  return rest
}

const updateUser = (state: AuthState, name: string, change: (user: AuthUser) => AuthUser): AuthState => {
  const user = state.users.get(name)
  return user === undefined ? state : { ...state, users: with_(state.users, name, change(user)) }
}

const updateRole = (state: AuthState, name: string, change: (role: AuthRole) => AuthRole): AuthState => {
  const role = state.roles.get(name)
  return role === undefined ? state : { ...state, roles: with_(state.roles, name, change(role)) }
}

const changed = (state: AuthState, change: AuthChange): AuthState => {
  switch (change.kind) {
    case "enable":
      return { ...state, enabled: true }
    case "disable":
      return { ...state, enabled: false }
    case "state":
      return { ...state, enabled: change.enabled }
    case "userAdd":
    case "user": {
      const roles = change.kind === "user" ? [...change.roles].sort(byText) : []
      const { name, noPassword, passwordHash } = change
      return { ...state, users: with_(state.users, name, { name, passwordHash, noPassword, roles }) }
    }
    case "userDelete":
      return { ...state, users: without(state.users, change.name) }
    case "userChangePassword":
      return updateUser(state, change.name, (user) => ({
        ...user,
        passwordHash: change.passwordHash,
        noPassword: change.noPassword
      }))
    case "userGrantRole":
      return updateUser(state, change.name, (user) => ({
        ...user,
        roles: user.roles.includes(change.role) ? user.roles : [...user.roles, change.role].sort(byText)
      }))
    case "userRevokeRole":
      return updateUser(state, change.name, (user) => ({
        ...user,
        roles: user.roles.filter((role) => role !== change.role)
      }))
    case "roleAdd":
      return { ...state, roles: with_(state.roles, change.name, { name: change.name, permissions: [] }) }
    case "role": {
      const permissions = [...change.permissions].sort(byKey)
      return { ...state, roles: with_(state.roles, change.name, { name: change.name, permissions }) }
    }
    case "roleDelete": {
      const users = new Map(state.users)
      for (const user of state.users.values()) {
        if (!user.roles.includes(change.name)) continue
        users.set(user.name, { ...user, roles: user.roles.filter((role) => role !== change.name) })
      }
      return { ...state, users, roles: without(state.roles, change.name) }
    }
    case "roleGrantPermission":
      return updateRole(state, change.name, (role) => ({
        ...role,
        permissions: granted(role.permissions, change.permission)
      }))
    case "roleRevokePermission":
      return updateRole(state, change.name, (role) => ({
        ...role,
        permissions: role.permissions.filter(
          ({ key, rangeEnd }) => !sameBytes(key, change.key) || !sameBytes(rangeEnd, change.rangeEnd)
        )
      }))
  }
}

export const applyAuth = (state: AuthState, op: AuthOp): AuthState => ({
  ...changed(state, op.change),
  revision: op.authRevision
})

/** The operations that make this state in an empty store, for snapshots. */
export const authOps = (state: AuthState): ReadonlyArray<AuthOp> => {
  if (state === noAuth) return []
  const authRevision = state.revision
  return [
    ...Array.from(state.roles.values(), (role): AuthOp => ({ authRevision, change: { kind: "role", ...role } })),
    ...Array.from(state.users.values(), (user): AuthOp => ({ authRevision, change: { kind: "user", ...user } })),
    { authRevision, change: { kind: "state", enabled: state.enabled } }
  ]
}
