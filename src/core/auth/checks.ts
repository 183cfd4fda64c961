/**
 * May this caller do that? Answers of etcd's auth store (reference etcd-api.md 2.10 and rule L10), in its order: an old
 * revision first, then the user, then the keys. Only to be asked while authentication is on.
 */
import type { Caller } from "../../services/Access.ts"
import { type EtcdError, errors } from "../wire/errors.ts"
import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from "../wire/messages.ts"
import { covers, type Rights, rightsOf } from "./rights.ts"
import type { AuthState } from "./state.ts"

/** The keys attached to a lease, as latin1 strings; none for a lease that does not exist. */
export type LeaseKeys = (lease: bigint) => Iterable<string>

type Refusal = EtcdError | undefined
type Right = "read" | "write"

const noBytes = new Uint8Array(0)

const rightsNow = (state: AuthState, caller: Caller): Rights | EtcdError => {
  if (caller.authRevision < state.revision) return errors.authOldRevision
  return rightsOf(state, caller.user) ?? errors.permissionDenied
}

const checkKeys = (state: AuthState, caller: Caller, right: Right, key: Uint8Array, rangeEnd: Uint8Array): Refusal => {
  const rights = rightsNow(state, caller)
  if ("_tag" in rights) return rights
  return rights.isRoot || covers(rights[right], key, rangeEnd) ? undefined : errors.permissionDenied
}

export const checkRead = (
  state: AuthState,
  caller: Caller,
  { key, rangeEnd }: Pick<RangeRequest, "key" | "rangeEnd">
): Refusal => checkKeys(state, caller, "read", key, rangeEnd)

/** The right on every key that is attached to the lease. */
export const checkLease = (
  state: AuthState,
  caller: Caller,
  right: Right,
  lease: bigint,
  leaseKeys: LeaseKeys
): Refusal => {
  if (rightsOf(state, caller.user)?.isRoot === true) return undefined
  for (const key of leaseKeys(lease)) {
    const rights = rightsNow(state, caller)
    if ("_tag" in rights) return rights
    if (!rights[right].has(key)) return errors.permissionDenied
  }
  return undefined
}

export const checkPut = (
  state: AuthState,
  caller: Caller,
  { key, lease, prevKv }: PutRequest,
  leaseKeys: LeaseKeys
): Refusal =>
  checkKeys(state, caller, "write", key, noBytes) ??
  // Whoever may not revoke the lease may not attach to it either.
  (lease === 0n ? undefined : checkLease(state, caller, "write", lease, leaseKeys)) ??
  (prevKv ? checkKeys(state, caller, "read", key, noBytes) : undefined)

export const checkDeleteRange = (
  state: AuthState,
  caller: Caller,
  { key, prevKv, rangeEnd }: DeleteRangeRequest
): Refusal =>
  checkKeys(state, caller, "write", key, rangeEnd) ??
  (prevKv ? checkKeys(state, caller, "read", key, rangeEnd) : undefined)

const checkOp = (state: AuthState, caller: Caller, op: RequestOp, leaseKeys: LeaseKeys): Refusal => {
  switch (op.kind) {
    case "range":
      return checkRead(state, caller, op.range)
    case "put":
      return checkPut(state, caller, op.put, leaseKeys)
    case "deleteRange":
      return checkDeleteRange(state, caller, op.deleteRange)
    case "txn":
      return checkTxn(state, caller, op.txn, leaseKeys)
    case "none":
      return undefined
  }
}

/** Every comparison and both branches, whichever of them will run. */
export const checkTxn = (state: AuthState, caller: Caller, txn: TxnRequest, leaseKeys: LeaseKeys): Refusal => {
  for (const compare of txn.compare) {
    const refused = checkRead(state, caller, compare)
    if (refused !== undefined) return refused
  }
  for (const branch of [txn.success, txn.failure]) {
    for (const op of branch) {
      const refused = checkOp(state, caller, op, leaseKeys)
      if (refused !== undefined) return refused
    }
  }
  return undefined
}

/** Role root. As in etcd the user counts who has it now, whatever the revision of the token. */
export const checkRoot = (state: AuthState, { user }: Caller): Refusal => {
  const rights = rightsOf(state, user)
  if (rights === undefined) return errors.userNotFound
  return rights.isRoot ? undefined : errors.permissionDenied
}

/** Any user that exists, with a token of any revision, as in etcd. */
export const checkUser = (state: AuthState, { user }: Caller): Refusal =>
  state.users.has(user) ? undefined : errors.permissionDenied
