/**
 * The sorted index: a B+tree from key to value whose nodes know how many of their values are live, so that counting
 * a range costs two descents. Leaves are linked for scans. A scan must not be under way while the tree changes:
 * resume it with `seek`.
 */
import { assert } from "../assert.ts"

export const maxEntries = 64
const minEntries = 16
assert(minEntries * 2 <= maxEntries, "two underfull nodes fit into one")

/** What the tree counts. When `live` changes, `adjust` must be called with the key. */
export interface Countable {
  readonly live: boolean
}

export class Leaf<V extends Countable> {
  readonly keys: Array<string>
  readonly values: Array<V>
  live = 0
  next: Leaf<V> | undefined = undefined
  constructor(keys: Array<string>, values: Array<V>) {
    this.keys = keys
    this.values = values
    for (const value of values) if (value.live) this.live++
  }
}

class Inner<V extends Countable> {
  /** `keys[i]` is above everything in `children[i]` and not above anything in `children[i + 1]`. */
  readonly keys: Array<string>
  readonly children: Array<Node<V>>
  live = 0
  constructor(keys: Array<string>, children: Array<Node<V>>) {
    this.keys = keys
    this.children = children
    for (const child of children) this.live += child.live
  }
}

type Node<V extends Countable> = Leaf<V> | Inner<V>

/** First index whose key is not below `key`. */
export const lowerBound = (keys: ReadonlyArray<string>, key: string): number => {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}

/** The child that holds `key`: a separator equal to the key leads to its right. */
const childIndex = (keys: ReadonlyArray<string>, key: string): number => {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! <= key) low = middle + 1
    else high = middle
  }
  return low
}

export class CountedTree<V extends Countable> {
  #root: Node<V> = new Leaf<V>([], [])
  #separator = ""
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Number of live values. */
  get live(): number {
    return this.#root.live
  }

  /** The leaf in which a scan from `key` starts (its first keys may be below, or all of them). */
  seek(key: string): Leaf<V> {
    let node = this.#root
    while (node instanceof Inner) node = node.children[childIndex(node.keys, key)]!
    return node
  }

  /** Number of live values whose key is below `key`. */
  liveBelow(key: string): number {
    let count = 0
    let node = this.#root
    while (node instanceof Inner) {
      const at = childIndex(node.keys, key)
      const children = node.children
      if (at * 2 <= children.length) {
        for (let i = 0; i < at; i++) count += children[i]!.live
      } else {
        count += node.live
        for (let i = at; i < children.length; i++) count -= children[i]!.live
      }
      node = children[at]!
    }
    const at = lowerBound(node.keys, key)
    for (let i = 0; i < at; i++) if (node.values[i]!.live) count++
    return count
  }

  /** The value's `live` has changed: +1 when it became live, −1 when it ceased to be. */
  adjust(key: string, delta: 1 | -1): void {
    let node = this.#root
    while (node instanceof Inner) {
      node.live += delta
      node = node.children[childIndex(node.keys, key)]!
    }
    node.live += delta
    assert(node.live >= 0 && node.live <= node.keys.length, "a leaf has no more live values than values")
  }

  /** The key must not be there yet. */
  insert(key: string, value: V): void {
    const right = this.#insert(this.#root, key, value)
    if (right !== undefined) this.#root = new Inner([this.#separator], [this.#root, right])
    this.#size++
  }

  /** The key must be there. */
  delete(key: string): void {
    this.#delete(this.#root, key)
    if (this.#root instanceof Inner && this.#root.children.length === 1) this.#root = this.#root.children[0]!
    this.#size--
  }

  /** Returns the new right sibling when the node was split; `#separator` is then the sibling's lower bound. */
  #insert(node: Node<V>, key: string, value: V): Node<V> | undefined {
    if (value.live) node.live++
    if (node instanceof Leaf) {
      const at = lowerBound(node.keys, key)
      assert(node.keys[at] !== key, "a key is inserted once")
      if (at === node.keys.length) {
        node.keys.push(key)
        node.values.push(value)
      } else {
        node.keys.splice(at, 0, key)
        node.values.splice(at, 0, value)
      }
      // Keys that arrive in ascending order leave full leaves behind instead of half-full ones.
      return node.keys.length <= maxEntries
        ? undefined
        : this.#splitLeaf(node, at === maxEntries ? at - 2 : maxEntries / 2)
    }
    const at = childIndex(node.keys, key)
    const right = this.#insert(node.children[at]!, key, value)
    if (right === undefined) return undefined
    node.keys.splice(at, 0, this.#separator)
    node.children.splice(at + 1, 0, right)
    return node.children.length <= maxEntries ? undefined : this.#splitInner(node)
  }

  #splitLeaf(leaf: Leaf<V>, at: number): Leaf<V> {
    const right = new Leaf<V>(leaf.keys.splice(at), leaf.values.splice(at))
    leaf.live -= right.live
    right.next = leaf.next
    leaf.next = right
    this.#separator = right.keys[0]!
    return right
  }

  #splitInner(inner: Inner<V>): Inner<V> {
    const at = inner.children.length >>> 1
    const right = new Inner<V>(inner.keys.splice(at), inner.children.splice(at))
    inner.live -= right.live
    this.#separator = inner.keys.pop()!
    return right
  }

  /** Returns whether the value was live. */
  #delete(node: Node<V>, key: string): boolean {
    if (node instanceof Leaf) {
      const at = lowerBound(node.keys, key)
      assert(node.keys[at] === key, "only a key that is there is deleted")
      const live = node.values[at]!.live
      node.keys.splice(at, 1)
      node.values.splice(at, 1)
      if (live) node.live--
      return live
    }
    const at = childIndex(node.keys, key)
    const child = node.children[at]!
    const live = this.#delete(child, key)
    if (live) node.live--
    const size = child instanceof Leaf ? child.keys.length : child.children.length
    if (size < minEntries) this.#join(node, at === 0 ? 0 : at - 1)
    return live
  }

  /** Joins children `at` and `at + 1`; the result is split again when it is too large. */
  #join(parent: Inner<V>, at: number): void {
    const left = parent.children[at]!
    const right = parent.children[at + 1]
    if (right === undefined) return
    let rest: Node<V> | undefined
    if (left instanceof Leaf) {
      assert(right instanceof Leaf, "all leaves are at one depth")
      left.keys.push(...right.keys)
      left.values.push(...right.values)
      left.next = right.next
      left.live += right.live
      if (left.keys.length > maxEntries) rest = this.#splitLeaf(left, left.keys.length >>> 1)
    } else {
      assert(right instanceof Inner, "all leaves are at one depth")
      left.keys.push(parent.keys[at]!, ...right.keys)
      left.children.push(...right.children)
      left.live += right.live
      if (left.children.length > maxEntries) rest = this.#splitInner(left)
    }
    if (rest === undefined) {
      parent.keys.splice(at, 1)
      parent.children.splice(at + 1, 1)
    } else {
      parent.keys[at] = this.#separator
      parent.children[at + 1] = rest
    }
  }
}
