/** A seeded source of random numbers for the wire tests: a failing case is named by its seed. */
export interface Random {
  /** 0 … below − 1. */
  readonly int: (below: number) => number
  readonly chance: (percent: number) => boolean
  readonly bytes: (length: number) => Uint8Array
}

export const random = (seed: number): Random => {
  let state = seed >>> 0
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  const int = (below: number): number => next() % below
  return {
    int,
    chance: (percent) => int(100) < percent,
    bytes: (length) => Uint8Array.from({ length }, () => int(256))
  }
}
