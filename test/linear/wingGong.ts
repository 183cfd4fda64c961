/**
 * Linearizability of a history of any object by its sequential model: depth first over the orders that keep real time,
 * as Wing and Gong do it, remembering where it has been (which operations are done and the state), as Lowe proposed.
 * Nothing is known here about keys or revisions; it serves for objects whose answers carry none.
 */

export interface Call<O> {
  readonly operation: O
  readonly invoked: number
  /** Infinity: it may have happened or not, any time from `invoked` on. */
  readonly returned: number
}

export interface Model<S, O> {
  readonly initial: S
  /** The state after it; undefined when the operation cannot have had its outcome here. */
  readonly step: (state: S, operation: O) => S | undefined
  /** Equal for equal states. */
  readonly text: (state: S) => string
}

export type Linearized<S, O> =
  | { readonly kind: "ok"; readonly order: ReadonlyArray<O> }
  | {
      readonly kind: "bad"
      /** The longest order that was possible, the state behind it, and what would have had to come next. */
      readonly longest: ReadonlyArray<O>
      readonly state: S
      readonly next: ReadonlyArray<O>
    }
  | { readonly kind: "undecided"; readonly what: string }

export interface LinearizeOptions {
  readonly placesMax?: number
}

const placesMaxDefault = 500_000

interface Frame<S> {
  readonly state: S
  readonly candidates: ReadonlyArray<number>
  at: number
  /** What led here; -1 at the bottom. */
  readonly by: number
}

/** A number that looks random; with two salts two of them stand for an operation in the digest of a set. */
export const mix = (n: number, salt: number): number => {
  let h = Math.imul(n + 1, 0x9e3779b1) ^ salt
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) | 0
}

export const linearize = <S, O>(
  model: Model<S, O>,
  calls: ReadonlyArray<Call<O>>,
  options: LinearizeOptions = {}
): Linearized<S, O> => {
  const placesMax = options.placesMax ?? placesMaxDefault
  const byTime = [...calls].sort((a, b) => a.invoked - b.invoked)
  const all = [...byTime.filter((c) => c.returned < Infinity), ...byTime.filter((c) => c.returned === Infinity)]
  const required = all.findIndex((c) => c.returned === Infinity)
  const end = required < 0 ? all.length : required
  // Those that are to be done, as a list of which members are taken and put back in reverse order.
  const next = Int32Array.from({ length: end + 1 }, (_, i) => i + 1)
  const previous = Int32Array.from({ length: end + 1 }, (_, i) => i - 1)
  let head = 0
  const used = new Uint8Array(all.length)
  const places = new Set<string>()
  let h1 = 0
  let h2 = 0

  const take = (i: number): void => {
    used[i] = 1
    h1 ^= mix(i, 0x1b873593)
    h2 ^= mix(i, 0x68e31da4)
    if (i >= end) return
    if (previous[i]! >= 0) next[previous[i]!] = next[i]!
    else head = next[i]!
    previous[next[i]!] = previous[i]!
  }
  const putBack = (i: number): void => {
    used[i] = 0
    h1 ^= mix(i, 0x1b873593)
    h2 ^= mix(i, 0x68e31da4)
    if (i >= end) return
    if (previous[i]! >= 0) next[previous[i]!] = i
    else head = i
    previous[next[i]!] = i
  }
  /** Who may be next: who began before anybody else was answered. Those that need not be done come last. */
  const candidates = (): Array<number> => {
    const found: Array<number> = []
    let firstAnswer = Infinity
    for (let i = head; i < end && all[i]!.invoked <= firstAnswer; i = next[i]!) {
      found.push(i)
      firstAnswer = Math.min(firstAnswer, all[i]!.returned)
    }
    for (let i = end; i < all.length && all[i]!.invoked <= firstAnswer; i++) if (used[i] === 0) found.push(i)
    return found
  }

  const frames: Array<Frame<S>> = [{ state: model.initial, candidates: candidates(), at: 0, by: -1 }]
  const orderOf = (): Array<O> => frames.slice(1).map(({ by }) => all[by]!.operation)
  let longest: Linearized<S, O> & { readonly kind: "bad" } = {
    kind: "bad",
    longest: [],
    state: model.initial,
    next: candidates().map((i) => all[i]!.operation)
  }
  let done = 0
  let doneMost = 0
  while (head < end) {
    const frame = frames[frames.length - 1]
    if (frame === undefined) return longest
    if (frame.at === frame.candidates.length) {
      // The first time that the search turns round as far out as this.
      if (done > doneMost || frames.length === 1) {
        if (done > doneMost || longest.longest.length === 0)
          longest = {
            kind: "bad",
            longest: orderOf(),
            state: frame.state,
            next: frame.candidates.map((i) => all[i]!.operation)
          }
        doneMost = done
      }
      frames.pop()
      if (frame.by >= 0) {
        putBack(frame.by)
        if (frame.by < end) done--
      }
      continue
    }
    const i = frame.candidates[frame.at++]!
    const state = model.step(frame.state, all[i]!.operation)
    if (state === undefined) continue
    take(i)
    const place = `${h1} ${h2} ${model.text(state)}`
    if (places.has(place)) {
      putBack(i)
      continue
    }
    if (places.size >= placesMax)
      return {
        kind: "undecided",
        what: `given up after ${places.size} places, with ${done} of ${end} operations in order`
      }
    places.add(place)
    if (i < end) done++
    frames.push({ state, candidates: candidates(), at: 0, by: i })
  }
  return { kind: "ok", order: orderOf() }
}
