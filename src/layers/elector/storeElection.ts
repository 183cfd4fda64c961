/** An election in mode store, or a bucket's first: anybody may follow once nobody can reign any more (design 6.3, 6.4). */
import { Effect } from "effect"
import { type Arbiter, arbiterKey, nextTerm, sameNode, showNode } from "../../core/election/arbiter.ts"
import { electByStore, storeVerdict } from "../../core/election/election.ts"
import type { Reason } from "../../core/election/reasons.ts"
import type { NodeReport } from "../../core/wire/peer/messages.ts"
import { type Ballot, handOverPollMillis, pollMillis, type RoundFailed } from "./ballot.ts"
import { ElectionImpossible, type ElectorParts, type FoundArbiter } from "./parts.ts"
import type { Standing } from "./Standing.ts"

export const makeStoreElection = (
  parts: ElectorParts,
  standing: Standing,
  ballot: Ballot,
  /** Of a first term. */
  leaseMillis: number
): ((found: FoundArbiter | undefined, reason: Reason) => Effect.Effect<number, RoundFailed>) => {
  const { store, local, membership, history, settings, nowMillis, wait } = parts
  const self = settings.nodeId
  /** The term that is waited for, and how its arbiter was first seen. */
  let waitedFor = { term: 0, etag: "" }

  /** What is waited for. A holder that renews is alive; one that has this node's id should not exist. */
  const whoseLease = (current: Arbiter, etag: string): string => {
    if (waitedFor.term !== current.term) waitedFor = { term: current.term, etag }
    const what = `the lease of ${showNode(current.primary)}, Primary of term ${current.term}, to end`
    if (waitedFor.etag === etag) return what
    return current.primary.nodeId === self && !sameNode(current.primary, membership.self())
      ? `${what}; it is renewed: another process runs with the node_id ${JSON.stringify(self)}, which must be unique`
      : `${what}; it is alive and renews it`
  }

  /** The bucket's own lock, where it has one: whoever reigns holds it. */
  const lockProof = Effect.suspend(() =>
    store.exclusive === undefined ? Effect.succeed(undefined) : Effect.scoped(store.exclusive)
  )

  const ownHighest = (): number => {
    const { promises, last } = local.opened
    return Math.max(promises.reigned, promises.fenced, last.term)
  }

  return (found, reason) =>
    Effect.gen(function* () {
      const current = found?.arbiter
      const lock = yield* lockProof
      if (lock === false) {
        const holder = current === undefined || current.resigned ? "another process" : showNode(current.primary)
        wait({ what: `${holder}, which uses this storage, to end`, until: undefined })
        return standing.handOver === undefined ? pollMillis : handOverPollMillis
      }
      const answers = yield* ballot.askStates(() => true)
      // What a node said may have shown that there is no reason any more.
      if (standing.reason() === undefined) return 0
      const seenAtMillis = found === undefined ? 0 : standing.seenAt(found.etag)
      const now = nowMillis()
      const verdict = storeVerdict(
        { arbiter: current, seenAtMillis, nowMillis: now, lockProof: lock === true },
        answers
      )
      if (verdict.kind === "wait") {
        wait({ what: whoseLease(current!, found!.etag), until: verdict.untilMillis })
        return Math.min(pollMillis, Math.max(1, verdict.untilMillis - now))
      }
      // Without an arbiter the bucket may have been emptied: no term that any node knows of is used again either.
      const highestTerm =
        current === undefined
          ? Math.max(
              yield* history.highestTerm,
              ...answers.map(highestKnown),
              ownHighest(),
              standing.arbiter?.term ?? 0
            )
          : 0
      const term = (current?.term ?? highestTerm) + 1
      const able = answers.filter(
        ({ name }) =>
          !standing.isLeaving(name.nodeId) &&
          !(reason.kind === "unable" && current !== undefined && sameNode(name, current.primary)) &&
          !(name.nodeId === self && local.opened.promises.reigned >= term)
      )
      const winner = electByStore(term, able, ballot.preferences())
      if (winner === undefined) {
        if (reason.kind === "unable" || answers.some(({ name }) => standing.isLeaving(name.nodeId))) {
          wait({ what: `another node to answer: ${reason.why}`, until: undefined })
          return pollMillis
        }
        return yield* new ElectionImpossible({
          key: arbiterKey,
          reason: `the next term would be ${term}, but every node that answers has promised that term away already; the bucket was put back to an older state`
        })
      }
      const next = nextTerm(current, winner.name, {
        highestTerm,
        leaseMillis,
        timeoutMillis: settings.elector.deregistrationTimeoutMillis
      })
      return yield* ballot.write(found, next, `${reason.why}; ${verdict.because}`)
    })
}

const highestKnown = ({ term, fenced, last }: NodeReport): number => Math.max(term, fenced, last.term)
