/**
 * One round of an election (design 6.4): read the arbiter, ask, fence, write. A round that cannot end says what it
 * waits for and when to look again; every round starts over with a fresh reading.
 */
import { Effect } from "effect"
import {
  type Arbiter,
  arbiterKey,
  encodeArbiter,
  type NodeName,
  nextTerm,
  sameNode,
  showNode
} from "../../core/election/arbiter.ts"
import {
  electByQuorum,
  electByStore,
  planFence,
  type Preferences,
  type QuorumRound,
  storeVerdict
} from "../../core/election/election.ts"
import { decodeRecoverOrder, recoverOrderKey } from "../../core/election/recoverOrder.ts"
import { isGoneForGood } from "../../core/election/recovery.ts"
import type { Reason } from "../../core/election/reasons.ts"
import { isoTime } from "../../core/isoTime.ts"
import { decodeFenceAnswer, decodeNodeReport, encodeFenceRequest } from "../../core/wire/peer/codecs.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { FenceAnswer, NodeReport } from "../../core/wire/peer/messages.ts"
import type { HistoryError } from "../../services/History.ts"
import type { MembershipInvalid } from "../../services/Membership.ts"
import type { Condition } from "../../services/ObjectStore.ts"
import { ask, type Asked } from "./ask.ts"
import type { ElectorMetrics } from "./metrics.ts"
import {
  bounded,
  type BucketFailed,
  ElectionImpossible,
  type ElectorParts,
  type FoundArbiter,
  readArbiter
} from "./parts.ts"
import type { Standing } from "./Standing.ts"

export type RoundFailed = BucketFailed | HistoryError | MembershipInvalid | ElectionImpossible

