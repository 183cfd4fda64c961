/** Since when committed entries have waited for the bucket: sampled, so that it stays small. */
import { Deque } from "../../core/mvcc/deque.ts"

const sampleMillis = 100

export class Buffered {
  readonly #samples = new Deque<{ index: number; readonly at: number }>()

  committed(index: number, nowMillis: number): void {
    const { length } = this.#samples
    const last = length > 0 ? this.#samples.at(length - 1) : undefined
    if (last !== undefined && nowMillis - last.at < sampleMillis) last.index = index
    else this.#samples.push({ index, at: nowMillis })
  }

  stored(index: number): void {
    while (this.#samples.length > 0 && this.#samples.at(0).index <= index) this.#samples.shift()
  }

  /** When the oldest one was committed; undefined: none waits. */
  oldestMillis(): number | undefined {
    return this.#samples.length === 0 ? undefined : this.#samples.at(0).at
  }
}
