/** A union of half-open key intervals, kept as disjoint ones in ascending order. */

export class IntervalSet {
  readonly #starts: Array<string> = []
  readonly #ends: Array<string> = []

  /** An interval whose end is not above its start is empty. */
  add(start: string, end: string): void {
    if (end <= start) return
    // The intervals from `first` up to, not including, `last` touch the new one.
    const first = lowerBound(this.#ends, start)
    let last = first
    while (last < this.#starts.length && this.#starts[last]! <= end) last++
    if (last > first) {
      if (this.#starts[first]! < start) start = this.#starts[first]!
      if (this.#ends[last - 1]! > end) end = this.#ends[last - 1]!
    }
    this.#starts.splice(first, last - first, start)
    this.#ends.splice(first, last - first, end)
  }

  addAll(other: IntervalSet): void {
    for (let i = 0; i < other.#starts.length; i++) this.add(other.#starts[i]!, other.#ends[i]!)
  }

  /** Does one of the intervals hold all of [start, end)? */
  covers(start: string, end: string): boolean {
    const at = lowerBound(this.#ends, end)
    return at < this.#starts.length && this.#starts[at]! <= start
  }

  has(key: string): boolean {
    // The first interval that ends above the key is the only one that can hold it.
    const at = lowerBound(this.#ends, key + "\0")
    return at < this.#starts.length && this.#starts[at]! <= key
  }
}

const lowerBound = (sorted: ReadonlyArray<string>, key: string): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}
