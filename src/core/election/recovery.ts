/** Recovery with possible loss (design 6.4): when too few voters are left for ever. */
import type { NodeReport } from "../wire/peer/messages.ts"
import { type Arbiter, type NodeName, nextTerm, waitFactor } from "./arbiter.ts"

/**
 * From when on it may happen by itself: the arbiter has stood unchanged for 1.11 × its timeout, so that a Primary that
 * nobody hears of has stopped. Undefined: never by itself.
 */
export const recoveryAt = ({ timeoutMillis }: Arbiter, seenAtMillis: number): number | undefined =>
  timeoutMillis === undefined ? undefined : seenAtMillis + Math.ceil(waitFactor * timeoutMillis)

/** Mode quorum with the winner as its only voter and nobody required: it uploads its whole log before it goes on. */
export const recoveredTerm = (arbiter: Arbiter, winner: NodeReport): Arbiter => {
  const next = nextTerm(arbiter, winner.name, { highestTerm: 0, leaseMillis: arbiter.leaseMillis })
  const index = Math.min(winner.commitIndex + 1, arbiter.recovered?.index ?? Number.MAX_SAFE_INTEGER)
  return { ...next, voters: [winner.name], required: 0, recovered: { term: next.term, index } }
}

/** What is known of a voter when it does not answer. */
export interface VoterFacts {
  /** Its registration in the bucket; undefined: deleted. */
  readonly registered: { readonly incarnation: string } | undefined
  /** What its node id was heard as. */
  readonly heardAs: NodeName | undefined
  /** When it was last heard by this process, or when this process began to listen. */
  readonly heardAtMillis: number
}

/** A voter that will never answer again. */
export const isGoneForGood = (
  voter: NodeName,
  facts: VoterFacts,
  arbiterSeenAtMillis: number,
  abandonAfterMillis: number | undefined,
  now: number
): boolean => {
  if (facts.registered === undefined || facts.registered.incarnation !== voter.incarnation) return true
  if (facts.heardAs !== undefined && facts.heardAs.incarnation !== voter.incarnation) return true
  return (
    abandonAfterMillis !== undefined && now - Math.max(facts.heardAtMillis, arbiterSeenAtMillis) >= abandonAfterMillis
  )
}
