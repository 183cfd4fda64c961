/**
 * Range as etcd does it (rules R1 to R8): collect, filter, sort, cut. The result lists versions; those without a
 * value in memory are filled by the caller before the response is made.
 */
import { assert } from "../assert.ts"
import { emptyBytes } from "../log/record.ts"
import { type EtcdError, errors, isEtcdError } from "../wire/errors.ts"
import {
  type KeyValue,
  type RangeRequest,
  type RangeResponse,
  type ResponseHeader,
  SortOrder,
  SortTarget
} from "../wire/messages.ts"
import { compareBytes, interval } from "./keys.ts"
import type { MvccStore } from "./store.ts"
import { StoredVersion, type Version } from "./version.ts"

export interface RangeOutcome {
  readonly request: RangeRequest
  /** In the order of the response; when `sortPending`, everything that was collected, unsorted and uncut. */
  readonly versions: ReadonlyArray<Version>
  readonly count: number
  readonly more: boolean
  /** The revision that counted as current, for the header (rule H5). */
  readonly revision: number
  /** Versions whose values must be read before a response can be made; most often none. */
  readonly cold: ReadonlyArray<Version>
  /** Sorting by value waits for the cold values. */
  readonly sortPending: boolean
}

export const none: ReadonlyArray<Version> = []

/** The revision to read at (rule R3). */
export const readRevision = (store: MvccStore, request: RangeRequest, view: number): number | EtcdError => {
  if (request.revision > view) return errors.futureRevision
  const revision = request.revision <= 0 ? view : request.revision
  return revision < store.compactRevision ? errors.compacted : revision
}

const hasFilters = (request: RangeRequest): boolean =>
  request.minModRevision !== 0 ||
  request.maxModRevision !== 0 ||
  request.minCreateRevision !== 0 ||
  request.maxCreateRevision !== 0

/** Whether collecting may stop behind the limit (rule R5, its quirk included: no order given is default order). */
const isPlain = (request: RangeRequest): boolean =>
  (request.sortOrder === SortOrder.None ||
    (request.sortOrder === SortOrder.Ascend && request.sortTarget === SortTarget.Key)) &&
  !hasFilters(request)

/** Whether a cursor can walk the index for this request instead of holding a sorted list. */
export const isInKeyOrder = (request: RangeRequest): boolean =>
  isPlain(request) && request.sortTarget === SortTarget.Key

export const range = (store: MvccStore, request: RangeRequest, view: number): RangeOutcome | EtcdError => {
  const revision = readRevision(store, request, view)
  if (isEtcdError(revision)) return revision
  const span = interval(request.key, request.rangeEnd)
  if (request.countOnly) {
    const count = store.count(span, revision)
    return { request, versions: none, count, more: false, revision: view, cold: none, sortPending: false }
  }
  const limit = request.limit > 0 ? request.limit : Infinity
  const max = isPlain(request) ? limit + 1 : Infinity
  const collected = store.scan(span, revision, max)
  const count = collected.length < max ? collected.length : store.count(span, revision)
  const passed = hasFilters(request) ? collected.filter((version) => passes(request, version)) : collected
  const more = passed.length > limit
  const byValue = request.sortTarget === SortTarget.Value
  if (byValue) {
    const cold = coldAmong(passed)
    if (cold.length > 0) return { request, versions: passed, count, more, revision: view, cold, sortPending: true }
  }
  const versions = cut(sorted(request, passed), limit)
  const cold = byValue ? none : coldOf(versions, request)
  return { request, versions, count, more, revision: view, cold, sortPending: false }
}

/** The outcome with the values of `outcome.cold`, in that order. A value that is gone was compacted meanwhile. */
export const fillCold = (
  outcome: RangeOutcome,
  values: ReadonlyArray<Uint8Array | undefined>
): RangeOutcome | EtcdError => {
  if (outcome.cold.length === 0) return outcome
  assert(values.length === outcome.cold.length, "one value for each cold version")
  const versions = withValues(outcome.versions, outcome.cold, values)
  if (isEtcdError(versions)) return versions
  const { request } = outcome
  const limit = request.limit > 0 ? request.limit : Infinity
  const ordered = outcome.sortPending ? cut(sorted(request, versions), limit) : versions
  return { ...outcome, versions: ordered, cold: none, sortPending: false }
}

