/**
 * The latest moments at which keys came into and went out of the committed view. With them the number of keys at an
 * older revision (the second page of a list) follows from the number at the committed one without a scan.
 */
import { Deque } from "./deque.ts"
import { contains, type Interval } from "./keys.ts"

const flipsMax = 65536
/** Flips looked at in one count, unless a scan would be longer. */
const stepsMin = 1024

interface Flip {
  readonly revision: number
  readonly key: string
  readonly delta: 1 | -1
}

export class LiveFlips {
  readonly #flips = new Deque<Flip>()
  /** Every flip above this revision is here. */
  #complete = 0

  add(revision: number, key: string, live: boolean): void {
    this.#flips.push({ revision, key, delta: live ? 1 : -1 })
    if (this.#flips.length > flipsMax) this.#complete = this.#flips.shift().revision
  }

  /** Nobody asks below `floor` any more. */
  forget(floor: number): void {
    while (this.#flips.length > 0 && this.#flips.at(0).revision <= floor) this.#complete = this.#flips.shift().revision
  }

  /** Live keys of the interval at `revision`, given the number at the committed one; undefined: count by a scan. */
  countAt(span: Interval, revision: number, committed: number): number | undefined {
    if (revision < this.#complete) return undefined
    const stepsMax = Math.max(stepsMin, committed)
    let count = committed
    for (let i = this.#flips.length - 1; i >= 0; i--) {
      const flip = this.#flips.at(i)
      if (flip.revision <= revision) break
      if (this.#flips.length - i > stepsMax) return undefined
      if (contains(span, flip.key)) count -= flip.delta
    }
    return count
  }
}
