/** The newest revision of which the bucket is known to have everything: indexes are stored, revisions are asked for. */
import { Deque } from "../mvcc/deque.ts"

/** Batches that wait for the bucket; beyond it the oldest are told together. */
const batchesMax = 16_384

interface Batch {
  readonly index: number
  readonly revision: number
}

export class StoredRevision {
  readonly #waiting = new Deque<Batch>()
  #storedIndex = 0
  #revision = 0

  get revision(): number {
    return this.#revision
  }

  get index(): number {
    return this.#storedIndex
  }

  /** A batch that ends here is committed. */
  committed(index: number, revision: number): void {
    if (index <= this.#storedIndex) {
      this.#revision = Math.max(this.#revision, revision)
      return
    }
    this.#waiting.push({ index, revision })
    if (this.#waiting.length > batchesMax) this.#waiting.shift()
  }

  stored(index: number): void {
    this.#storedIndex = Math.max(index, this.#storedIndex)
    while (this.#waiting.length > 0 && this.#waiting.at(0).index <= this.#storedIndex) {
      this.#revision = Math.max(this.#revision, this.#waiting.shift().revision)
    }
  }
}
