/**
 * The keys and their versions above the floor, in memory: a map from key to its chain of versions and a sorted index.
 * *Head* is everything applied, *committed* what may be shown; what lies between can be rolled back. Values that
 * were superseded by a committed write are cold: only LocalStore has them.
 */
import { assert } from "../assert.ts"
import { emptyBytes, isInternal, type LogRecord } from "../log/record.ts"
import type { EtcdError } from "../wire/errors.ts"
import type { RangeRequest } from "../wire/messages.ts"
import { RangeCursor } from "./cursor.ts"
import { Deque } from "./deque.ts"
import { LiveFlips } from "./flips.ts"
import { KeyIndex } from "./keyIndex.ts"
import { contains, everything, type Interval, keyString } from "./keys.ts"
import { range, type RangeOutcome } from "./range.ts"
import { ValueHeap } from "./values.ts"
import { type Chain, type StoredVersion, storedVersion, type Version } from "./version.ts"

export interface MvccStats {
  /** Keys in the index, dead ones that the floor has not passed included. */
  readonly keys: number
  /** Keys that the committed view shows. */
  readonly liveKeys: number
  readonly versions: number
  /** Bytes of the values in memory. */
  readonly valueBytes: number
  /** Bytes allocated for them. */
  readonly heldBytes: number
}

/** 0n: no lease. */
export type LeaseMoved = (key: string, from: bigint, to: bigint) => void

/** Revisions of the applied records end here; a revision that is finished takes no further records. */
const finished = Number.MAX_SAFE_INTEGER

export class MvccStore {
  #index = new KeyIndex()
  #values = new ValueHeap()
  /** Uncommitted versions in the order in which they were applied. */
  #pending = new Deque<StoredVersion>()
  /** Chains with something for a compaction at or above the revision beside them, ascending. */
  #garbage = new Deque<Chain>()
  #garbageRevisions = new Deque<number>()
  /** Chains whose oldest version is a tombstone at the floor: it stays until the floor moves on. */
  #atFloor: Array<Chain> = []
  #flips = new LiveFlips()
  /** 0 until something was applied. */
  #applied = 0
  #sub = finished
  readonly #moved: LeaseMoved
  #committed = 0
  #compactRevision = -1
  #headCompactRevision = -1
  #versions = 0

  /** `moved` is told of every change of a key's lease at head, of those too that are taken back. */
  constructor(moved: LeaseMoved = () => {}) {
    this.#moved = moved
  }

  /**
   * Takes over everything that `other` holds, which must not be used any more: whoever refers to this store sees the
   * other one's contents from here on. Nobody is told of leases that move on the way.
   */
  become(other: MvccStore): void {
    this.#index = other.#index
    this.#values = other.#values
    this.#pending = other.#pending
    this.#garbage = other.#garbage
    this.#garbageRevisions = other.#garbageRevisions
    this.#atFloor = other.#atFloor
    this.#flips = other.#flips
    this.#applied = other.#applied
    this.#sub = other.#sub
    this.#committed = other.#committed
    this.#compactRevision = other.#compactRevision
    this.#headCompactRevision = other.#headCompactRevision
    this.#versions = other.#versions
  }

