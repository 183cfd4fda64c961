/** Rule C1: whether Compact(revision) is allowed. */
import { type EtcdError, errors } from "../wire/errors.ts"
import type { MvccStore } from "./store.ts"

/**
 * Undefined: it may go into the log. Evaluated at head, so that a second compaction to the same revision fails while
 * the first is still being committed. Compact(0) succeeds once on a store that was never compacted.
 */
export const checkCompact = (store: MvccStore, revision: number): EtcdError | undefined => {
  if (revision <= store.headCompactRevision) return errors.compacted
  if (revision > store.headRevision) return errors.futureRevision
  return undefined
}
