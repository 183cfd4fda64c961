/**
 * Who is elected, from what the nodes answered in one round (design 6.4). The caller has read the arbiter first, asks
 * and fences as it is told here, and writes what comes out with the ETag that it read.
 */
import { type Arbiter, type NodeName, nextTerm, sameNode, type StoreElection, storeElection } from "./arbiter.ts"
import { isHigher } from "../log/record.ts"
import type { NodeReport } from "../wire/peer/messages.ts"
import { recoveredTerm, recoveryAt } from "./recovery.ts"

export interface Preferences {
  /** The Elector's own node id: another node comes before it. */
  readonly elector: string
  /** Node id that a Primary about to resign has named; "": none. */
  readonly wanted: string
  /** Nodes that are about to stop: taken only where nobody else will do. */
  readonly avoided: ReadonlySet<string>
}

type Order = (a: NodeReport, b: NodeReport) => number

/** The first order that finds a difference decides; negative: a before b. */
const inOrder =
  (...orders: ReadonlyArray<Order>): Order =>
  (a, b) => {
    for (const order of orders) {
      const difference = order(a, b)
      if (difference !== 0) return difference
    }
    return 0
  }

const yesFirst =
  (is: (report: NodeReport) => boolean): Order =>
  (a, b) =>
    Number(is(b)) - Number(is(a))
const highestLog: Order = (a, b) => (isHigher(a.last, b.last) ? -1 : isHigher(b.last, a.last) ? 1 : 0)
const healthy = yesFirst(({ health }) => health === "healthy")
const longestRunning: Order = (a, b) => a.startedAtSeconds - b.startedAtSeconds
const byName: Order = (a, b) =>
  a.name.nodeId < b.name.nodeId
    ? -1
    : a.name.nodeId > b.name.nodeId
      ? 1
      : a.name.incarnation < b.name.incarnation
        ? -1
        : 1

const among = (candidates: ReadonlyArray<NodeReport>, order: Order): NodeReport | undefined =>
  [...candidates].sort(order)[0]

/** Mode quorum: the highest log wins whatever its node's health; everything else decides between equals. */
export const bestByLog = (candidates: ReadonlyArray<NodeReport>, prefer: Preferences): NodeReport | undefined =>
  among(
    candidates,
    inOrder(
      highestLog,
      yesFirst(({ name }) => !prefer.avoided.has(name.nodeId)),
      healthy,
      yesFirst(({ name }) => name.nodeId === prefer.wanted),
      yesFirst(({ name }) => name.nodeId !== prefer.elector),
      longestRunning,
      byName
    )
  )

/** Mode store: the bucket has everything, so anybody is safe, and who is well comes first. */
export const bestByHealth = (candidates: ReadonlyArray<NodeReport>, prefer: Preferences): NodeReport | undefined =>
  among(
    candidates,
    inOrder(
      yesFirst(({ name }) => !prefer.avoided.has(name.nodeId)),
      healthy,
      highestLog,
      yesFirst(({ name }) => name.nodeId === prefer.wanted),
      yesFirst(({ name }) => name.nodeId !== prefer.elector),
      longestRunning,
      byName
    )
  )

/** An arbiter in mode quorum as it was read in step 1. */
export interface QuorumRound {
  readonly arbiter: Arbiter
  /** When this process first saw its ETag, and now, on its monotonic clock. */
  readonly seenAtMillis: number
  readonly nowMillis: number
  /** Voters that are gone for good. */
  readonly gone: ReadonlyArray<NodeName>
  /** An operator has said that a recovery in this term need not wait (recoverOrder.ts). */
  readonly ordered?: boolean
}

export const isAmong = (names: ReadonlyArray<NodeName>, name: NodeName): boolean =>
  names.some((other) => sameNode(other, name))

/** How many voters must answer, so that they meet every set that has committed. */
export const answersNeeded = ({ voters, required }: Arbiter): number => voters.length - required

const remainingOf = ({ arbiter, gone }: QuorumRound): ReadonlyArray<NodeName> =>
  arbiter.voters.filter((voter) => !isAmong(gone, voter))

