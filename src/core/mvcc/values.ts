/**
 * Memory for values. Small ones are copied into slabs, so that a value costs neither an allocation of its own nor the
 * buffer it arrived in. A slab that is more than half garbage is emptied into the current one: what is held stays
 * below twice what is alive, plus one slab.
 */
import { emptyBytes } from "../log/record.ts"
import type { Chain } from "./version.ts"

const slabBytes = 65536
/** Larger values get memory of their own. */
const smallBytesMax = 8192

interface Slab {
  readonly bytes: Uint8Array
  used: number
  live: number
  /** Whose values are in here; a chain may be listed more often than it has values here. */
  readonly chains: Array<Chain>
}

const newSlab = (): Slab => ({ bytes: new Uint8Array(slabBytes), used: 0, live: 0, chains: [] })

export class ValueHeap {
  readonly #slabs = new Map<ArrayBufferLike, Slab>()
  #current: Slab | undefined = undefined
  #largeBytes = 0
  #smallBytes = 0

  /** Bytes of the values that are kept. */
  get liveBytes(): number {
    return this.#largeBytes + this.#smallBytes
  }

  /** Bytes allocated for them. */
  get heldBytes(): number {
    return this.#largeBytes + this.#slabs.size * slabBytes
  }

  /** A copy that lives until `release`. `chain` is where the version that gets it will be. */
  keep(value: Uint8Array, chain: Chain): Uint8Array {
    const length = value.length
    if (length === 0) return emptyBytes
    if (length > smallBytesMax) {
      this.#largeBytes += length
      return new Uint8Array(value)
    }
    this.#smallBytes += length
    return this.#copy(value, chain)
  }

  /** The value's version has left its chain, or has been replaced there by one without value. */
  release(value: Uint8Array | undefined): void {
    if (value === undefined || value.length === 0) return
    const slab = this.#slabs.get(value.buffer)
    if (slab === undefined) {
      this.#largeBytes -= value.length
      return
    }
    this.#smallBytes -= value.length
    slab.live -= value.length
    if (slab !== this.#current) this.#tidy(slab)
  }

  #copy(value: Uint8Array, chain: Chain): Uint8Array {
    let slab = this.#current
    if (slab === undefined || slab.used + value.length > slabBytes) {
      const full = slab
      slab = newSlab()
      this.#slabs.set(slab.bytes.buffer, slab)
      this.#current = slab
      if (full !== undefined) this.#tidy(full)
    }
    slab.bytes.set(value, slab.used)
    const copy = new Uint8Array(slab.bytes.buffer, slab.used, value.length)
    slab.used += value.length
    slab.live += value.length
    slab.chains.push(chain)
    return copy
  }

  /** Moves what is left in a slab that is more than half garbage. */
  #tidy(slab: Slab): void {
    if (slab.live * 2 >= slab.used) return
    this.#slabs.delete(slab.bytes.buffer)
    if (slab.live === 0) return
    for (const chain of slab.chains) {
      const newest = chain.newest
      if (newest?.value?.buffer === slab.bytes.buffer) {
        chain.newest = newest.withValue(this.#copy(newest.value, chain))
      }
      const older = chain.older
      if (older === undefined) continue
      for (let i = older.length - 1; i >= 0; i--) {
        const value = older[i]!.value
        // Behind the newest cold version everything is cold.
        if (value === undefined) break
        if (value.buffer === slab.bytes.buffer) older[i] = older[i]!.withValue(this.#copy(value, chain))
      }
    }
  }
}
