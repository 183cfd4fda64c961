/** A range taken in slices, so that no single answer holds the main loop for long (design section 7). */
import { assert } from "../assert.ts"
import { type EtcdError, errors, isEtcdError } from "../wire/errors.ts"
import type { RangeRequest } from "../wire/messages.ts"
import { type Interval, interval } from "./keys.ts"
import { fillCold, isInKeyOrder, none, range, type RangeOutcome, readRevision } from "./range.ts"
import type { MvccStore } from "./store.ts"
import type { Version } from "./version.ts"

/** Pinned at its revision: writes between two slices do not show. A compaction that overtakes it ends it (rule R12). */
export class RangeCursor {
  readonly request: RangeRequest
  /** The revision that counted as current when the cursor was opened. */
  readonly revision: number
  readonly count: number
  readonly more: boolean
  /** The result of a sorted or filtered request; undefined when the index is walked. */
  #list: RangeOutcome | undefined
  readonly #store: MvccStore
  readonly #readRevision: number
  #span: Interval
  /** How many versions are still to come. */
  #left: number
  #taken = 0

  static open(store: MvccStore, request: RangeRequest, view: number): RangeCursor | EtcdError {
    const revision = readRevision(store, request, view)
    if (isEtcdError(revision)) return revision
    if (isInKeyOrder(request)) return new RangeCursor(store, request, view, revision, undefined)
    const outcome = range(store, request, view)
    return isEtcdError(outcome) ? outcome : new RangeCursor(store, request, view, revision, outcome)
  }

  private constructor(
    store: MvccStore,
    request: RangeRequest,
    view: number,
    readRevision: number,
    list: RangeOutcome | undefined
  ) {
    this.#store = store
    this.request = request
    this.revision = view
    this.#readRevision = readRevision
    this.#span = interval(request.key, request.rangeEnd)
    this.#list = list
    this.count = list?.count ?? store.count(this.#span, readRevision)
    const limit = request.limit > 0 ? request.limit : Infinity
    this.more = list?.more ?? (!request.countOnly && this.count > limit)
    this.#left = request.countOnly ? 0 : Math.min(list?.versions.length ?? this.count, limit)
  }

  /** Versions whose values `fill` must get before the first `next`: sorting by value needs all of them at once. */
  get cold(): ReadonlyArray<Version> {
    return this.#list?.sortPending === true ? this.#list.cold : none
  }

  fill(values: ReadonlyArray<Uint8Array | undefined>): EtcdError | undefined {
    if (this.#list?.sortPending !== true) return undefined
    const filled = fillCold(this.#list, values)
    if (isEtcdError(filled)) return filled
    this.#list = filled
    return undefined
  }

  /** True when every version has been handed out. */
  get done(): boolean {
    return this.#left === 0
  }

  /** The next `max` versions, fewer only at the end. Some may be cold (`value` undefined). */
  next(max: number): ReadonlyArray<Version> | EtcdError {
    const wanted = Math.min(max, this.#left)
    if (wanted === 0) return none
    assert(this.#list?.sortPending !== true, "cold values come before the first slice")
    if (this.#readRevision < this.#store.compactRevision) return errors.compacted
    const versions =
      this.#list === undefined
        ? this.#store.scan(this.#span, this.#readRevision, wanted)
        : this.#list.versions.slice(this.#taken, this.#taken + wanted)
    assert(versions.length === wanted, "a pinned range does not shrink")
    this.#left -= wanted
    this.#taken += wanted
    const last = versions[wanted - 1]
    if (last !== undefined) this.#span = { start: last.keyString + "\0", end: this.#span.end, single: false }
    return versions
  }
}
