/**
 * How long a Primary may decide without another renewal (design 6.2, 6.3): the store lease, the timer of mode quorum, and
 * the hold that an open change puts on both. No clock: monotonic and wall milliseconds are passed in.
 */
import type { Arbiter } from "../election/arbiter.ts"

/** Others wait 1.11 times the lease or the timeout, this side counts so much of it. */
const timeoutShare = 0.8
const quorumRenewMaxMillis = 60_000
const renewMinMillis = 10

/** From before its request was sent, a renewal that landed holds for so long. */
export const holdsMillis = (arbiter: Arbiter): number => {
  if (arbiter.mode === "store") return arbiter.leaseMillis
  return arbiter.timeoutMillis === undefined ? Number.POSITIVE_INFINITY : timeoutShare * arbiter.timeoutMillis
}

/** How long after the sending of the last renewal the next one is due. */
export const renewEveryMillis = (arbiter: Arbiter): number => {
  if (arbiter.mode === "store") return Math.max(renewMinMillis, arbiter.leaseMillis / 3)
  return Math.max(
    renewMinMillis,
    Math.min(quorumRenewMaxMillis, (arbiter.timeoutMillis ?? Number.POSITIVE_INFINITY) / 5)
  )
}

/**
 * Above this drift between wall and monotonic clock the machine was suspended and the hold is over until renewed: a
 * second for a lease (design 6.3), or less for a short one, so that what goes unnoticed stays within the margin of those
 * who wait. The timer's margin is a fifth of the timeout; half of it is left for this.
 */
export const driftMaxMillis = (arbiter: Arbiter): number => {
  if (arbiter.mode === "store") return Math.max(50, Math.min(1_000, arbiter.leaseMillis / 20))
  return arbiter.timeoutMillis === undefined ? Number.POSITIVE_INFINITY : Math.max(50, arbiter.timeoutMillis / 10)
}

/** One moment on both clocks of this machine. */
export interface Moment {
  readonly monotonicMillis: number
  readonly wallMillis: number
}

export class Holding {
  /** As it last is known to stand in the bucket. */
  #arbiter: Arbiter
  /** Nothing is held before the first own renewal is known to have landed, whatever the election's CAS says. */
  #untilMillis = Number.NEGATIVE_INFINITY
  #wallMinusMonotonic = 0
  #sentMillis = Number.NEGATIVE_INFINITY
  #open = false
  #over = false

  constructor(won: Arbiter) {
    this.#arbiter = won
  }

  get arbiter(): Arbiter {
    return this.#arbiter
  }

  /** A change is asked for: nothing is held until it is known to have landed. */
  open(): void {
    this.#open = true
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Whoever sees a shorter lease or timeout waits only that long, and may see it from now on. */
  sending(next: Arbiter, sent: Moment): void {
    this.#untilMillis = Math.min(this.#untilMillis, sent.monotonicMillis + holdsMillis(next))
  }

  /** Known to have landed; any own CAS counts as a renewal from its sending, only the change itself closes a change. */
  landed(next: Arbiter, sent: Moment, change: boolean): void {
    this.#arbiter = next
    this.#untilMillis = sent.monotonicMillis + holdsMillis(next)
    this.#wallMinusMonotonic = sent.wallMillis - sent.monotonicMillis
    this.#sentMillis = sent.monotonicMillis
    if (change) this.#open = false
  }

  /** Deposed or resigning: never again. */
  end(): void {
    this.#over = true
  }

  mayAcknowledge(now: Moment): boolean {
    return !this.#over && !this.#open && now.monotonicMillis < this.#untilMillis && !this.drifted(now)
  }

  drifted(now: Moment): boolean {
    const apart = Math.abs(now.wallMillis - now.monotonicMillis - this.#wallMinusMonotonic)
    return apart > driftMaxMillis(this.#arbiter)
  }

  /** When the next renewal is to be sent; -Infinity before the first has landed. */
  renewDueMillis(): number {
    return this.#sentMillis + renewEveryMillis(this.#arbiter)
  }
}
