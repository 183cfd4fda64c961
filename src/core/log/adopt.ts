/**
 * Which of two logs stands: this node's own, or the bucket's history (design 6.4). The bucket's is one more log: if it
 * is higher in log order it is taken over from the first difference on, else the own log stands and the bucket lacks
 * what differs.
 */
import { isHigher, type Position } from "./record.ts"

export interface OwnLog {
  readonly last: Position
  /** First index from which the own log is complete. */
  readonly firstIndex: number
  /** Known committed; never dropped. */
  readonly commitIndex: number
}

export interface BucketLog {
  readonly last: Position
  /** End of the snapshot on which the path begins; (0, 0) when it begins at index 1. */
  readonly base: Position
}

export type Adoption =
  /** The own log stands; the bucket holds it up to `common`. */
  | { readonly kind: "own"; readonly common: number }
  /** Drop own entries above `common`, then append the bucket's. */
  | { readonly kind: "append"; readonly common: number }
  /** The own log lacks the snapshot's end: everything is restored from the snapshot. */
  | { readonly kind: "restore" }
  /** The bucket is higher and differs at this index or before it, which is committed here. */
  | { readonly kind: "conflict"; readonly index: number }

/**
 * If two logs hold the same (index, term) they agree up to there, so the common prefix is found by bisection. Yields the
 * indexes whose term in the own log it needs to know (undefined: the own log does not reach there), at most 64.
 */
export function* adopt(
  own: OwnLog,
  bucket: BucketLog,
  bucketTerm: (index: number) => number | undefined
): Generator<number, Adoption, number | undefined> {
  const lowest = Math.max(bucket.base.index, own.firstIndex - 1)
  const takeOver = isHigher(bucket.last, own.last)
  const bothReach = lowest <= own.last.index && lowest <= bucket.last.index
  if (!bothReach || !(lowest === 0 || (yield lowest) === (bucketTerm(lowest) ?? -1))) {
    // Own log higher, but with no entry in common: nothing of it is known to be stored.
    if (!takeOver) return { kind: "own", common: 0 }
    // Behind a snapshot's end everything is the bucket's word; at `lowest` and before it the two logs must agree.
    const agrees = bothReach ? own.commitIndex < lowest : own.commitIndex <= bucket.last.index
    if (!agrees) return { kind: "conflict", index: bothReach ? lowest : bucket.last.index + 1 }
    return { kind: "restore" }
  }
  let low = lowest
  let high = Math.min(own.last.index, bucket.last.index)
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((yield middle) === (bucketTerm(middle) ?? -1)) low = middle
    else high = middle - 1
  }
  if (!takeOver) return { kind: "own", common: low }
  if (own.commitIndex > low) return { kind: "conflict", index: low + 1 }
  return { kind: "append", common: low }
}
