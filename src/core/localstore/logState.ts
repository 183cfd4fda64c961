/** Where a node's log begins, ends and may be read: the facts behind `Bounds`, and what each change must respect. */
import { assert } from "../assert.ts"

export interface LogState {
  /** The position before the log's first complete entry: a snapshot's end, or the newest entry compaction took from. */
  readonly baseIndex: number
  readonly baseTerm: number
  readonly baseRevision: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly lastRevision: number
  readonly floor: number
  /** Rows that no reader at or above this revision can see are gone. Behind `floor` while a compaction runs. */
  readonly compactedTo: number
  readonly commitIndex: number
  /** A snapshot is being loaded: until its end is known there is no log. */
  readonly restoring: boolean
}

export const zeroLog: LogState = {
  baseIndex: 0,
  baseTerm: 0,
  baseRevision: 0,
  lastIndex: 0,
  lastTerm: 0,
  lastRevision: 0,
  floor: 0,
  compactedTo: 0,
  commitIndex: 0,
  restoring: false
}

export interface End {
  readonly index: number
  readonly term: number
  readonly revision: number
}

/** After entries up to `last` were appended. The stored commit index never goes back and never passes the last entry. */
export const appended = (log: LogState, last: End, commitIndex: number): LogState => ({
  ...log,
  lastIndex: last.index,
  lastTerm: last.term,
  lastRevision: last.revision,
  commitIndex: Math.max(log.commitIndex, Math.min(commitIndex, last.index))
})

export const assertAppendable = (log: LogState): void => {
  assert(!log.restoring, "nothing is appended before the end of a restore")
}

/** The next entry is one further, in the same or a later term, at the same or a later revision. */
export const assertFollows = (last: End, index: number, term: number, revision: number): void => {
  if (index !== last.index + 1) assert(false, `entry ${index} does not follow entry ${last.index}`)
  if (term < last.term) assert(false, `entry ${index} has term ${term}, entry ${last.index} has ${last.term}`)
  if (revision < last.revision) {
    assert(false, `entry ${index} has revision ${revision}, entry ${last.index} has ${last.revision}`)
  }
}

export const assertTruncatable = (log: LogState, index: number): void => {
  assert(!log.restoring, "nothing is truncated before the end of a restore")
  if (index <= log.commitIndex) assert(false, `entry ${index} is committed (up to ${log.commitIndex}): not truncated`)
  if (index <= log.baseIndex) assert(false, `entry ${index} lies below the log's first index ${log.baseIndex + 1}`)
}

/** After every entry above `last` is gone. */
export const truncated = (log: LogState, last: End): LogState => {
  if (last.revision < log.floor) assert(false, `revision ${log.floor} is the floor: not truncated to ${last.revision}`)
  return { ...log, lastIndex: last.index, lastTerm: last.term, lastRevision: last.revision }
}

/** After the last slice of a snapshot that ends at `end`. */
export const restored = (end: End, floor: number): LogState => {
  if (floor > end.revision) assert(false, `a snapshot of revision ${end.revision} has floor ${floor}`)
  return {
    ...zeroLog,
    baseIndex: end.index,
    baseTerm: end.term,
    baseRevision: end.revision,
    lastIndex: end.index,
    lastTerm: end.term,
    lastRevision: end.revision,
    commitIndex: end.index,
    floor
  }
}

export const assertRestorable = (log: LogState): void =>
  assert(log.restoring || (log.lastIndex === 0 && log.floor === 0), "a snapshot is restored into an empty store only")

/** There is nothing to compact: the log is being replaced. */
export const isReplaced = (log: LogState): boolean => log.restoring || log.lastIndex === 0

/** What is known of the index does not belong to this log: it was replaced since. */
export const isOutside = (log: LogState, index: number): boolean => index < log.baseIndex || index > log.lastIndex

export const assertCompactable = (log: LogState, revision: number): void => {
  if (revision > log.lastRevision) assert(false, `floor ${revision} would pass the last revision ${log.lastRevision}`)
}

/** After records of the entry `removed` were removed: entries up to it are no longer complete. */
export const compacted = (log: LogState, removed: End | undefined, compactedTo: number): LogState => {
  const moved = removed !== undefined && removed.index > log.baseIndex
  return {
    ...log,
    baseIndex: moved ? removed.index : log.baseIndex,
    baseTerm: moved ? removed.term : log.baseTerm,
    baseRevision: moved ? removed.revision : log.baseRevision,
    compactedTo: Math.max(log.compactedTo, compactedTo)
  }
}

export const assertPromisesGrow = (
  now: { readonly fenced: number; readonly reigned: number },
  next: { readonly fenced: number; readonly reigned: number }
): void => {
  if (next.fenced < now.fenced) assert(false, `promise "fenced" would go back from ${now.fenced} to ${next.fenced}`)
  if (next.reigned < now.reigned)
    assert(false, `promise "reigned" would go back from ${now.reigned} to ${next.reigned}`)
}
