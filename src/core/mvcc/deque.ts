/** A queue that is pushed and popped at its end and shifted at its front, all in constant time (ring buffer). */
import { assert } from "../assert.ts"

export class Deque<A> {
  #items: Array<A | undefined> = new Array<A | undefined>(16).fill(undefined)
  #first = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(item: A): void {
    if (this.#length === this.#items.length) this.#resize(this.#length * 2)
    this.#items[(this.#first + this.#length) & (this.#items.length - 1)] = item
    this.#length++
  }

  /** Puts an item before the first. */
  unshift(item: A): void {
    if (this.#length === this.#items.length) this.#resize(this.#length * 2)
    this.#first = (this.#first - 1) & (this.#items.length - 1)
    this.#items[this.#first] = item
    this.#length++
  }

  /** The item `at` places behind the first. */
  at(at: number): A {
    assert(at >= 0 && at < this.#length, "a deque is read within its bounds")
    return this.#items[(this.#first + at) & (this.#items.length - 1)] as A
  }

  shift(): A {
    const item = this.at(0)
    this.#items[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#items.length - 1)
    this.#length--
    if (this.#items.length > 1024 && this.#length * 8 < this.#items.length) this.#resize(this.#items.length / 4)
    return item
  }

  pop(): A {
    const item = this.at(this.#length - 1)
    this.#length--
    this.#items[(this.#first + this.#length) & (this.#items.length - 1)] = undefined
    return item
  }

  clear(): void {
    this.#items = new Array<A | undefined>(16).fill(undefined)
    this.#first = 0
    this.#length = 0
  }

  #resize(capacity: number): void {
    const items = new Array<A | undefined>(capacity).fill(undefined)
    for (let i = 0; i < this.#length; i++) items[i] = this.#items[(this.#first + i) & (this.#items.length - 1)]
    this.#items = items
    this.#first = 0
  }
}
