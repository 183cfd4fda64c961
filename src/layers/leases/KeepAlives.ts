/**
 * One stream of keep-alives: requests are answered one after the other, in order (rule L4). They wait together for the
 * right to answer, and the stream waits while a lease that has run out is being revoked.
 */
import type { LeaseKeepAliveResponse } from "../../core/wire/codec/lease.ts"
import { type EtcdError, isEtcdError } from "../../core/wire/errors.ts"
import type { KeepAliveSink, KeepAliveStream } from "../../services/Leases.ts"
import type { Waiter } from "../../services/Replicator.ts"

/** `leaving`: the lease has run out, and what was given is called when it is gone, or has more time after all. */
export type Renewal = LeaseKeepAliveResponse | EtcdError | "leaving"

export interface Renewals {
  /** A linearizable read of what is committed now. */
  readonly whenReadable: (waiter: Waiter) => void
  readonly renew: (id: bigint, gone: () => void) => Renewal
  readonly forget: (id: bigint, gone: () => void) => void
}

/** Keep-alives of one stream that wait for their answers. */
const waitingMax = 4_096

export class KeepAlives implements KeepAliveStream, Waiter {
  readonly #renewals: Renewals
  readonly #sink: KeepAliveSink
  /** Requests in order; those before `#head` are answered. */
  #waiting: Array<bigint> = []
  #head = 0
  /** Requests up to here arrived before the right to answer was asked for. */
  #asked = 0
  #state: "idle" | "asking" | "leaving" | "full" | "closed" = "idle"
  /** What comes after the last request; undefined while there may be more. */
  #end: { readonly error: EtcdError | undefined } | undefined

  constructor(renewals: Renewals, sink: KeepAliveSink) {
    this.#renewals = renewals
    this.#sink = sink
  }

  readonly renew = (id: bigint): boolean => {
    if (this.#state === "closed" || this.#end !== undefined) return true
    if (this.#waiting.length - this.#head >= waitingMax) return false
    this.#waiting.push(id)
    this.#go()
    return true
  }

  readonly end = (error: EtcdError | undefined): void => {
    this.#end ??= { error }
    this.#go()
  }

  readonly drained = (): void => {
    if (this.#state !== "full") return
    this.#state = "idle"
    this.#go()
  }

  readonly close = (): void => {
    if (this.#state === "leaving") this.#renewals.forget(this.#waiting[this.#head]!, this.#gone)
    this.#state = "closed"
    this.#waiting = []
    this.#head = 0
  }

  /** The right to answer has held after `#asked` requests had arrived. */
  readonly done = (): void => {
    if (this.#state !== "asking") return
    this.#state = "idle"
    while (this.#head < this.#asked && this.#state === "idle") this.#answer()
    this.#shrink()
    this.#go()
  }

  readonly failed = (error: EtcdError): void => {
    if (this.#state !== "closed") this.#finish(error)
  }

  /** The lease at the front is revoked, or an outage gave it more time: asked again, it says which. */
  readonly #gone = (): void => {
    if (this.#state !== "leaving") return
    this.#state = "idle"
    this.#go()
  }

  #answer(): void {
    const renewal = this.#renewals.renew(this.#waiting[this.#head]!, this.#gone)
    if (renewal === "leaving") this.#state = "leaving"
    else if (isEtcdError(renewal)) this.#finish(renewal)
    else {
      this.#head++
      // The receiver may close the stream while it takes the answer.
      const full = !this.#sink.send(renewal)
      if (full && this.#state === "idle") this.#state = "full"
    }
  }

  #go(): void {
    if (this.#state !== "idle") return
    if (this.#head < this.#waiting.length) {
      this.#state = "asking"
      this.#asked = this.#waiting.length
      this.#renewals.whenReadable(this)
    } else if (this.#end !== undefined) this.#finish(this.#end.error)
  }

  #finish(error: EtcdError | undefined): void {
    this.close()
    this.#sink.ended(error)
  }

  #shrink(): void {
    if (this.#state === "closed" || this.#head === 0) return
    if (this.#head === this.#waiting.length) this.#waiting.length = 0
    else this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
    this.#asked = 0
  }
}
