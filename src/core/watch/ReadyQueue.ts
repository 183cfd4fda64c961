/** Watches that can be caught up now, first come first served. Ended and blocked ones are dropped when they turn up. */
import type { EventBatch } from "./EventBatch.ts"
import type { Watch } from "./Watch.ts"

export class ReadyQueue {
  #watches: Array<Watch> = []
  #start = 0

  get isEmpty(): boolean {
    return this.#start === this.#watches.length
  }

  /** Puts it at the end, unless it is in the queue. */
  add(watch: Watch): void {
    if (watch.queued) return
    watch.queued = true
    this.#watches.push(watch)
  }

  /** The first one that is still behind and whose receiver takes data. */
  first(): Watch | undefined {
    while (this.#start < this.#watches.length) {
      const watch = this.#watches[this.#start]!
      if (isReady(watch)) return watch
      this.drop()
    }
    return undefined
  }

  /** Takes out the one that `first` returned. */
  drop(): void {
    this.#watches[this.#start++]!.queued = false
    if (this.isEmpty) this.#watches = []
    else if (this.#start > 64 && this.#start > this.#watches.length / 2)
      this.#watches = this.#watches.slice(this.#start)
    else return
    this.#start = 0
  }

  /** Takes out everybody whom the batch serves; they keep `queued` until they have been served. */
  take(batch: EventBatch): ReadonlyArray<Watch> {
    const served: Array<Watch> = []
    const rest: Array<Watch> = []
    for (let i = this.#start; i < this.#watches.length; i++) {
      const watch = this.#watches[i]!
      if (!isReady(watch)) watch.queued = false
      else if (watch.next >= batch.from && watch.next <= batch.to) served.push(watch)
      else rest.push(watch)
    }
    this.#watches = rest
    this.#start = 0
    return served
  }
}

const isReady = (watch: Watch): boolean => watch.state === "behind" && !watch.stream.outbox.blocked
