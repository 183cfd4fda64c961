/**
 * The newest revisions in memory, bounded in bytes, so that watches which are only a little behind do not read the
 * disk. Holds an unbroken run of revisions that ends at the current one.
 */
import { assert } from "../assert.ts"
import type { Change } from "./types.ts"

/** About what an object costs beside its bytes. */
const overheadBytes = 200

const changeBytes = ({ previous, record }: Change): number =>
  overheadBytes +
  record.key.length +
  record.value.length +
  (previous === undefined ? 0 : previous.key.length + previous.value.length)

interface Revision {
  readonly changes: ReadonlyArray<Change>
  readonly bytes: number
}

export class RecentRevisions {
  readonly #limitBytes: number
  /** Slots before `#start` have been given up. */
  #slots: Array<Revision | undefined> = []
  #start = 0
  /** Revision of slot 0. */
  #base = 0
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Lowest revision held; one above the current one when nothing is. */
  get first(): number {
    return this.#base + this.#start
  }

  add(revision: number, changes: ReadonlyArray<Change>): void {
    if (this.#slots.length === 0) this.#base = revision
    assert(revision === this.#base + this.#slots.length, `recent revisions: ${revision} does not follow`)
    let bytes = 0
    for (const change of changes) bytes += changeBytes(change)
    this.#slots.push({ changes, bytes })
    this.#bytes += bytes
    while (this.#bytes > this.#limitBytes) {
      this.#bytes -= this.#slots[this.#start]!.bytes
      this.#slots[this.#start++] = undefined
    }
    // Amortised: the given-up half is cut off when it is the bigger one.
    if (this.#start > 64 && this.#start > this.#slots.length / 2) {
      this.#slots = this.#slots.slice(this.#start)
      this.#base += this.#start
      this.#start = 0
    }
  }

  /** The run is broken: what is added next begins a new one. */
  clear(): void {
    this.#slots = []
    this.#start = 0
    this.#base = 0
    this.#bytes = 0
  }

  /**
   * The changes from `from` on, at most up to `to` and about `maxBytes` (at least one revision), and the revision they
   * reach to; undefined when `from` is no longer held.
   */
  read(
    from: number,
    to: number,
    maxBytes: number
  ): { readonly to: number; readonly changes: ReadonlyArray<Change> } | undefined {
    if (this.#slots.length === 0 || from < this.first) return undefined
    const changes: Array<Change> = []
    let bytes = 0
    for (let revision = from; ; revision++) {
      const slot = this.#slots[revision - this.#base]
      assert(slot !== undefined, `recent revisions: ${revision} is not held`)
      for (const change of slot.changes) changes.push(change)
      bytes += slot.bytes
      if (revision === to || bytes >= maxBytes) return { to: revision, changes }
    }
  }
}
