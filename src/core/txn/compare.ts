/** Compares of a Txn (rules T1, T2, T9). */
import { assert } from "../assert.ts"
import { emptyBytes } from "../log/record.ts"
import { compareBytes, interval } from "../mvcc/keys.ts"
import type { MvccStore } from "../mvcc/store.ts"
import type { Version } from "../mvcc/version.ts"
import { type Compare, CompareResult, CompareTarget, type RequestOp, type TxnRequest } from "../wire/messages.ts"

/**
 * Which branch each Txn of the tree takes, in the order in which they will run: the Txn itself, then the nested ones
 * of its taken branch, each with its own behind it. All against the state before the Txn.
 */
export const takenPath = (
  store: MvccStore,
  request: TxnRequest,
  view: number,
  path: Array<boolean>
): Array<boolean> => {
  const succeeded = holdAll(store, request.compare, view)
  path.push(succeeded)
  for (const op of takenBranch(request, succeeded)) if (op.kind === "txn") takenPath(store, op.txn, view, path)
  return path
}

export const takenBranch = (request: TxnRequest, succeeded: boolean): ReadonlyArray<RequestOp> =>
  succeeded ? request.success : request.failure

const holdAll = (store: MvccStore, compares: ReadonlyArray<Compare>, view: number): boolean => {
  for (const compare of compares) if (!holds(store, compare, view)) return false
  return true
}

const scanStep = 256

const holds = (store: MvccStore, compare: Compare, view: number): boolean => {
  let span = interval(compare.key, compare.rangeEnd)
  if (span.single) {
    const version = store.liveAt(span.start, view)
    return version === undefined ? holdsForMissing(compare) : holdsFor(compare, version)
  }
  // In steps: most conditions on large intervals fail early.
  for (let found = 0; ;) {
    const versions = store.scan(span, view, scanStep)
    if (found === 0 && versions.length === 0) return holdsForMissing(compare)
    for (const version of versions) if (!holdsFor(compare, version)) return false
    if (versions.length < scanStep) return true
    found += versions.length
    const last = versions[scanStep - 1]!
    span = { ...span, start: last.keyString + "\0" }
  }
}

/** A value that is not there compares to nothing; all numbers of a missing key are zero. */
const holdsForMissing = (compare: Compare): boolean =>
  compare.target === CompareTarget.Value ? false : holdsOrder(compare, orderOf(compare, undefined))

const holdsFor = (compare: Compare, version: Version): boolean => holdsOrder(compare, orderOf(compare, version))

const holdsOrder = (compare: Compare, order: number): boolean => {
  switch (compare.result) {
    case CompareResult.Equal:
      return order === 0
    case CompareResult.NotEqual:
      return order !== 0
    case CompareResult.Greater:
      return order > 0
    case CompareResult.Less:
      return order < 0
    default:
      // etcd lets a result it does not know hold.
      return true
  }
}

/** Sign of (what the key has − what was given). What was not given, or given for another target, is zero or empty. */
const orderOf = (compare: Compare, version: Version | undefined): number => {
  const given = compare.targetUnion
  switch (compare.target) {
    case CompareTarget.Version:
      return (version?.version ?? 0) - (given?.kind === "version" ? given.number : 0)
    case CompareTarget.Create:
      return (version?.createRevision ?? 0) - (given?.kind === "create" ? given.number : 0)
    case CompareTarget.Mod:
      return (version?.modRevision ?? 0) - (given?.kind === "mod" ? given.number : 0)
    case CompareTarget.Lease:
      return orderOfLeases(version?.lease ?? 0n, given?.kind === "lease" ? given.lease : 0n)
    case CompareTarget.Value: {
      const value = version?.value
      assert(value !== undefined, "compares look at current values, which are in memory")
      return compareBytes(value, given?.kind === "value" ? given.value : emptyBytes)
    }
    default:
      return 0
  }
}

/** Lease ids are int64 on the wire. */
const orderOfLeases = (a: bigint, b: bigint): number => {
  const signedA = BigInt.asIntN(64, a)
  const signedB = BigInt.asIntN(64, b)
  return signedA < signedB ? -1 : signedA > signedB ? 1 : 0
}