const stateMillis = 1_000
const fenceMillis = 3_000
/** While something is waited for: how often the arbiter is looked at, since its holder may be alive and renew. */
const pollMillis = 1_000
/** A resignation that was announced is on its way. */
const handOverPollMillis = 50
const againMillis = 50
const refusedMillis = 500

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
  const { store, local, membership, history, reports, settings, log, clock, nowMillis, wait } = parts
  const self = settings.nodeId
  /** The term that is waited for, and how its arbiter was first seen. */
  let waitedFor = { term: 0, etag: "" }

  const preferences = (): Preferences => ({
    elector: self,
    wanted: standing.handOver?.to ?? "",
    avoided: standing.stopping()
  })

  const others = (): ReadonlyArray<Asked> =>
    standing.map
      .entries()
      .filter(({ info }) => info.name.nodeId !== self)
      .map(({ info, degradedSince, leaving }) => ({ info, isExpected: degradedSince === undefined && !leaving }))

  /** The status question; an answer is a sign of life. */
  const askStates = (enough: (reports: ReadonlyArray<NodeReport>) => boolean) =>
    Effect.gen(function* () {
      const own = reports.current()
      const answers = yield* ask(parts, others(), {
        method: peerMethods.getNodeState,
        request: new Uint8Array(0),
        decode: decodeNodeReport,
        timeoutMillis: stateMillis,
        enough: (found) => enough([own, ...found])
      })
      options.metrics.contacted(answers.length, standing.map.size - 1 - answers.length)
      const now = nowMillis()
      for (const report of answers) standing.map.heard(report, now, false)
      return [own, ...answers]
    })

  /** What is waited for. A holder that renews is alive; one that has this node's id should not exist. */
  const whoseLease = (current: Arbiter, etag: string): string => {
    if (waitedFor.term !== current.term) waitedFor = { term: current.term, etag }
    const what = `the lease of ${showNode(current.primary)}, Primary of term ${current.term}, to end`
    if (waitedFor.etag === etag) return what
    return current.primary.nodeId === self && !sameNode(current.primary, membership.self())
      ? `${what}; it is renewed: another process runs with the node_id ${JSON.stringify(self)}, which must be unique`
      : `${what}; it is alive and renews it`
  }

  /** Writes the term. Whoever wrote what then stands there, everybody is told of it. */
  const write = (found: FoundArbiter | undefined, next: Arbiter, why: string) =>
    Effect.gen(function* () {
      const unchangedSince =
        clock.currentTimeMillisUnsafe() - (nowMillis() - (found === undefined ? 0 : standing.seenAt(found.etag)))
      log.info("election_started", { role: "primary", term: next.term, reason: why })
      const condition: Condition = found === undefined ? { ifAbsent: true } : { ifMatch: found.etag }
      const written = yield* store.put(arbiterKey, encodeArbiter(next), condition).pipe(
        bounded("PUT", arbiterKey),
        Effect.map((put): FoundArbiter | undefined => ({ arbiter: next, etag: put.etag })),
        Effect.catchTag(["PreconditionFailed", "Conflict", "Unavailable"], (error) =>
          Effect.suspend(() => {
            log.warn("election_stage_completed", { stage: "arbiter_write", error: error.message })
            return Effect.map(readArbiter(parts), (now) => {
              if (now !== undefined) standing.seenAt(now.etag)
              return now !== undefined && now.arbiter.term >= next.term ? now : undefined
            })
          })
        )
      )
      if (written === undefined) return againMillis
      const { arbiter } = written
      if (next.recovered?.term === next.term && sameNode(arbiter.primary, next.primary) && arbiter.term === next.term) {
        options.metrics.recovered()
        log.error("recovered_with_possible_loss", {
          term: next.term,
          index: next.recovered.index,
          primary: showNode(next.primary),
          lost_voters: found!.arbiter.voters.filter((v) => !sameNode(v, next.primary)).map(showNode),
          arbiter_unchanged_since: isoTime(unchangedSince),
          at_risk: `what was acknowledged at index ${next.recovered.index} and above and is not in the bucket or in the log of ${showNode(next.primary)}`
        })
      }
      wait(undefined)
      log.info("election_completed", {
        role: "primary",
        elected_node_id: arbiter.primary.nodeId,
        term: arbiter.term,
        mode: arbiter.mode
      })
      standing.adopt(written)
      return 0
    })

  /** The bucket's own lock, where it has one: whoever reigns holds it. */
  const lockProof = Effect.suspend(() =>
    store.exclusive === undefined ? Effect.succeed(undefined) : Effect.scoped(store.exclusive)
  )

  const byStore = (found: FoundArbiter | undefined, reason: Reason) =>
    Effect.gen(function* () {
      const current = found?.arbiter
      const lock = yield* lockProof
      if (lock === false) {
        const holder = current === undefined || current.resigned ? "another process" : showNode(current.primary)
        wait({ what: `${holder}, which uses this storage, to end`, until: undefined })
        return standing.handOver === undefined ? pollMillis : handOverPollMillis
      }
      const answers = yield* askStates(() => true)
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
          !(reason.kind === "unable" && current !== undefined && sameNode(name, current.primary)) &&
          !(name.nodeId === self && local.opened.promises.reigned >= term)
      )
      const winner = electByStore(term, able, preferences())
      if (winner === undefined) {
        if (reason.kind === "unable") {
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
        leaseMillis: options.leaseMillis,
        timeoutMillis: settings.elector.deregistrationTimeoutMillis
      })
      return yield* write(found, next, `${reason.why}; ${verdict.because}`)
    })

  const ownHighest = (): number => {
    const { promises, last } = local.opened
    return Math.max(promises.reigned, promises.fenced, last.term)
  }

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

  const byQuorum = (found: FoundArbiter, reason: Reason) =>
    Effect.gen(function* () {
      const { arbiter } = found
      const seenAtMillis = standing.seenAt(found.etag)
      const needed = arbiter.voters.length - arbiter.required
      const isVoter = (name: NodeName) => arbiter.voters.some((voter) => sameNode(voter, name))
      const answers = yield* askStates((all) => all.filter(({ name }) => isVoter(name)).length >= needed)
      if (standing.reason() === undefined) return 0
      const reachable = answers
        .map(({ name }) => name)
        .filter((name) => !(reason.kind === "unable" && sameNode(name, arbiter.primary)))
      const { avoided } = preferences()
      let round: QuorumRound = { arbiter, seenAtMillis, nowMillis: nowMillis(), gone: [] }
      let plan = planFence(round, reachable, avoided)
      if (plan.kind === "wait") {
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
      const next = electByQuorum({ ...round, nowMillis: nowMillis() }, fenced, preferences())
      if (next === undefined) {
        wait({
          what: `${needed} voters to grant a fence at term ${arbiter.term + 1}, ${fenced.length} have`,
          until: undefined
        })
        return refusedMillis
      }
      return yield* write(found, next, reason.why)
    })

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

const highestKnown = ({ term, fenced, last }: NodeReport): number => Math.max(term, fenced, last.term)
