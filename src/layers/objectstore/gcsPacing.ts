/**
 * GCS takes about one write a second of one object name and answers 429 above it. Writes of one key therefore leave this
 * process a little more than a second apart, in the order in which they were asked for; other keys do not wait.
 */
import { type Clock, Effect } from "effect"
import { Unavailable } from "../../services/ObjectStore.ts"

export const writeIntervalMillis = 1100
/** Who would wait longer is told to come back: nothing queues without bound. */
const waitMillisMax = 10_000
const keysMax = 4096

export class Pacing {
  readonly #clock: Clock.Clock
  readonly #intervalMillis: number
  /** When the last write of a key leaves or left. */
  readonly #last = new Map<string, number>()

  constructor(clock: Clock.Clock, intervalMillis: number) {
    this.#clock = clock
    this.#intervalMillis = intervalMillis
  }

  /** Succeeds when a write of the key may be sent. */
  turn(operation: string, key: string): Effect.Effect<void, Unavailable> {
    return Effect.suspend(() => {
      const now = Number(this.#clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      const free = (this.#last.get(key) ?? -Infinity) + this.#intervalMillis
      const wait = Math.max(0, free - now)
      if (wait > Math.max(waitMillisMax, this.#intervalMillis)) {
        const reason = `this object is written too often: the next write may be sent in ${wait} ms`
        return Effect.fail(new Unavailable({ operation, key, reason }))
      }
      if (this.#last.size >= keysMax) this.#forget(now)
      this.#last.set(key, now + wait)
      if (wait === 0) return Effect.void
      // A write that was never sent takes no turn, or who gives up and asks again would wait longer each time.
      return Effect.onInterrupt(Effect.sleep(wait), () => Effect.sync(() => this.#giveBack(key, now + wait)))
    })
  }

  #giveBack(key: string, at: number): void {
    if (this.#last.get(key) === at) this.#last.set(key, at - this.#intervalMillis)
  }

  #forget(now: number): void {
    for (const [key, at] of this.#last) if (at + this.#intervalMillis <= now) this.#last.delete(key)
  }
}
