/**
 * A conflict with what is committed here: right only after a recovery with possible loss (design 6.4), a defect
 * otherwise. The database is then not used any more, and the node joins as a new incarnation.
 */
import { Effect, Schema } from "effect"
import { assert } from "../../core/assert.ts"
import type { Arbiter } from "../../core/election/arbiter.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"

/** This node's history is not the cluster's any more; its database was put aside. The node starts again, as a new one. */
export class SetAside extends Schema.TaggedError<SetAside>()("SetAside", {
  index: Schema.Number,
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

export interface Conflict {
  /** First index at which the logs are known to differ. */
  readonly index: number
  /** This node's commit index. */
  readonly commitIndex: number
  /** Whose log it is, for the message. */
  readonly other: string
}

/** `arbiter` is at least of the term whose log differs. Fails with `SetAside`, or dies. */
export const setAside = (
  parts: { readonly local: LocalStore["Service"]; readonly journal: Log["Service"] },
  arbiter: Arbiter,
  { commitIndex, index, other }: Conflict
): Effect.Effect<never, SetAside | LocalStoreFailed> =>
  Effect.suspend(() => {
    const { recovered } = arbiter
    assert(
      recovered !== undefined && recovered.index <= index,
      `${other} differs at index ${index}, which is committed here (up to ${commitIndex})${
        recovered === undefined
          ? ""
          : `, and the recovery of term ${recovered.term} lost nothing below ${recovered.index}`
      }`
    )
    const reason = `the recovery of term ${recovered.term} gave up what followed index ${recovered.index - 1}; ${other} differs from this node's log at index ${index}, which this node knew as committed (up to ${commitIndex})`
    parts.journal.error("database_set_aside", {
      index,
      commit_index: commitIndex,
      recovered_term: recovered.term,
      reason
    })
    return Effect.andThen(parts.local.abandon(reason), Effect.fail(new SetAside({ index, reason })))
  })
