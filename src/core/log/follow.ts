/**
 * What a replica does with an Append (design 6.6): whether the entry before it fits, which of its entries are held
 * already, and from where own uncommitted ones have to go. Logs in which the same (index, term) stands agree up to there,
 * and terms never fall along a log, so everything is found by bisection.
 */
import { assert } from "../assert.ts"
import { isHigher, type Position } from "./record.ts"

export interface FollowLog {
  readonly last: Position
  /** Never truncated at or below. */
  readonly commitIndex: number
}

export interface Offered {
  readonly prev: Position
  /** Contiguous, from `prev.index + 1` on. */
  readonly entries: ReadonlyArray<Position>
}

export type Following =
  | {
      readonly kind: "fits"
      /** So many of the entries are held already. */
      readonly held: number
      /** Own entries from here on conflict and are dropped first. */
      readonly truncateFrom: number | undefined
      /** This log and the Primary's agree up to here once the rest is appended. */
      readonly match: number
    }
  /** The entry before does not fit, or is not there: the newest position that may. Never below the commit index. */
  | { readonly kind: "mismatch"; readonly at: Position }
  /** The Primary's log differs at this index, which is committed here. */
  | { readonly kind: "conflict"; readonly index: number }

/** Asks for the term of an own entry; undefined: it is not in the log any more, for it was committed long ago. */
export type Questions<A> = Generator<number, A, number | undefined>

export function* follow(own: FollowLog, offered: Offered): Questions<Following> {
  const { entries, prev } = offered
  const { commitIndex, last } = own
  if (prev.index > last.index) return { kind: "mismatch", at: yield* newestBelow(own, last.index, prev.term + 1) }
  const term = yield* termAt(own, prev.index)
  if (term === undefined) return yield* belowTheLog(own, prev)
  if (term !== prev.term) {
    if (prev.index <= commitIndex) return { kind: "conflict", index: prev.index }
    // All entries of the term that stands here are passed over: the Primary sends again what it has of them.
    return { kind: "mismatch", at: yield* newestBelow(own, prev.index, Math.min(term, prev.term + 1)) }
  }
  const overlap = Math.min(last.index - prev.index, entries.length)
  if ((yield* termAt(own, prev.index + overlap)) === undefined) return yield* belowTheLog(own, prev)
  const held = yield* agreeing(own, offered, overlap)
  const match = prev.index + entries.length
  if (held === overlap) return { kind: "fits", held, truncateFrom: undefined, match }
  const differs = prev.index + held + 1
  if (differs <= commitIndex) return { kind: "conflict", index: differs }
  return { kind: "fits", held, truncateFrom: differs, match }
}

function* termAt(own: FollowLog, index: number): Questions<number | undefined> {
  if (index === own.last.index) return own.last.term
  return index === 0 ? 0 : yield index
}

function* knownTerm(own: FollowLog, index: number): Questions<number> {
  const term = yield* termAt(own, index)
  assert(term !== undefined, `the log ends at ${own.last.index} and does not know the term of entry ${index}`)
  return term
}

/** Everything there is committed: what can be compared begins at the commit index. */
function* belowTheLog(own: FollowLog, prev: Position): Questions<Following> {
  const at = { index: own.commitIndex, term: yield* knownTerm(own, own.commitIndex) }
  // Terms never fall, so the Primary's log is another one from here on.
  return prev.term > at.term ? { kind: "conflict", index: prev.index } : { kind: "mismatch", at }
}

/** The newest entry at or below `from` with a term below `term`, but never below the commit index. */
function* newestBelow(own: FollowLog, from: number, term: number): Questions<Position> {
  let low = own.commitIndex
  let high = from
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((yield* knownTerm(own, middle)) < term) low = middle
    else high = middle - 1
  }
  return { index: low, term: yield* knownTerm(own, low) }
}

/** How many of the first `overlap` offered entries are this log's own. */
function* agreeing(own: FollowLog, { entries, prev }: Offered, overlap: number): Questions<number> {
  // Nearly always all of them.
  if (overlap > 0 && (yield* termAt(own, prev.index + overlap)) === entries[overlap - 1]!.term) return overlap
  let low = 0
  let high = overlap
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    const term = yield* termAt(own, prev.index + middle)
    if (term === undefined || term === entries[middle - 1]!.term) low = middle
    else high = middle - 1
  }
  return low
}

/** What is wrong with an Append that no Primary may send, in a few words; undefined: nothing. */
export const offeredProblem = (term: number, { entries, prev }: Offered): string | undefined => {
  if (prev.index === 0 ? prev.term !== 0 : prev.term > term) return `term ${prev.term} before entries of term ${term}`
  let before = prev
  for (const entry of entries) {
    if (entry.index !== before.index + 1) return `entry ${entry.index} follows entry ${before.index}`
    if (entry.term < before.term) return `entry ${entry.index} has a lower term than the one before it`
    before = entry
  }
  return before.term > term ? `an entry of term ${before.term} comes in term ${term}` : undefined
}

/** Is it worth to restore from the bucket what the Primary, whose log begins at `firstIndex`, cannot send? */
export const bucketHelps = (own: Position, bucket: Position, firstIndex: number): boolean =>
  isHigher(bucket, own) && bucket.index >= firstIndex - 1
