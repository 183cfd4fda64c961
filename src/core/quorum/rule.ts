/** By which rule entries are committed (design 5, 6.2). */
import type { NodeName } from "../election/arbiter.ts"

/** In mode store `voters` is [] and `required` 0. */
export interface CommitRule {
  readonly mode: "quorum" | "store"
  readonly voters: ReadonlyArray<NodeName>
  /** How many voters besides the Primary must hold an entry; 0 in mode quorum only after a recovery, which commits nothing. */
  readonly required: number
}

export const storeRule: CommitRule = { mode: "store", voters: [], required: 0 }
