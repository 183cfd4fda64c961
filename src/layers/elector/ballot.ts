/** What elections in both modes are made of: the question to the nodes, who is preferred, the write that ends it. */
import { Effect } from "effect"
import { type Arbiter, arbiterKey, encodeArbiter, sameNode, showNode } from "../../core/election/arbiter.ts"
import type { Preferences } from "../../core/election/election.ts"
import { isoTime } from "../../core/isoTime.ts"
import { decodeNodeReport } from "../../core/wire/peer/codecs.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { NodeReport } from "../../core/wire/peer/messages.ts"
import type { HistoryError } from "../../services/History.ts"
import type { MembershipInvalid } from "../../services/Membership.ts"
import type { Condition } from "../../services/ObjectStore.ts"
import { ask, type Asked } from "./ask.ts"
import type { ElectorMetrics } from "./metrics.ts"
import {
  bounded,
  type BucketFailed,
  type ElectionImpossible,
  type ElectorParts,
  type FoundArbiter,
  readArbiter
} from "./parts.ts"
import type { Standing } from "./Standing.ts"

export type RoundFailed = BucketFailed | HistoryError | MembershipInvalid | ElectionImpossible

const stateMillis = 1_000
/** While something is waited for: how often the arbiter is looked at, since its holder may be alive and renew. */
export const pollMillis = 1_000
/** A resignation that was announced is on its way. */
export const handOverPollMillis = 50
/** Another round, since somebody else has written. */
const againMillis = 50

export interface Ballot {
  readonly preferences: () => Preferences
  /** The status question, to everybody; this node's own report is among the answers. An answer is a sign of life. */
  readonly askStates: (
    enough: (reports: ReadonlyArray<NodeReport>) => boolean
  ) => Effect.Effect<ReadonlyArray<NodeReport>>
  /** Writes the term. Whoever wrote what then stands there, everybody is told of it. How long until the next round. */
  readonly write: (found: FoundArbiter | undefined, next: Arbiter, why: string) => Effect.Effect<number, RoundFailed>
}

export const makeBallot = (parts: ElectorParts, standing: Standing, metrics: ElectorMetrics): Ballot => {
  const { store, reports, settings, log, clock, nowMillis, wait } = parts
  const self = settings.nodeId

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

  const askStates: Ballot["askStates"] = (enough) =>
    Effect.gen(function* () {
      const own = reports.current()
      const answers = yield* ask(parts, others(), {
        method: peerMethods.getNodeState,
        request: new Uint8Array(0),
        decode: decodeNodeReport,
        timeoutMillis: stateMillis,
        enough: (found) => enough([own, ...found])
      })
      metrics.contacted(answers.length, standing.map.size - 1 - answers.length)
      const now = nowMillis()
      for (const report of answers) standing.map.heard(report, now, false)
      return [own, ...answers]
    })

  const write: Ballot["write"] = (found, next, why) =>
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
        metrics.recovered()
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

  return { preferences, askStates, write }
}
