/**
 * A slice of history, whole revisions, that many watches are served from: sorted by key once, so that a watch finds
 * its events by binary search, and each event is made once however many watches get it.
 */
import { keyString } from "../mvcc/keys.ts"
import type { Event, KeyValue } from "../wire/messages.ts"
import { eventOf } from "./events.ts"
import type { KeyRange } from "./keys.ts"
import type { Change } from "./types.ts"

export class EventBatch {
  readonly from: number
  #to: number
  readonly #changes: ReadonlyArray<Change>
  /** Previous versions read later than the changes, by position. */
  readonly #previous = new Map<number, KeyValue>()
  readonly #keys: ReadonlyArray<string>
  /** Positions in the order of (key, position). */
  readonly #byKey: ReadonlyArray<number>
  readonly #plain: Array<Event | undefined> = []
  readonly #withPrevious: Array<Event | undefined> = []

  /** Every change with `from` ≤ revision ≤ `to`, in order of (revision, sub). */
  constructor(from: number, to: number, changes: ReadonlyArray<Change>) {
    this.from = from
    this.#to = to
    this.#changes = changes
    const keys = changes.map((change) => keyString(change.record.key))
    this.#keys = keys
    this.#byKey = changes
      .map((_, position) => position)
      .sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : a - b))
  }

  /** Last revision that the batch covers. */
  get to(): number {
    return this.#to
  }

  /** Leaves out everything above `revision`. */
  cutAfter(revision: number): void {
    this.#to = Math.min(this.#to, revision)
  }

  change(position: number): Change {
    return this.#changes[position]!
  }

  /**
   * Revision of the version that `prev_kv` shows, which is from before the change's own revision, as in etcd: a
   * transaction may have touched the key before. 0: there is none.
   */
  previousRevision(position: number): number {
    let { record } = this.#changes[position]!
    if (record.created) return 0
    const { revision } = record
    for (let i = position - 1; record.prevRevision === revision && i >= 0; i--) {
      const earlier = this.#changes[i]!.record
      if (earlier.revision !== revision) break
      if (this.#keys[i] === this.#keys[position]) record = earlier
    }
    return record.created || record.prevRevision === revision ? 0 : record.prevRevision
  }

  /** Whether the key was not touched again in the same revision. */
  isNewest(position: number): boolean {
    const { revision } = this.#changes[position]!.record
    for (let i = position + 1; i < this.#changes.length; i++) {
      if (this.#changes[i]!.record.revision !== revision) break
      if (this.#keys[i] === this.#keys[position]) return false
    }
    return true
  }

  setPrevious(position: number, previous: KeyValue): void {
    this.#previous.set(position, previous)
  }

  /** Positions of the changes in the range at or above `fromRevision`, ascending. */
  positions(range: KeyRange, fromRevision: number): ReadonlyArray<number> {
    const found: Array<number> = []
    const keys = this.#keys
    const byKey = this.#byKey
    let low = 0
    let high = byKey.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (keys[byKey[middle]!]! < range.begin) low = middle + 1
      else high = middle
    }
    for (let i = low; i < byKey.length; i++) {
      const position = byKey[i]!
      const key = keys[position]!
      if (range.end === undefined ? key !== range.begin : key >= range.end) break
      const revision = this.#changes[position]!.record.revision
      if (revision >= fromRevision && revision <= this.#to) found.push(position)
    }
    return range.end === undefined ? found : found.sort((a, b) => a - b)
  }

  /** The event at a position; rule W6: at or below the floor there is no previous version to show. */
  event(position: number, wantsPrevious: boolean, floor: number): Event {
    const { previous, record } = this.#changes[position]!
    if (!wantsPrevious || record.revision <= floor) return (this.#plain[position] ??= eventOf(record, undefined))
    return (this.#withPrevious[position] ??= eventOf(record, previous ?? this.#previous.get(position)))
  }
}
