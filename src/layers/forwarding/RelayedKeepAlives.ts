/** One stream of keep-alives over the relay: answers in the order of its requests (rule L4), what comes meanwhile together. */
import { type EtcdError, isEtcdError } from "../../core/wire/errors.ts"
import type { LeaseKeepAliveResponse } from "../../core/wire/codec/lease.ts"
import type { KeepAliveSink, KeepAliveStream } from "../../services/Leases.ts"
import { type KeepAliveRelay, leasesMax } from "./KeepAliveRelay.ts"

export class RelayedKeepAlives implements KeepAliveStream {
  readonly #relay: Pick<KeepAliveRelay, "renew">
  readonly #sink: KeepAliveSink
  #waiting: Array<bigint> = []
  /** How many of this stream's are at the relay. */
  #asked = 0
  #cancel: (() => void) | undefined
  /** Answers that the receiver has no room for, from `#told` on. */
  #answers: ReadonlyArray<LeaseKeepAliveResponse> = []
  #told = 0
  #full = false
  #over = false
  #telling = false
  /** What comes after the last request; undefined while there may be more. */
  #end: { readonly error: EtcdError | undefined } | undefined

  constructor(relay: Pick<KeepAliveRelay, "renew">, sink: KeepAliveSink) {
    this.#relay = relay
    this.#sink = sink
  }

  readonly renew = (id: bigint): boolean => {
    if (this.#over || this.#end !== undefined) return true
    if (this.#waiting.length + this.#asked + this.#answers.length - this.#told >= leasesMax) return false
    this.#waiting.push(id)
    this.#go()
    return true
  }

  readonly drained = (): void => {
    this.#full = false
    this.#go()
  }

  readonly end = (error: EtcdError | undefined): void => {
    this.#end ??= { error }
    this.#go()
  }

  readonly close = (): void => {
    this.#over = true
    this.#waiting = []
    this.#answers = []
    this.#cancel?.()
  }

  #go(): void {
    if (this.#over || this.#telling) return
    this.#telling = true
    while (!this.#over && !this.#full && this.#told < this.#answers.length) {
      this.#full = !this.#sink.send(this.#answers[this.#told++]!)
    }
    this.#telling = false
    if (this.#over || this.#asked > 0 || this.#told < this.#answers.length) return
    if (this.#waiting.length > 0) this.#ask()
    else if (this.#end !== undefined) this.#finish(this.#end.error)
  }

  #ask(): void {
    const ids = this.#waiting
    this.#waiting = []
    this.#answers = []
    this.#told = 0
    this.#asked = ids.length
    const cancel = this.#relay.renew(ids, (answers) => {
      this.#asked = 0
      this.#cancel = undefined
      if (isEtcdError(answers)) return this.#finish(answers)
      this.#answers = answers
      this.#go()
    })
    if (this.#asked > 0) this.#cancel = cancel
  }

  #finish(error: EtcdError | undefined): void {
    if (this.#over) return
    this.close()
    this.#sink.ended(error)
  }
}