/** `versions` with the values of the cold ones among them; undefined among these: it was compacted away meanwhile. */
export const withValues = (
  versions: ReadonlyArray<Version>,
  cold: ReadonlyArray<Version>,
  values: ReadonlyArray<Uint8Array | undefined>
): ReadonlyArray<Version> | EtcdError => {
  const filled: Array<Version> = []
  let next = 0
  for (const version of versions) {
    if (version !== cold[next]) {
      filled.push(version)
      continue
    }
    const value = values[next++]
    if (value === undefined) return errors.compacted
    assert(version instanceof StoredVersion, "versions come from the store")
    filled.push(version.withValue(value))
  }
  return filled
}

/** The response; every value must be there. */
export const rangeResponse = (outcome: RangeOutcome, header: ResponseHeader | undefined): RangeResponse => {
  assert(outcome.cold.length === 0, "a response is made when every value is there")
  const { request, versions } = outcome
  const kvs = new Array<KeyValue>(versions.length)
  for (let i = 0; i < versions.length; i++) kvs[i] = keyValue(versions[i]!, request)
  return { header, kvs, more: outcome.more, count: outcome.count }
}

/** A version as the request asks for it: keys-only leaves out values, and leases unless sorted by value (rule R8). */
export const keyValue = (version: Version, request: RangeRequest): KeyValue =>
  request.keysOnly
    ? {
        key: version.key,
        createRevision: version.createRevision,
        modRevision: version.modRevision,
        version: version.version,
        value: emptyBytes,
        lease: request.sortTarget === SortTarget.Value ? version.lease : 0n
      }
    : wholeKeyValue(version)

export const wholeKeyValue = (version: Version): KeyValue => {
  const value = version.value
  assert(value !== undefined, `the value of a version at revision ${version.modRevision} is not in memory`)
  return {
    key: version.key,
    createRevision: version.createRevision,
    modRevision: version.modRevision,
    version: version.version,
    value,
    lease: version.lease
  }
}

/** Those of `versions` whose values must be read before they can be answered with. */
export const coldOf = (versions: ReadonlyArray<Version>, request: RangeRequest): ReadonlyArray<Version> =>
  request.keysOnly ? none : coldAmong(versions)

const coldAmong = (versions: ReadonlyArray<Version>): ReadonlyArray<Version> => {
  for (let i = 0; i < versions.length; i++) {
    if (versions[i]!.value === undefined) return versions.filter((version) => version.value === undefined)
  }
  return none
}

/** Rule R5: bounds are inclusive, 0 switches a filter off. */
const passes = (request: RangeRequest, version: Version): boolean =>
  (request.maxModRevision === 0 || version.modRevision <= request.maxModRevision) &&
  (request.minModRevision === 0 || version.modRevision >= request.minModRevision) &&
  (request.maxCreateRevision === 0 || version.createRevision <= request.maxCreateRevision) &&
  (request.minCreateRevision === 0 || version.createRevision >= request.minCreateRevision)

const cut = (versions: ReadonlyArray<Version>, limit: number): ReadonlyArray<Version> =>
  versions.length > limit ? versions.slice(0, limit) : versions

/** Rule R4. `versions` are in key order; ties keep it. */
const sorted = (request: RangeRequest, versions: ReadonlyArray<Version>): ReadonlyArray<Version> => {
  const descending = request.sortOrder === SortOrder.Descend
  if (request.sortTarget === SortTarget.Key) return descending ? versions.toReversed() : versions
  const order = orders[request.sortTarget]
  assert(order !== undefined, `sort target ${request.sortTarget} was checked before`)
  return versions.toSorted(descending ? (a, b) => order(b, a) : order)
}

const orders: Readonly<Record<number, (a: Version, b: Version) => number>> = {
  [SortTarget.Version]: (a, b) => a.version - b.version,
  [SortTarget.Create]: (a, b) => a.createRevision - b.createRevision,
  [SortTarget.Mod]: (a, b) => a.modRevision - b.modRevision,
  [SortTarget.Value]: (a, b) => compareBytes(a.value!, b.value!)
}
