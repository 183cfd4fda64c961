/**
 * When the committed leases run out. Leases lie in buckets of half a second and are looked at when the bucket's time has
 * come; a renewal only writes a number, and the lease finds its new bucket when it is looked at. Times are
 * milliseconds of one monotonic clock, chosen by the caller.
 */
import { assert } from "../assert.ts"

/** Also how often somebody should look. */
export const bucketMillis = 500

/** One lease's time. */
export interface Timed {
  readonly id: bigint
  readonly ttlSeconds: number
  /** Run out from here on. Only `Deadlines` changes it. */
  readonly deadlineMillis: number
}

class Lease implements Timed {
  readonly id: bigint
  readonly ttlSeconds: number
  deadlineMillis: number
  bucket = 0
  /** The set that holds it; undefined: somebody has taken it to revoke it. */
  place: Set<Lease> | undefined = undefined

  constructor(id: bigint, ttlSeconds: number, deadlineMillis: number) {
    this.id = id
    this.ttlSeconds = ttlSeconds
    this.deadlineMillis = deadlineMillis
  }
}

export class Deadlines {
  readonly #leases = new Map<bigint, Lease>()
  readonly #buckets = new Map<number, Set<Lease>>()
  /** Run out and waiting to be taken, first come first served. */
  readonly #due = new Set<Lease>()
  /** Every bucket below has been emptied. */
  #bucket: number

  constructor(nowMillis: number) {
    this.#bucket = Math.floor(nowMillis / bucketMillis)
  }

  get size(): number {
    return this.#leases.size
  }

  get(id: bigint): Timed | undefined {
    return this.#leases.get(id)
  }

  add(id: bigint, ttlSeconds: number, deadlineMillis: number): void {
    assert(!this.#leases.has(id), `lease ${id} has a deadline already`)
    const lease = new Lease(id, ttlSeconds, deadlineMillis)
    this.#leases.set(id, lease)
    this.#enter(lease, deadlineMillis)
  }

  remove(id: bigint): void {
    const lease = this.#leases.get(id)
    if (lease === undefined) return
    this.#leases.delete(id)
    this.#leave(lease)
  }

  /** The full time again from now on. Deadlines never move back: nobody would look in time. */
  renew(timed: Timed, nowMillis: number): void {
    const lease = timed as Lease
    assert(lease.deadlineMillis > nowMillis, `lease ${lease.id} has run out: nothing renews it`)
    lease.deadlineMillis = nowMillis + lease.ttlSeconds * 1000
  }

  /** Finds what has run out, visiting at most `maxVisits` leases; true when nothing is left to visit. */
  look(nowMillis: number, maxVisits: number): boolean {
    let visits = 0
    for (const last = Math.floor(nowMillis / bucketMillis); this.#bucket <= last; this.#bucket++) {
      const bucket = this.#buckets.get(this.#bucket)
      if (bucket === undefined) continue
      for (const lease of bucket) {
        if (visits++ >= maxVisits) return false
        bucket.delete(lease)
        // A time that has not come lies in a later bucket than this one.
        if (lease.deadlineMillis > nowMillis) this.#enter(lease, lease.deadlineMillis)
        else this.#rest(lease)
      }
      this.#buckets.delete(this.#bucket)
    }
    return true
  }

  /** At most `max` leases that `look` found; each must then be removed or put back. */
  take(max: number): ReadonlyArray<Timed> {
    const taken: Array<Lease> = []
    for (const lease of this.#due) {
      if (taken.length >= max) break
      this.#due.delete(lease)
      lease.place = undefined
      taken.push(lease)
    }
    return taken
  }

  /** A lease that was taken is found again at that time. */
  putBack(timed: Timed, atMillis: number): void {
    const lease = timed as Lease
    assert(lease.place === undefined, `lease ${lease.id} was not taken`)
    if (this.#leases.get(lease.id) === lease) this.#enter(lease, atMillis)
  }

  /** Everybody gets so much more time, at most the full time from now on; but for those that were taken. */
  extend(millis: number, nowMillis: number): void {
    for (const lease of this.#leases.values()) {
      if (lease.place === undefined) continue
      lease.deadlineMillis = Math.min(lease.deadlineMillis + millis, nowMillis + lease.ttlSeconds * 1000)
      if (lease.place !== this.#due) continue
      this.#due.delete(lease)
      this.#enter(lease, lease.deadlineMillis)
    }
  }

  /** Ids, the next to run out first. */
  byExpiry(): ReadonlyArray<bigint> {
    return [...this.#leases.values()].sort((a, b) => a.deadlineMillis - b.deadlineMillis).map(({ id }) => id)
  }

  /** Never looked at before `atMillis`. */
  #enter(lease: Lease, atMillis: number): void {
    const number = Math.max(Math.ceil(atMillis / bucketMillis), this.#bucket)
    let bucket = this.#buckets.get(number)
    if (bucket === undefined) this.#buckets.set(number, (bucket = new Set()))
    bucket.add(lease)
    lease.bucket = number
    lease.place = bucket
  }

  #rest(lease: Lease): void {
    this.#due.add(lease)
    lease.place = this.#due
  }

  #leave(lease: Lease): void {
    const { place } = lease
    if (place === undefined) return
    place.delete(lease)
    lease.place = undefined
    if (place.size === 0 && place !== this.#due) this.#buckets.delete(lease.bucket)
  }
}
