/** An election in mode quorum: voters are asked, then fenced, and the highest log wins (design 6.4). */
import { Effect } from "effect"
import { type Arbiter, asModeStore, type NodeName, sameNode, showNode } from "../../core/election/arbiter.ts"
import { answersNeeded, electByQuorum, isAmong, planFence, type QuorumRound } from "../../core/election/election.ts"
import { decodeRecoverOrder, recoverOrderKey } from "../../core/election/recoverOrder.ts"
import { isGoneForGood } from "../../core/election/recovery.ts"
import type { Reason } from "../../core/election/reasons.ts"
import { decodeFenceAnswer, encodeFenceRequest } from "../../core/wire/peer/codecs.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { FenceAnswer } from "../../core/wire/peer/messages.ts"
import { ask, type Asked } from "./ask.ts"
import { type Ballot, pollMillis, type RoundFailed } from "./ballot.ts"
import { bounded, type ElectorParts, type FoundArbiter } from "./parts.ts"
import type { Standing } from "./Standing.ts"

const fenceMillis = 3_000
const refusedMillis = 500

export const makeQuorumElection = (
  parts: ElectorParts,
  standing: Standing,
  ballot: Ballot,
  byStore: (found: FoundArbiter, reason: Reason) => Effect.Effect<number, RoundFailed>
): ((found: FoundArbiter, reason: Reason) => Effect.Effect<number, RoundFailed>) => {
  const { store, membership, settings, log, nowMillis, wait } = parts

  /** Voters that will never answer again, among those that do not. */
  const findGone = (arbiter: Arbiter, seenAtMillis: number) =>
    Effect.filter(
      arbiter.voters,
      (voter) =>
        Effect.gen(function* () {
          const entry = standing.map.get(voter.nodeId)
          const registered = yield* membership.read(voter.nodeId)
          return isGoneForGood(
            voter,
            { registered, heardAs: entry?.report?.name, heardAtMillis: entry?.heardAt ?? seenAtMillis },
            seenAtMillis,
            settings.elector.abandonAfterMillis,
            nowMillis()
          )
        }),
      { concurrency: 8 }
    )

  /** Has an operator said that the recovery of this term need not wait? */
  const isOrdered = ({ term }: Arbiter) =>
    store.get(recoverOrderKey).pipe(
      bounded("GET", recoverOrderKey),
      Effect.map((object) => decodeRecoverOrder(object.body) === term),
      Effect.catchTag("NotFound", () => Effect.succeed(false))
    )

  const fence = (term: number, names: ReadonlyArray<NodeName>, needed: number) =>
    Effect.map(
      ask(
        parts,
        names.flatMap((name): ReadonlyArray<Asked> => {
          const entry = standing.map.get(name.nodeId)
          return entry === undefined ? [] : [{ info: entry.info, isExpected: true }]
        }),
        {
          method: peerMethods.fence,
          request: encodeFenceRequest({ term }),
          decode: decodeFenceAnswer,
          timeoutMillis: fenceMillis,
          enough: (answers) => answers.filter(({ fenced }) => fenced).length >= needed
        }
      ),
      (answers: ReadonlyArray<FenceAnswer>) => {
        const refused = answers.find(({ fenced }) => !fenced)
        if (refused !== undefined) {
          const { name, fenced } = refused.report
          log.warn("fence_refused", { term, target_node_id: name.nodeId, fenced })
        }
        return answers.flatMap(({ fenced, report }) => (fenced ? [report] : []))
      }
    )

  return (found, reason) =>
    Effect.gen(function* () {
      const { arbiter } = found
      const seenAtMillis = standing.seenAt(found.etag)
      const needed = answersNeeded(arbiter)
      const answers = yield* ballot.askStates(
        (all) => all.filter(({ name }) => isAmong(arbiter.voters, name)).length >= needed
      )
      if (standing.reason() === undefined) return 0
      const reachable = answers
        .map(({ name }) => name)
        .filter((name) => !(reason.kind === "unable" && sameNode(name, arbiter.primary)))
      const { avoided } = ballot.preferences()
      let round: QuorumRound = { arbiter, seenAtMillis, nowMillis: nowMillis(), gone: [] }
      let plan = planFence(round, reachable, avoided)
      if (plan.kind === "wait") {
        const stored = asModeStore(arbiter)
        if (stored !== undefined) return yield* byStore({ ...found, arbiter: stored }, reason)
        const gone = yield* findGone(arbiter, seenAtMillis)
        round = { ...round, gone, ordered: gone.length > 0 && (yield* isOrdered(arbiter)), nowMillis: nowMillis() }
        plan = planFence(round, reachable, avoided)
      }
      if (plan.kind === "wait") {
        const who = plan.missing.map(showNode).join(", ")
        const count = `${plan.needed} of the ${arbiter.voters.length} voters of term ${arbiter.term} must answer, ${plan.answered} do`
        const what =
          plan.missing.length > 0
            ? `${who} to answer: ${count}`
            : plan.untilMillis === undefined
              ? `an operator: ${count}, the others are gone for good; \`netsy recover\` goes on without them`
              : `the recovery with possible loss: ${count}, the others are gone for good`
        wait({ what, until: plan.untilMillis })
        return plan.untilMillis === undefined
          ? pollMillis
          : Math.min(pollMillis, Math.max(1, plan.untilMillis - nowMillis()))
      }
      const fenced = yield* fence(arbiter.term + 1, plan.nodes, needed)
      const next = electByQuorum({ ...round, nowMillis: nowMillis() }, fenced, ballot.preferences())
      if (next === undefined) {
        wait({
          what: `${needed} voters to grant a fence at term ${arbiter.term + 1}, ${fenced.length} have`,
          until: undefined
        })
        return refusedMillis
      }
      if (standing.isLeaving(next.primary.nodeId)) {
        wait({
          what: `another voter to answer: ${showNode(next.primary)} has the highest log and stops`,
          until: undefined
        })
        return pollMillis
      }
      return yield* ballot.write(found, next, reason.why)
    })
}
