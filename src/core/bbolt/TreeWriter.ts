/**
 * A B+tree from sorted keys, from the leaves upwards: in memory are one leaf and one node of branches a level. No branch
 * has fewer than two children, which bbolt relies on when it deletes.
 */
import { assert } from "../assert.ts"
import { compareBytes } from "../mvcc/keys.ts"
import { elementBytes, keyBytesMax, PageFlag, pageBytes, pageHeaderBytes, setUint64 } from "./format.ts"
import type { PageOutput } from "./PageOutput.ts"

interface Child {
  readonly key: Uint8Array
  readonly page: number
}

interface Element {
  readonly flags: number
  readonly keyBytes: number
  readonly valueBytes: number
}

const keptBytes = 4 * pageBytes

export class TreeWriter {
  readonly #pages: PageOutput
  /** Keys and values of the leaf's elements, one after the other. */
  #data = new Uint8Array(keptBytes)
  #dataBytes = 0
  #elements: Array<Element> = []
  #lastKey: Uint8Array | undefined
  readonly #levels: Array<Level> = []

  constructor(pages: PageOutput) {
    this.#pages = pages
  }

  /** Keys ascend. The bytes are copied. */
  put(key: Uint8Array, value: Uint8Array, flags = 0): void {
    assert(key.length > 0 && key.length <= keyBytesMax, `a key of ${key.length} bytes in an etcd database`)
    assert(this.#lastKey === undefined || compareBytes(this.#lastKey, key) < 0, "keys of an etcd database ascend")
    const more = elementBytes + key.length + value.length
    if (this.#elements.length > 0 && this.#leafBytes() + more > pageBytes) this.#endLeaf()
    const at = this.#dataBytes
    this.#reserve(key.length + value.length)
    this.#data.set(key, at)
    this.#data.set(value, at + key.length)
    this.#dataBytes += key.length + value.length
    this.#elements.push({ flags, keyBytes: key.length, valueBytes: value.length })
    this.#lastKey = key.slice()
  }

  /** The number of the root page. */
  finish(): number {
    // An empty tree is an empty leaf.
    if (this.#elements.length > 0 || this.#levels.length === 0) this.#endLeaf()
    for (let level = 0; ; level++) {
      const children = this.#levels[level]!
      if (children.isOnly()) return children.first().page
      this.#add(level + 1, children.end(this.#pages))
    }
  }

  #leafBytes(): number {
    return pageHeaderBytes + this.#elements.length * elementBytes + this.#dataBytes
  }

  #endLeaf(): void {
    const elements = this.#elements
    const { at, id } = this.#pages.begin(PageFlag.leaf, elements.length, this.#leafBytes())
    const { bytes, view } = this.#pages
    let element = at + pageHeaderBytes
    let data = element + elements.length * elementBytes
    bytes.set(this.#data.subarray(0, this.#dataBytes), data)
    for (const { flags, keyBytes, valueBytes } of elements) {
      view.setUint32(element, flags, true)
      view.setUint32(element + 4, data - element, true)
      view.setUint32(element + 8, keyBytes, true)
      view.setUint32(element + 12, valueBytes, true)
      element += elementBytes
      data += keyBytes + valueBytes
    }
    const key = this.#data.slice(0, elements[0]?.keyBytes ?? 0)
    this.#elements = []
    this.#dataBytes = 0
    if (this.#data.length > keptBytes) this.#data = new Uint8Array(keptBytes)
    this.#add(0, { key, page: id })
  }

  #add(level: number, child: Child): void {
    const children = (this.#levels[level] ??= new Level())
    const full = children.add(child, this.#pages)
    if (full !== undefined) this.#add(level + 1, full)
  }

  #reserve(more: number): void {
    const needed = this.#dataBytes + more
    if (needed <= this.#data.length) return
    const grown = new Uint8Array(Math.max(this.#data.length * 2, needed))
    grown.set(this.#data.subarray(0, this.#dataBytes))
    this.#data = grown
  }
}

/** The children of which the next branch page is made, on one level of the tree. */
class Level {
  #children: Array<Child> = []
  #keyBytes = 0
  #pagesMade = 0

  /** Whether this level has one node, so that it needs no branch above it. */
  isOnly(): boolean {
    return this.#pagesMade === 0 && this.#children.length === 1
  }

  first(): Child {
    return this.#children[0]!
  }

  /** Returns the branch page that is made when there is no room for one more. The last child stays for the next one. */
  add(child: Child, pages: PageOutput): Child | undefined {
    const size = pageHeaderBytes + (this.#children.length + 1) * elementBytes + this.#keyBytes + child.key.length
    let made: Child | undefined
    if (size > pageBytes && this.#children.length > 2) {
      const last = this.#children.pop()!
      this.#keyBytes -= last.key.length
      made = this.end(pages)
      this.#push(last)
    }
    this.#push(child)
    return made
  }

  /** Makes a branch page of all children. */
  end(pages: PageOutput): Child {
    const children = this.#children
    assert(children.length >= 2, "a branch has two children or more")
    const { at, id } = pages.begin(
      PageFlag.branch,
      children.length,
      pageHeaderBytes + children.length * elementBytes + this.#keyBytes
    )
    const { bytes, view } = pages
    let element = at + pageHeaderBytes
    let data = element + children.length * elementBytes
    for (const { key, page } of children) {
      bytes.set(key, data)
      view.setUint32(element, data - element, true)
      view.setUint32(element + 4, key.length, true)
      setUint64(view, element + 8, page)
      element += elementBytes
      data += key.length
    }
    const key = children[0]!.key
    this.#children = []
    this.#keyBytes = 0
    this.#pagesMade++
    return { key, page: id }
  }

  #push(child: Child): void {
    this.#children.push(child)
    this.#keyBytes += child.key.length
  }
}