  /** After the last applied record; an empty store is at 1 (rule H1). */
  get headRevision(): number {
    return Math.max(1, this.#applied)
  }

  get committedRevision(): number {
    return Math.max(1, this.#committed)
  }

  /** Compaction revision; 0 when never compacted. */
  get floor(): number {
    return Math.max(0, this.#compactRevision)
  }

  /** As etcd reports it: −1 when never compacted. */
  get compactRevision(): number {
    return this.#compactRevision
  }

  /** The floor after the last compaction in the log, committed or not. */
  get headCompactRevision(): number {
    return this.#headCompactRevision
  }

  get stats(): MvccStats {
    return {
      keys: this.#index.size,
      liveKeys: this.#index.live,
      versions: this.#versions,
      valueBytes: this.#values.liveBytes,
      heldBytes: this.#values.heldBytes
    }
  }

  /** Applies the next record at head. Operations and `_netsy` change nothing here; their revision is checked. */
  apply(record: LogRecord): void {
    if (record.op !== undefined || isInternal(record)) {
      assert(
        record.revision === this.headRevision || (this.#applied === 0 && record.revision <= 1),
        `operation ${record.index} is at revision ${record.revision}, the store at ${this.headRevision}`
      )
      if (this.#applied === 0) this.#applied = record.revision
      return
    }
    this.#expect(record)
    this.#pending.push(this.#add(record))
  }

  /** Everything up to `revision` may be shown. Values it superseded go cold. */
  commit(revision: number): void {
    assert(revision <= this.headRevision, `commit of revision ${revision}, the store is at ${this.headRevision}`)
    if (revision <= this.#committed) return
    const pending = this.#pending
    while (pending.length > 0 && pending.at(0).modRevision <= revision) this.#settle(pending.shift())
    if (this.#applied !== 0) this.#committed = revision
    if (revision === this.#applied) this.#sub = finished
  }

  /** A deposed Primary drops everything above `revision`, scheduled compactions included. */
  rollbackTo(revision: number): void {
    this.undoTo(revision)
    this.#headCompactRevision = this.#compactRevision
  }

  /** Takes back what was applied above `revision`, which is not below the committed one. */
  undoTo(revision: number): void {
    assert(revision >= this.#committed, `rollback to revision ${revision}, committed is ${this.#committed}`)
    const pending = this.#pending
    while (pending.length > 0 && pending.at(pending.length - 1).modRevision > revision) {
      const { chain, modRevision, sub } = pending.pop()
      const newest = chain.newest
      assert(newest?.modRevision === modRevision && newest.sub === sub, "the key's newest version is rolled back first")
      chain.pop()
      const lease = chain.newest?.lease ?? 0n
      if (newest.lease !== lease) this.#moved(chain.key, newest.lease, lease)
      this.#values.release(newest.value)
      this.#versions--
      if (chain.newest === undefined) this.#index.remove(chain)
    }
    if (revision < this.#applied) {
      this.#applied = pending.length > 0 ? pending.at(pending.length - 1).modRevision : this.#committed
      this.#sub = finished
    }
  }

  /** A compaction is in the log but not committed: what is evaluated at head from now on knows. */
  scheduleCompact(revision: number): void {
    assert(revision > this.#headCompactRevision, `compaction to ${revision} after ${this.#headCompactRevision}`)
    assert(revision <= this.headRevision, `compaction to ${revision}, the store is at ${this.headRevision}`)
    this.#headCompactRevision = revision
  }

  /** Moves the floor and drops at once what no reader can see any more (rule C2). */
  compact(revision: number): void {
    this.moveFloor(revision)
    this.sweep(Number.MAX_SAFE_INTEGER)
  }

  /** Moves the floor; `sweep` then frees memory in steps. Readers see the new floor at once. */
  moveFloor(revision: number): void {
    assert(revision > this.#compactRevision, `the floor moves from ${this.#compactRevision} to ${revision}`)
    assert(revision <= this.committedRevision, `floor ${revision}, committed is ${this.committedRevision}`)
    for (const chain of this.#atFloor) {
      this.#garbage.unshift(chain)
      this.#garbageRevisions.unshift(this.#compactRevision)
    }
    this.#atFloor.length = 0
    this.#compactRevision = revision
    this.#headCompactRevision = Math.max(revision, this.#headCompactRevision)
  }

  /** Visits at most `maxChains` chains with something to drop; true when nothing below the floor is left. */
  sweep(maxChains: number): boolean {
    const floor = this.#compactRevision
    for (let i = 0; this.#garbage.length > 0 && this.#garbageRevisions.at(0) <= floor; i++) {
      if (i >= maxChains) return false
      const chain = this.#garbage.shift()
      this.#garbageRevisions.shift()
      if (this.#index.get(chain.key) !== chain) continue
      this.#versions -= chain.trim(floor)
      if (chain.newest === undefined) this.#index.remove(chain)
      else if ((chain.older?.[0] ?? chain.newest).deleted) this.#atFloor.push(chain)
    }
    this.#flips.forget(floor)
    return true
  }

  /**
   * Bulk load at start: committed key changes in (revision, sub) order, any number of slices. Revisions need not be
   * dense; of what lies at or below the floor only what rule C2 keeps is needed, more does no harm.
   */
  load(records: Iterable<LogRecord>): void {
    assert(this.#pending.length === 0, "a load comes before the first applied record")
    for (const record of records) {
      if (record.op !== undefined) continue
      assert(
        record.revision > this.#applied || (record.revision === this.#applied && record.sub > this.#sub),
        `loaded record (${record.revision}, ${record.sub}) follows (${this.#applied}, ${this.#sub})`
      )
      this.#applied = record.revision
      this.#sub = record.sub
      if (!isInternal(record)) this.#settle(this.#add(record))
    }
  }

  /** Ends the load: where the store stands, and its compaction revision (−1: never compacted, see rule C1). */
  loaded(revision: number, floor: number): void {
    assert(revision >= this.#applied, `the load ends at revision ${revision}, its records at ${this.#applied}`)
    this.#applied = revision
    this.#sub = finished
    this.#committed = revision
    if (floor >= 0) this.compact(floor)
  }

  /** The key's newest version at head, a tombstone included. */
  newest(key: string): Version | undefined {
    return this.#index.get(key)?.newest
  }

  /** The version that counts at `revision`, a tombstone included. Right for revisions at or above the floor. */
  versionAt(key: string, revision: number): Version | undefined {
    return this.#index.get(key)?.at(revision)
  }

  /** What a reader of the key at `revision` sees. */
  liveAt(key: string, revision: number): Version | undefined {
    return this.#index.get(key)?.liveAt(revision)
  }

  /** Rules R3 to R8 and R10. `view` is the revision that counts as current: committed for reads, head inside Txns. */
  range(request: RangeRequest, view: number): RangeOutcome | EtcdError {
    return range(this, request, view)
  }

  /** The same, to be taken in slices, pinned at its revision. */
  rangeCursor(request: RangeRequest, view: number): RangeCursor | EtcdError {
    return RangeCursor.open(this, request, view)
  }

  /** At most `max` versions that a reader of the interval at `revision` sees, in key order. */
  scan(span: Interval, revision: number, max: number): Array<Version> {
    return this.#index.scan(span, revision, max)
  }

  /** How many keys a reader of the interval at `revision` sees. */
  count(span: Interval, revision: number): number {
    if (span.single) return this.liveAt(span.start, revision) === undefined ? 0 : 1
    const committed = this.#index.countLive(span)
    if (revision === this.committedRevision) return committed
    if (revision > this.committedRevision) return committed + this.#pendingDelta(span, revision)
    return this.#flips.countAt(span, revision, committed) ?? this.#index.countAt(span, revision)
  }

  /** How many keys the whole store shows at `revision`. */
  countAll(revision: number): number {
    return this.count(everything, revision)
  }

  /** Keys that uncommitted writes up to `revision` add to the interval, minus those that they take away. */
  #pendingDelta(span: Interval, revision: number): number {
    let delta = 0
    const touched = new Set<Chain>()
    for (let i = 0; i < this.#pending.length; i++) {
      const { chain, modRevision } = this.#pending.at(i)
      if (modRevision > revision) break
      if (!contains(span, chain.key) || touched.has(chain)) continue
      touched.add(chain)
      delta += (chain.liveAt(revision) === undefined ? 0 : 1) - (chain.live ? 1 : 0)
    }
    return delta
  }

  #expect(record: LogRecord): void {
    const { revision, sub } = record
    const follows = revision === this.#applied ? sub === this.#sub + 1 : sub === 0 && revision === this.headRevision + 1
    assert(
      follows || (this.#applied === 0 && revision === 1 && sub === 0),
      `record (${revision}, ${sub}) at index ${record.index} follows (${this.headRevision}, ${this.#sub})`
    )
    this.#applied = revision
    this.#sub = sub
  }

  #add(record: LogRecord): StoredVersion {
    const chain = this.#index.obtain(keyString(record.key))
    const value = record.deleted ? emptyBytes : this.#values.keep(record.value, chain)
    const version = storedVersion(chain, record, value)
    const before = chain.push(version)?.lease ?? 0n
    if (before !== version.lease) this.#moved(chain.key, before, version.lease)
    this.#versions++
    return version
  }

  /** The version is committed. */
  #settle(version: StoredVersion): void {
    const chain = version.chain
    const older = chain.older
    if (older !== undefined || version.deleted) {
      this.#garbage.push(chain)
      this.#garbageRevisions.push(version.modRevision)
    }
    if (older !== undefined) this.#cool(chain, older, version)
    const live = !version.deleted
    if (chain.live === live) return
    this.#index.setLive(chain, live)
    this.#flips.add(version.modRevision, chain.key, live)
  }

  /** The value of the version before `version` goes cold. */
  #cool(chain: Chain, older: Array<StoredVersion>, version: StoredVersion): void {
    const place = chain.indexOf(version)
    const at = (place < 0 ? older.length : place) - 1
    const superseded = older[at]
    if (superseded === undefined || superseded.deleted || superseded.value === undefined) return
    older[at] = superseded.withValue(undefined)
    this.#values.release(superseded.value)
  }
}
