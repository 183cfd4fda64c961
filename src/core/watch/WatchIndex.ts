/** Which live watches a changed key concerns: single keys in a map, ranges in an interval tree. */
import { assert } from "../assert.ts"
import { IntervalTree } from "./IntervalTree.ts"
import type { KeyRange } from "./keys.ts"

export class WatchIndex<W extends KeyRange> {
  readonly #byKey = new Map<string, Set<W>>()
  readonly #ranges = new IntervalTree<W>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(watch: W): void {
    this.#size++
    if (watch.end !== undefined) return this.#ranges.add(watch.begin, watch.end, watch)
    const there = this.#byKey.get(watch.begin)
    if (there === undefined) this.#byKey.set(watch.begin, new Set([watch]))
    else there.add(watch)
  }

  remove(watch: W): void {
    this.#size--
    if (watch.end !== undefined) return this.#ranges.remove(watch.begin, watch.end, watch)
    const there = this.#byKey.get(watch.begin)
    assert(there !== undefined && there.delete(watch), "watch index: removed a watch that is not in it")
    if (there.size === 0) this.#byKey.delete(watch.begin)
  }

  /** Appends the watches that look at `key`. */
  collect(key: string, out: Array<W>): void {
    const exact = this.#byKey.get(key)
    if (exact !== undefined) for (const watch of exact) out.push(watch)
    this.#ranges.collect(key, out)
  }
}
