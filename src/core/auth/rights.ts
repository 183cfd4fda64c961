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

/** The intervals of one right: their union, and each as it was granted. */
class Granted {
  readonly #union = new IntervalSet()
  readonly #each: Array<{ readonly start: string; readonly end: string }> = []

  add(start: string, end: string): void {
    this.#union.add(start, end)
    this.#each.push({ start, end })
  }

  has(key: string): boolean {
    return this.#union.has(key)
  }

  /** An interval that is empty, its end not being above its start, must lie inside a single grant, as in etcd. */
  covers(key: Uint8Array, rangeEnd: Uint8Array): boolean {
    const asked = interval(key, rangeEnd)
    const above = upperBound(asked.end)
    if (above > asked.start) return this.#union.covers(asked.start, above)
    return this.#each.some(({ end, start }) => start < above && end > asked.start)
  }
}

export interface Rights {
  readonly isRoot: boolean
  readonly read: Granted
  readonly write: Granted
}

const merge = (state: AuthState, roles: ReadonlyArray<string>): Rights => {
  const read = new Granted()
  const write = new Granted()
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
