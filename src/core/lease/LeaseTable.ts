/**
 * The leases and the keys attached to them, as the log says (rules L2, L3): no clock. Fed with lease operations and,
 * through `moved`, with every change of a key's lease in the MVCC store, also with those that are taken back.
 */
export interface Lease {
  readonly id: bigint
  /** The granted time. */
  readonly ttlSeconds: number
  /** As last checkpointed; 0: the full time. */
  readonly remainingTtlSeconds: number
}

interface Held {
  lease: Lease
  /** Keys as latin1 strings; made with the first one. */
  keys: Set<string> | undefined
}

const noKeys: ReadonlyArray<string> = []

export class LeaseTable {
  #held = new Map<bigint, Held>()

  /** Takes over everything that `other` holds, which must not be used any more. */
  become(other: LeaseTable): void {
    this.#held = other.#held
  }

  /**
   * Only these leases remain, as they are stated here; those that stay keep their keys. What a roll-back of the keys then
   * gives back finds its lease again.
   */
  reset(leases: Iterable<Lease>): void {
    const before = this.#held
    this.#held = new Map()
    for (const lease of leases) this.#held.set(lease.id, { lease, keys: before.get(lease.id)?.keys })
  }

  get size(): number {
    return this.#held.size
  }

  has(id: bigint): boolean {
    return this.#held.has(id)
  }

  get(id: bigint): Lease | undefined {
    return this.#held.get(id)?.lease
  }

  /** Keeps the keys of a lease that is there already (a snapshot states it again). */
  put(lease: Lease): void {
    const held = this.#held.get(lease.id)
    if (held === undefined) this.#held.set(lease.id, { lease, keys: undefined })
    else held.lease = lease
  }

  delete(id: bigint): void {
    this.#held.delete(id)
  }

  /** A key's lease changes, 0n being none. Leases that do not exist (any more) have no keys. */
  moved(key: string, from: bigint, to: bigint): void {
    if (from === to) return
    if (from !== 0n) this.#held.get(from)?.keys?.delete(key)
    if (to === 0n) return
    const held = this.#held.get(to)
    if (held === undefined) return
    held.keys ??= new Set()
    held.keys.add(key)
  }

  /** In byte order. */
  keys(id: bigint): ReadonlyArray<string> {
    const keys = this.#held.get(id)?.keys
    return keys === undefined || keys.size === 0 ? noKeys : [...keys].sort(byCodeUnit)
  }

  /** In no order, without a copy: not to be kept. */
  attached(id: bigint): Iterable<string> {
    return this.#held.get(id)?.keys ?? noKeys
  }

  keyCount(id: bigint): number {
    return this.#held.get(id)?.keys?.size ?? 0
  }

  *all(): IterableIterator<Lease> {
    for (const held of this.#held.values()) yield held.lease
  }
}

/** Latin1 strings: code units are bytes. */
const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
