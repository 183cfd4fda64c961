/** The last PUT durations, for the gather window (design 5, step 3). */

export class PutTimes {
  readonly #times: Array<number> = []
  readonly #max: number
  #at = 0
  #median = 0

  constructor(max: number) {
    this.#max = max
  }

  add(millis: number): void {
    if (this.#times.length < this.#max) this.#times.push(millis)
    else this.#times[this.#at++ % this.#max] = millis
    const sorted = [...this.#times].sort((a, b) => a - b)
    this.#median = sorted[sorted.length >> 1]!
  }

  /** Milliseconds; 0 before the first. */
  median(): number {
    return this.#median
  }
}
