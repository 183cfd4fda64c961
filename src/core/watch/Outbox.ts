/** What one stream still has to say, in order. Nothing goes out while the receiver is full. */
import type { WatchResponse } from "../wire/messages.ts"
import type { WatchSink } from "./types.ts"

/** Watch id of responses that concern no single watch. */
export const noWatch = -1n

const isProgress = (response: WatchResponse): boolean =>
  response.watchId === noWatch && !response.created && !response.canceled && response.events.length === 0

export class Outbox {
  readonly #sink: WatchSink
  #waiting: Array<WatchResponse> = []
  #full = false
  #closed = false

  constructor(sink: WatchSink) {
    this.#sink = sink
  }

  /** True: an event sent now would have to wait here. Watches then stay behind instead. */
  get blocked(): boolean {
    return this.#full || this.#waiting.length > 0
  }

  get waiting(): number {
    return this.#waiting.length
  }

  push(response: WatchResponse): void {
    if (this.#closed) return
    if (!this.blocked) {
      if (!this.#sink.send(response)) this.#full = true
      return
    }
    // A newer progress answer says all that one just before it says.
    const last = this.#waiting.at(-1)
    if (last !== undefined && isProgress(last) && isProgress(response))
      this.#waiting[this.#waiting.length - 1] = response
    else this.#waiting.push(response)
  }

  /** The receiver takes data again: sends what waits, as far as it goes. */
  drained(): void {
    this.#full = false
    while (!this.#full) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      if (!this.#sink.send(next)) this.#full = true
    }
  }

  close(): void {
    this.#closed = true
    this.#waiting = []
  }
}
