/** What a user may read and write: the unions of the key intervals that the user's roles grant. */
import { PermissionType } from "../log/opAuth.ts"
import { interval } from "../mvcc/keys.ts"
import { IntervalSet } from "../txn/intervalSet.ts"
import type { AuthState } from "./state.ts"

/** The user who turns authentication on and cannot be deleted while it is. */
export const rootUser = "root"
/** Whoever has it may do everything. */
export const rootRole = "root"

/** Above every key: latin1 ends with U+00FF. */
const noEnd = "\u0100"

/** Of the bounds of an interval, which `end` undefined leaves open. */
const upperBound = (end: string | undefined): string => end ?? noEnd

export interface Rights {
  readonly isRoot: boolean
  readonly read: IntervalSet
  readonly write: IntervalSet
}

const merge = (state: AuthState, roles: ReadonlyArray<string>): Rights => {
  const read = new IntervalSet()
  const write = new IntervalSet()
  for (const name of roles) {
    for (const { key, rangeEnd, type } of state.roles.get(name)?.permissions ?? []) {
      const { end, start } = interval(key, rangeEnd)
      if (type === PermissionType.Read || type === PermissionType.ReadWrite) read.add(start, upperBound(end))
      if (type === PermissionType.Write || type === PermissionType.ReadWrite) write.add(start, upperBound(end))
    }
  }
  return { isRoot: roles.includes(rootRole), read, write }
}

/** States never change in place: what was made for one holds for as long as it lives. */
const memo = new WeakMap<AuthState, Map<string, Rights>>()

/** Undefined: no such user. */
export const rightsOf = (state: AuthState, userName: string): Rights | undefined => {
  let known = memo.get(state)
  if (known === undefined) {
    known = new Map()
    memo.set(state, known)
  }
  const before = known.get(userName)
  if (before !== undefined) return before
  const user = state.users.get(userName)
  if (user === undefined) return undefined
  const rights = merge(state, user.roles)
  known.set(userName, rights)
  return rights
}

/** An empty interval (its end is not above its start) needs the right on the key it starts with. */
export const covers = (set: IntervalSet, key: Uint8Array, rangeEnd: Uint8Array): boolean => {
  const { end, start } = interval(key, rangeEnd)
  const above = upperBound(end)
  return above > start ? set.covers(start, above) : set.has(start)
}
