/**
 * What each revision changed, as one number a revision: enough to say whether two places tell the same history, and
 * where they first differ. The same change gives the same number whether it comes from a record or from a watch.
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

export class Revisions {
  readonly #digests = new Map<number, number>()
  #first = 0
  #last = 0

  /** In ascending order of revisions; one revision may change several keys, in any order. */
  add(revision: number, change: KeyChange): void {
    if (this.#first === 0) this.#first = revision
    this.#last = Math.max(this.#last, revision)
    this.#digests.set(revision, ((this.#digests.get(revision) ?? 0) + changeDigest(change)) % 2 ** 32)
  }

  get size(): number {
    return this.#digests.size
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
    for (let revision = from; revision <= to; revision++) if (!this.#digests.has(revision)) return revision
    return undefined
  }

  /** The first revision in [from, to] that both have or should have and that differs. */
  difference(other: Revisions, from: number, to: number): number | undefined {
    for (let revision = from; revision <= to; revision++)
      if (this.#digests.get(revision) !== other.#digests.get(revision)) return revision
    return undefined
  }
}
