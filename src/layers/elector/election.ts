/**
 * One round of an election (design 6.4): read the arbiter, ask, fence, write. A round that cannot end says what it
 * waits for and when to look again; every round starts over with a fresh reading.
 */
import { Effect } from "effect"
import { handOverPollMillis, makeBallot, type RoundFailed } from "./ballot.ts"
import type { ElectorMetrics } from "./metrics.ts"
import { type ElectorParts, readArbiter } from "./parts.ts"
import { makeQuorumElection } from "./quorumElection.ts"
import type { Standing } from "./Standing.ts"
import { makeStoreElection } from "./storeElection.ts"

export interface ElectionOptions {
  /** Of a first term. */
  readonly leaseMillis: number
  readonly metrics: ElectorMetrics
}

/** One round; how long to wait before the next one, should there still be a reason. */
export const makeElection = (
  parts: ElectorParts,
  standing: Standing,
  options: ElectionOptions
): Effect.Effect<number, RoundFailed> => {
  const ballot = makeBallot(parts, standing, options.metrics)
  const byStore = makeStoreElection(parts, standing, ballot, options.leaseMillis)
  const byQuorum = makeQuorumElection(parts, standing, ballot, byStore)
  return Effect.gen(function* () {
    const found = yield* readArbiter(parts)
    if (found !== undefined) standing.seenAt(found.etag)
    standing.adopt(found)
    const reason = standing.reason()
    if (reason !== undefined)
      return yield* found?.arbiter.mode === "quorum" ? byQuorum(found, reason) : byStore(found, reason)
    // It is about to resign: a term now would only get in its way.
    const { handOver } = standing
    return handOver === undefined ? 0 : handOverPollMillis
  })
}
