/**
 * How a replica takes Appends (design 6.6): promise, truncation, fsync, receipt, commit, in this order. The commit index
 * moves only over what was matched with this term's Primary.
 */
import { Effect } from "effect"
import { assert } from "../../core/assert.ts"
import { follow, type Following, type Questions } from "../../core/log/follow.ts"
import type { LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { StateMachine } from "../../services/Replicator.ts"
import type { FollowStream, Run } from "./FollowStream.ts"
import type { Lag } from "./Lag.ts"
import type { NodeLog } from "./NodeLog.ts"
import type { Conflict } from "./setAside.ts"

/** Entries that are applied without a pause: a node that was far behind answers others in between. */
const applyMax = 1_024

/** What one stream knows of the agreement of both logs. */
export interface Agreement {
  term: number
  /** Last index matched with the Primary of `term`; undefined: not yet. */
  matched: number | undefined
  /** What it had committed when it first spoke. */
  target: number | undefined
}

export interface TakingParts {
  readonly log: NodeLog
  readonly machine: StateMachine
  readonly journal: Log["Service"]
  readonly lag: Lag
  /** After each batch: has this node everything that the Primary had committed when it first spoke? */
  readonly onTaken: (agreed: Agreement) => void
}

export interface Taking {
  /** Moves the commit index to `index`, which is matched, and applies. */
  readonly advance: (index: number) => Effect.Effect<void>
  /** Not to be interrupted. A conflict with what is committed is returned, and nothing was done. */
  readonly take: (
    stream: FollowStream,
    agreed: Agreement,
    run: Run
  ) => Effect.Effect<Conflict | undefined, LocalStoreFailed>
}

export const makeTaking = ({ journal, lag, log, machine, onTaken }: TakingParts): Taking => {
  const advance: Taking["advance"] = (index) =>
    Effect.gen(function* () {
      while (log.commitIndex < index) {
        machine.replicate(log.commit(Math.min(index, log.commitIndex + applyMax)))
        lag.applied(log.commitIndex)
        if (log.commitIndex < index) yield* Effect.yieldNow
      }
    })

  const stored = (said: number): void => {
    // What the Primary has stored beyond it might be of a branch that this log does not take.
    const index = Math.min(said, log.commitIndex)
    if (index <= log.storedIndex) return
    log.stored(index)
    machine.stored(index)
  }

  const answered = <A>(questions: Questions<A>): Effect.Effect<A, LocalStoreFailed> =>
    Effect.suspend(() => {
      const first = questions.next()
      if (first.done === true) return Effect.succeed(first.value)
      return Effect.gen(function* () {
        let step: IteratorResult<number, A> = first
        while (step.done !== true) step = questions.next(yield* log.termAt(step.value))
        return step.value
      })
    })

  const write = (
    stream: FollowStream,
    agreed: Agreement,
    run: Run,
    { held, match, truncateFrom }: Extract<Following, { kind: "fits" }>
  ) =>
    Effect.gen(function* () {
      const { term } = run
      if (truncateFrom !== undefined) {
        assert(agreed.matched === undefined || truncateFrom > agreed.matched, "what was matched does not change")
        journal.info("log_truncated", { term, from_index: truncateFrom, last_index: log.last.index })
        yield* log.truncateFrom(truncateFrom)
      }
      // Nobody who waits for an older entry waits for this fsync.
      yield* advance(Math.min(run.commitIndex, Math.max(agreed.matched ?? 0, run.prev.index + held)))
      const fresh = held === 0 ? run.entries : run.entries.slice(held)
      if (log.fenced > term) return
      if (fresh.length > 0 || log.durable.index < match) yield* log.append(fresh)
      const matched = Math.max(agreed.matched ?? 0, match)
      agreed.matched = matched
      if (log.fenced > term) return
      assert(log.durable.index >= matched && log.fencedDurable >= term, "a receipt is for what is on the disk")
      stream.send({ kind: "receipt", term, match: matched, commitIndex: log.commitIndex })
      yield* advance(Math.min(run.commitIndex, matched))
      stored(run.storedIndex)
      onTaken(agreed)
    })

  const take: Taking["take"] = (stream, agreed, run) =>
    Effect.gen(function* () {
      const { term } = run
      if (term !== agreed.term) {
        agreed.term = term
        agreed.matched = agreed.target = undefined
      }
      agreed.target ??= run.commitIndex
      // On the disk before the first receipt of this term.
      if (log.fencedDurable < term) yield* log.promise({ fenced: Math.max(term, log.fenced), reigned: log.reigned })
      const verdict = yield* answered(follow(log, run))
      if (log.fenced > term) return undefined
      if (verdict.kind === "conflict") {
        return { index: verdict.index, commitIndex: log.commitIndex, other: `the log of term ${term}'s Primary` }
      }
      if (verdict.kind === "mismatch") {
        assert(agreed.matched === undefined || verdict.at.index >= agreed.matched, "what was matched fits")
        journal.debug("follow_mismatch", { term, prev: run.prev, at: verdict.at })
        stream.send({ kind: "mismatch", term, at: verdict.at })
      } else yield* write(stream, agreed, run, verdict)
      return undefined
    })

  return { advance, take }
}
