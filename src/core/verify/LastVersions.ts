/**
 * Which version of each key is the current one at some revision, without the keys themselves: a key is known by 64 bits
 * of its bytes. About 40 bytes a key.
 */
import { crc32 } from "node:zlib"
import { crc32c } from "../mvcc/crc32c.ts"

const firstSlots = 1024

export interface VersionPlace {
  readonly key: Uint8Array
  readonly revision: number
  readonly sub: number
  readonly deleted: boolean
}

export class LastVersions {
  #marks = new Uint32Array(2 * firstSlots)
  #revisions = new Float64Array(firstSlots)
  /** Twice the sub, plus one for a tombstone. */
  #subs = new Uint32Array(firstSlots)
  #keys = 0
  #live = 0

  /** In ascending order of (revision, sub). */
  note({ deleted, key, revision, sub }: VersionPlace): void {
    const at = this.#find(crc32(key), crc32c(key, 0))
    const isNew = this.#revisions[at] === 0
    const wasLive = !isNew && this.#subs[at]! % 2 === 0
    this.#revisions[at] = revision
    this.#subs[at] = 2 * sub + (deleted ? 1 : 0)
    this.#live += (deleted ? 0 : 1) - (wasLive ? 1 : 0)
    if (isNew && ++this.#keys * 2 > this.#revisions.length) this.#grow()
  }

  /** Is this the version that a reader sees? */
  isCurrent({ deleted, key, revision, sub }: VersionPlace): boolean {
    if (deleted) return false
    const at = this.#find(crc32(key), crc32c(key, 0))
    return this.#revisions[at] === revision && this.#subs[at] === 2 * sub
  }

  /** Keys that a reader sees. */
  get live(): number {
    return this.#live
  }

  /** The key's slot, or the free one for it, marked as its own. */
  #find(high: number, low: number): number {
    const mask = this.#revisions.length - 1
    for (let at = low & mask; ; at = (at + 1) & mask) {
      if (this.#revisions[at] === 0) {
        this.#marks[2 * at] = high
        this.#marks[2 * at + 1] = low
        return at
      }
      if (this.#marks[2 * at] === high && this.#marks[2 * at + 1] === low) return at
    }
  }

  #grow(): void {
    const marks = this.#marks
    const revisions = this.#revisions
    const subs = this.#subs
    const slots = revisions.length * 2
    this.#marks = new Uint32Array(2 * slots)
    this.#revisions = new Float64Array(slots)
    this.#subs = new Uint32Array(slots)
    for (let i = 0; i < revisions.length; i++) {
      if (revisions[i] === 0) continue
      const at = this.#find(marks[2 * i]!, marks[2 * i + 1]!)
      this.#revisions[at] = revisions[i]!
      this.#subs[at] = subs[i]!
    }
  }
}
