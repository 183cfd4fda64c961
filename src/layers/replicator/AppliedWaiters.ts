/** Who waits until this node has applied an index, in any order, with deadlines. */
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { Waiter } from "../../services/Replicator.ts"

const waitersMax = 100_000

interface Slot {
  readonly index: number
  readonly deadlineMillis: number
  readonly waiter: Waiter
}

export class AppliedWaiters {
  #slots: Array<Slot> = []
  /** The lowest index that anybody waits for. */
  #lowest = Number.POSITIVE_INFINITY
  #soonest = Number.POSITIVE_INFINITY

  push(index: number, deadlineMillis: number, waiter: Waiter): void {
    if (this.#slots.length >= waitersMax) return waiter.failed(errors.tooManyRequests)
    this.#slots.push({ index, deadlineMillis, waiter })
    if (deadlineMillis < this.#soonest) this.#soonest = deadlineMillis
    if (index < this.#lowest) this.#lowest = index
  }

  applied(index: number): void {
    if (index < this.#lowest) return
    const slots = this.#slots
    this.#slots = []
    this.#lowest = this.#soonest = Number.POSITIVE_INFINITY
    for (const slot of slots) {
      if (slot.index <= index) slot.waiter.done()
      else this.#keep(slot)
    }
  }

  expire(nowMillis: number): void {
    if (this.#soonest > nowMillis) return
    const slots = this.#slots
    this.#slots = []
    this.#lowest = this.#soonest = Number.POSITIVE_INFINITY
    for (const slot of slots) {
      if (slot.deadlineMillis <= nowMillis) slot.waiter.failed(errors.requestTimedOut)
      else this.#keep(slot)
    }
  }

  failAll(error: EtcdError): void {
    const slots = this.#slots
    this.#slots = []
    this.#lowest = this.#soonest = Number.POSITIVE_INFINITY
    for (const slot of slots) slot.waiter.failed(error)
  }

  #keep(slot: Slot): void {
    this.#slots.push(slot)
    if (slot.index < this.#lowest) this.#lowest = slot.index
    if (slot.deadlineMillis < this.#soonest) this.#soonest = slot.deadlineMillis
  }
}
