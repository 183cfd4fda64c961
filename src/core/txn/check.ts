/**
 * What etcd refuses by looking at a request alone, before anything else and in its order: rules R1, P1, T3, T4, T5.
 * Undefined: the request is well formed.
 */
import { keyString } from "../mvcc/keys.ts"
import { type EtcdError, errors, isEtcdError } from "../wire/errors.ts"
import {
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest
} from "../wire/messages.ts"
import { IntervalSet } from "./intervalSet.ts"

export interface TxnLimits {
  readonly maxTxnOps: number
}

export const checkRange = (request: RangeRequest): EtcdError | undefined => {
  if (request.key.length === 0) return errors.emptyKey
  if (!isMember(request.sortOrder, SortOrder.Descend)) return errors.invalidSortOption
  if (!isMember(request.sortTarget, SortTarget.Value)) return errors.invalidSortOption
  return undefined
}

const isMember = (value: number, last: number): boolean => Number.isInteger(value) && value >= 0 && value <= last

export const checkPut = (request: PutRequest): EtcdError | undefined => {
  if (request.key.length === 0) return errors.emptyKey
  if (request.ignoreValue && request.value.length !== 0) return errors.valueProvided
  if (request.ignoreLease && request.lease !== 0n) return errors.leaseProvided
  return undefined
}

export const checkDeleteRange = (request: DeleteRangeRequest): EtcdError | undefined =>
  request.key.length === 0 ? errors.emptyKey : undefined

export const checkTxn = (request: TxnRequest, limits: TxnLimits): EtcdError | undefined => {
  const refused = checkOps(request, limits.maxTxnOps)
  if (refused !== undefined) return refused
  for (const branch of [request.success, request.failure]) {
    if (!mayConflict(branch)) continue
    const changes = checkConflicts(branch)
    if (isEtcdError(changes)) return changes
  }
  return undefined
}

/** Rules T3 and T5. A nested Txn gets what its parent's widest list leaves of the budget. */
const checkOps = (request: TxnRequest, budget: number): EtcdError | undefined => {
  const width = Math.max(request.compare.length, request.success.length, request.failure.length)
  if (width > budget) return errors.tooManyOps
  for (const compare of request.compare) if (compare.key.length === 0) return errors.emptyKey
  for (const branch of [request.success, request.failure]) {
    for (const op of branch) {
      const refused = checkOp(op, budget - width)
      if (refused !== undefined) return refused
    }
  }
  return undefined
}

const checkOp = (op: RequestOp, budget: number): EtcdError | undefined => {
  switch (op.kind) {
    case "range":
      return checkRange(op.range)
    case "put":
      return checkPut(op.put)
    case "deleteRange":
      return checkDeleteRange(op.deleteRange)
    case "txn":
      return checkOps(op.txn, budget)
    case "none":
      return errors.keyNotFound
  }
}

/** One operation that is not a Txn conflicts with nothing: the common shapes are spared the rest. */
const mayConflict = (branch: ReadonlyArray<RequestOp>): boolean =>
  branch.length > 1 || (branch.length === 1 && branch[0]!.kind === "txn")

interface Changes {
  readonly puts: Set<string>
  readonly deletes: IntervalSet
}

/**
 * Rule T4, in etcd's order, which decides what it lets through: deletes of this level, then each nested Txn's puts
 * against what was found so far, then its deletes, then this level's puts.
 */
const checkConflicts = (branch: ReadonlyArray<RequestOp>): Changes | EtcdError => {
  const puts = new Set<string>()
  const deletes = new IntervalSet()
  for (const op of branch) if (op.kind === "deleteRange") addDelete(deletes, op.deleteRange)
  for (const op of branch) {
    if (op.kind !== "txn") continue
    const success = checkConflicts(op.txn.success)
    if (isEtcdError(success)) return success
    const failure = checkConflicts(op.txn.failure)
    if (isEtcdError(failure)) return failure
    for (const key of success.puts) {
      if (puts.has(key) || deletes.has(key)) return errors.duplicateKey
      puts.add(key)
    }
    for (const key of failure.puts) {
      // The branches are alternatives.
      if (success.puts.has(key)) continue
      if (puts.has(key) || deletes.has(key)) return errors.duplicateKey
      puts.add(key)
    }
    deletes.addAll(success.deletes)
    deletes.addAll(failure.deletes)
  }
  for (const op of branch) {
    if (op.kind !== "put") continue
    const key = keyString(op.put.key)
    if (puts.has(key) || deletes.has(key)) return errors.duplicateKey
    puts.add(key)
  }
  return { puts, deletes }
}

/** Quirk: the end "\0" is taken literally here, which makes the interval empty. */
const addDelete = (deletes: IntervalSet, request: DeleteRangeRequest): void => {
  const start = keyString(request.key)
  deletes.add(start, request.rangeEnd.length === 0 ? start + "\0" : keyString(request.rangeEnd))
}
