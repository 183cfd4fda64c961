/**
 * Who waits for which index to be committed, first in first out, with deadlines. Indexes are asked for in ascending
 * order, so the queue is sorted by itself.
 */
import { assert } from "../assert.ts"
import type { EtcdError } from "../wire/errors.ts"

export interface Waiting {
  readonly done: () => void
  readonly failed: (error: EtcdError) => void
}

interface Slot {
  readonly index: number
  readonly deadlineMillis: number
  /** Undefined once told. */
  waiter: Waiting | undefined
}

export class WaiterQueue {
  #slots: Array<Slot> = []
  #head = 0
  #live = 0

  get size(): number {
    return this.#live
  }

  push(index: number, deadlineMillis: number, waiter: Waiting): void {
    const last = this.#slots[this.#slots.length - 1]
    assert(this.#head === this.#slots.length || last!.index <= index, "waiters must ask in ascending order")
    this.#slots.push({ index, deadlineMillis, waiter })
    this.#live++
  }

  /** Tells everybody who waits for `index` or less, in order; how many that were. */
  complete(index: number): number {
    const before = this.#live
    while (this.#head < this.#slots.length && this.#slots[this.#head]!.index <= index) {
      const slot = this.#slots[this.#head++]!
      this.tell(slot, undefined)
    }
    this.shrink()
    return before - this.#live
  }

  /** Fails whoever has waited too long. Deadlines ascend nearly, so the scan stops at the first one that has time. */
  expire(nowMillis: number, error: EtcdError): number {
    let expired = 0
    for (let i = this.#head; i < this.#slots.length; i++) {
      const slot = this.#slots[i]!
      if (slot.deadlineMillis > nowMillis) break
      if (slot.waiter === undefined) continue
      this.tell(slot, error)
      expired++
    }
    // While nothing is committed for long the told ones must not pile up.
    while (this.#head < this.#slots.length && this.#slots[this.#head]!.waiter === undefined) this.#head++
    this.shrink()
    return expired
  }

  /** Everybody who waits, in order; nobody does any more. */
  takeAll(): ReadonlyArray<Waiting> {
    const waiting: Array<Waiting> = []
    for (let i = this.#head; i < this.#slots.length; i++) {
      const { waiter } = this.#slots[i]!
      if (waiter !== undefined) waiting.push(waiter)
    }
    this.#slots = []
    this.#head = 0
    this.#live = 0
    return waiting
  }

  failAll(error: EtcdError): void {
    for (let i = this.#head; i < this.#slots.length; i++) this.tell(this.#slots[i]!, error)
    this.#slots = []
    this.#head = 0
  }

  private tell(slot: Slot, error: EtcdError | undefined): void {
    const waiter = slot.waiter
    if (waiter === undefined) return
    slot.waiter = undefined
    this.#live--
    if (error === undefined) waiter.done()
    else waiter.failed(error)
  }

  private shrink(): void {
    if (this.#head === this.#slots.length) {
      this.#slots = []
      this.#head = 0
    } else if (this.#head > 4096) {
      this.#slots = this.#slots.slice(this.#head)
      this.#head = 0
    }
  }
}
