/**
 * What each revision changed, as one number a revision: enough to say whether two places tell the same history, and
 * where they first differ. The same change gives the same number whether it comes from a record or from a watch. Four
 * bytes a revision.
 */
import { crc32 } from "node:zlib"

export interface KeyChange {
  readonly key: Uint8Array
  readonly deleted: boolean
  readonly value: Uint8Array
  readonly createRevision: number
  readonly version: number
  readonly lease: bigint
}

export const changeDigest = (change: KeyChange): number => {
  const { createRevision, deleted, key, lease, value, version } = change
  const head = deleted ? `d${key.length}` : `p${key.length},${value.length},${createRevision},${version},${lease}`
  const start = crc32(key, crc32(head))
  return deleted ? start : crc32(value, start)
}

const pageSize = 65_536
/** Sums are taken modulo this, so that sum + 1 fits into 32 bits and 0 stands for "nothing". */
const modulus = 2 ** 32 - 1

export class Revisions {
  readonly #pages = new Map<number, Uint32Array>()
  #first = 0
  #last = 0
  #size = 0

  /** In ascending order of revisions; one revision may change several keys, in any order. */
  add(revision: number, change: KeyChange): void {
    if (this.#first === 0) this.#first = revision
    this.#last = Math.max(this.#last, revision)
    const nth = Math.floor(revision / pageSize)
    let page = this.#pages.get(nth)
    if (page === undefined) this.#pages.set(nth, (page = new Uint32Array(pageSize)))
    const at = revision % pageSize
    const before = page[at]!
    if (before === 0) this.#size++
    page[at] = ((Math.max(0, before - 1) + changeDigest(change)) % modulus) + 1
  }

  #at(revision: number): number {
    return this.#pages.get(Math.floor(revision / pageSize))?.[revision % pageSize] ?? 0
  }

  get size(): number {
    return this.#size
  }

  /** 0: none. */
  get first(): number {
    return this.#first
  }

  get last(): number {
    return this.#last
  }

  /** The first revision in [from, to] that changes nothing here; undefined: all are there. */
  hole(from: number, to: number): number | undefined {
    for (let revision = from; revision <= to; revision++) if (this.#at(revision) === 0) return revision
    return undefined
  }

  /** The first revision in [from, to] that both have or should have and that differs. */
  difference(other: Revisions, from: number, to: number): number | undefined {
    for (let revision = from; revision <= to; revision++)
      if (this.#at(revision) !== other.#at(revision)) return revision
    return undefined
  }
}