/** May there be a recovery at this moment, as far as time and the dead are concerned? */
const recoveryDue = (round: QuorumRound): boolean => {
  if (remainingOf(round).length >= answersNeeded(round.arbiter)) return false
  if (round.ordered === true) return true
  const at = recoveryAt(round.arbiter, round.seenAtMillis)
  return at !== undefined && round.nowMillis >= at
}

export type FencePlan =
  | { readonly kind: "fence"; readonly nodes: ReadonlyArray<NodeName> }
  /** Nobody is fenced. */
  | {
      readonly kind: "wait"
      readonly missing: ReadonlyArray<NodeName>
      readonly answered: number
      readonly needed: number
      /** A recovery with possible loss comes then by itself; undefined: it does not. */
      readonly untilMillis: number | undefined
    }

/** Step 2 of mode quorum: whom to fence, after the status question; `reachable` answered it. */
export const planFence = (
  round: QuorumRound,
  reachable: ReadonlyArray<NodeName>,
  avoided: ReadonlySet<string>
): FencePlan => {
  const { arbiter } = round
  const needed = answersNeeded(arbiter)
  const voters = reachable.filter((name) => isAmong(arbiter.voters, name))
  const willing = voters.filter(({ nodeId }) => !avoided.has(nodeId))
  if (willing.length >= needed) return { kind: "fence", nodes: willing }
  if (voters.length >= needed) return { kind: "fence", nodes: voters }
  const remaining = remainingOf(round)
  const missing = remaining.filter((voter) => !isAmong(reachable, voter))
  if (missing.length === 0 && recoveryDue(round)) return { kind: "fence", nodes: reachable }
  const recovers = missing.length === 0 && remaining.length < needed
  return {
    kind: "wait",
    missing,
    answered: voters.length,
    needed,
    untilMillis: recovers ? recoveryAt(arbiter, round.seenAtMillis) : undefined
  }
}

/** Step 3 of mode quorum: `fenced` are the reports that came with granted fences. Undefined: too few, start over. */
export const electByQuorum = (
  round: QuorumRound,
  fenced: ReadonlyArray<NodeReport>,
  prefer: Preferences
): Arbiter | undefined => {
  const { arbiter } = round
  const voters = fenced.filter(({ name }) => isAmong(arbiter.voters, name))
  if (voters.length >= answersNeeded(arbiter)) {
    return nextTerm(arbiter, bestByLog(voters, prefer)!.name, { highestTerm: 0, leaseMillis: arbiter.leaseMillis })
  }
  if (!recoveryDue(round)) return undefined
  if (!remainingOf(round).every((voter) => voters.some(({ name }) => sameNode(name, voter)))) return undefined
  const winner = bestByLog(voters.length > 0 ? voters : fenced, prefer)
  return winner === undefined ? undefined : recoveredTerm(arbiter, winner)
}

/** No arbiter, or one in mode store, as it was read in step 1. */
export interface StoreRound {
  readonly arbiter: Arbiter | undefined
  readonly seenAtMillis: number
  readonly nowMillis: number
  /** The bucket's own lock was had after step 1: nobody reigns. */
  readonly lockProof: boolean
}

/**
 * Steps 2 and 3 of mode store: may a term begin? A node that holds the database of the incarnation that the arbiter
 * names and does not reign proves the old process dead, whoever it is.
 */
export const storeVerdict = (round: StoreRound, answers: ReadonlyArray<NodeReport>): StoreElection => {
  const { arbiter } = round
  const free =
    arbiter !== undefined &&
    answers.some(({ name, primary }) => primary === "replica" && sameNode(name, arbiter.primary))
  return storeElection(arbiter, round.seenAtMillis, round.nowMillis, round.lockProof || free)
}

/** Who can begin the term: a node that has promised a higher one away cannot. */
export const electByStore = (
  term: number,
  answers: ReadonlyArray<NodeReport>,
  prefer: Preferences
): NodeReport | undefined =>
  bestByHealth(
    answers.filter(({ fenced }) => fenced <= term),
    prefer
  )
