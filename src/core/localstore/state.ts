/**
 * The stored state: what the operations of the log up to an index amount to. It takes their place in views, so that
 * their rows may go. Its operations appear as records at its position.
 */
import { assert } from "../assert.ts"
import { opRecord } from "../log/entry.ts"
import type { LogRecord } from "../log/record.ts"
import type { End, LogState } from "./logState.ts"

/**
 * At a committed index, with term and revision of the entry there: the operations that make leases, the floor, alarms
 * and auth what they are. A `SnapshotSource` is one.
 */
export interface StateAt extends End {
  /** Encoded, in the order in which they are to be applied. */
  readonly ops: ReadonlyArray<Uint8Array>
}

/** Operations that are stored together: with their heads well below a megabyte as long as none is unusually long. */
export const partOps = 1_024

/** One of its operations as a record; when and by whom it was made is not part of a state. */
export const stateRecord = ({ index, revision, term }: End, op: Uint8Array, sub: number): LogRecord =>
  opRecord({ index, term, revision, leaderId: "", createdAt: undefined }, op, sub)

/** `entry` is what the log holds at the state's index, `stored` the state that is there already. */
export const assertStateFits = (at: End, entry: End | undefined, stored: End | undefined): void => {
  if (entry === undefined) assert(false, `a state at index ${at.index}, where the log is not complete`)
  if (entry.term !== at.term || entry.revision !== at.revision) {
    const found = `term ${entry.term} and revision ${entry.revision}`
    assert(false, `a state at index ${at.index}, term ${at.term} and revision ${at.revision}; the entry has ${found}`)
  }
  if (stored !== undefined && at.index < stored.index) {
    assert(false, `a state at index ${at.index} after one at index ${stored.index}`)
  }
}

/** What a state stands for is committed. */
export const stateStored = (log: LogState, index: number): LogState => ({
  ...log,
  commitIndex: Math.max(log.commitIndex, index)
})

/** Which operations a compaction removes, where that is not given by the floor alone. */
export interface OpsRemoval {
  /** Entries above it keep theirs: nobody else may have them yet. Without it all may be touched. */
  readonly keepAbove?: number
  /** Entries up to it need not stay whole, even above the floor. */
  readonly forgetUpTo?: number
}

/**
 * Up to which index a compaction may remove operations: those that the state stands for, among the entries up to the
 * floor's. `firstAbove` is the index of the first key change above the floor, if any; operations before it that are above
 * the floor themselves stay too, unless they are `forgettable`.
 */
export const removableOps = (
  log: LogState,
  state: End | undefined,
  firstAbove: number | undefined,
  { forgetUpTo = 0, keepAbove = Number.MAX_SAFE_INTEGER }: OpsRemoval
): number => {
  if (state === undefined) return 0
  const lastAtFloor = firstAbove === undefined ? log.lastIndex : firstAbove - 1
  return Math.min(state.index, keepAbove, Math.max(log.baseIndex, lastAtFloor, forgetUpTo))
}

/** Above it an operation goes only when its revision is not above the floor. */
export const forgettable = (log: LogState, { forgetUpTo = 0 }: OpsRemoval): number =>
  Math.max(log.baseIndex, forgetUpTo)
