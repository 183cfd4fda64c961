/**
 * Every key's chain of versions, by key and in key order. Counts of the committed view cost two descents of the tree;
 * other views are counted by walking.
 */
import { assert } from "../assert.ts"
import type { Interval } from "./keys.ts"
import { CountedTree, type Leaf, lowerBound } from "./tree.ts"
import { Chain, type Version } from "./version.ts"

export class KeyIndex {
  readonly #chains = new Map<string, Chain>()
  readonly #tree = new CountedTree<Chain>()

  get size(): number {
    return this.#tree.size
  }

  /** Keys that the committed view shows. */
  get live(): number {
    return this.#tree.live
  }

  get(key: string): Chain | undefined {
    return this.#chains.get(key)
  }

  /** The key's chain, which is made when there is none. */
  obtain(key: string): Chain {
    let chain = this.#chains.get(key)
    if (chain === undefined) {
      chain = new Chain(key)
      this.#chains.set(key, chain)
      this.#tree.insert(key, chain)
    }
    return chain
  }

  remove(chain: Chain): void {
    assert(!chain.live, "a key that readers see is not removed")
    this.#chains.delete(chain.key)
    this.#tree.delete(chain.key)
  }

  /** The committed view begins or ceases to show the key. */
  setLive(chain: Chain, live: boolean): void {
    assert(chain.live !== live, "a key begins and ceases to be live in turn")
    chain.live = live
    this.#tree.adjust(chain.key, live ? 1 : -1)
  }

  /** At most `max` versions that a reader of the interval at `revision` sees, in key order. */
  scan(span: Interval, revision: number, max: number): Array<Version> {
    const found: Array<Version> = []
    if (span.single) {
      const version = max > 0 ? this.get(span.start)?.liveAt(revision) : undefined
      if (version !== undefined) found.push(version)
      return found
    }
    const end = span.end
    let leaf: Leaf<Chain> | undefined = this.#tree.seek(span.start)
    let at = lowerBound(leaf.keys, span.start)
    for (; leaf !== undefined; leaf = leaf.next, at = 0) {
      const keys = leaf.keys
      const bounded = end !== undefined && keys.length > 0 && keys[keys.length - 1]! >= end
      for (; at < keys.length; at++) {
        if (found.length >= max) return found
        if (bounded && keys[at]! >= end) return found
        const version = leaf.values[at]!.liveAt(revision)
        if (version !== undefined) found.push(version)
      }
    }
    return found
  }

  /** How many keys of the interval the committed view shows. */
  countLive(span: Interval): number {
    if (span.end !== undefined && span.end <= span.start) return 0
    const above = span.end === undefined ? this.#tree.live : this.#tree.liveBelow(span.end)
    return above - this.#tree.liveBelow(span.start)
  }

  /** How many keys of the interval a reader at `revision` sees. */
  countAt(span: Interval, revision: number): number {
    const end = span.end
    let count = 0
    let leaf: Leaf<Chain> | undefined = this.#tree.seek(span.start)
    let at = lowerBound(leaf.keys, span.start)
    for (; leaf !== undefined; leaf = leaf.next, at = 0) {
      for (; at < leaf.keys.length; at++) {
        if (end !== undefined && leaf.keys[at]! >= end) return count
        if (leaf.values[at]!.liveAt(revision) !== undefined) count++
      }
    }
    return count
  }
}
