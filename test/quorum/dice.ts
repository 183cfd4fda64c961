import type { NodeName } from "../../src/core/election/arbiter.ts"

/** Numbers below a limit, the same ones for the same seed. */
export const dice = (seed: number) => {
  let state = seed
  return (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

/** "b2": node b in its incarnation 2. A new object each time, as names that come over the wire are. */
export const name = (short: string): NodeName => ({ nodeId: short[0]!, incarnation: short.slice(1) || "1" })

export const short = ({ nodeId, incarnation }: NodeName): string => nodeId + incarnation
