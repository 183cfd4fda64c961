/** What other nodes, and this one, ask of the Elector. Whatever needs the bucket is done one after the other. */
import { Effect, Queue } from "effect"
import { sameNode } from "../../core/election/arbiter.ts"
import type { LeaveRequest, NodeReport } from "../../core/wire/peer/messages.ts"
import {
  decodeHandOverRequest,
  decodeHeartbeatRequest,
  decodeLeaveRequest,
  encodeClusterState
} from "../../core/wire/peer/codecs.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import { Code } from "../../core/wire/errors.ts"
import type { PeerAnswer, PeerMethod } from "../../services/PeerNetwork.ts"
import type { ElectorParts } from "./parts.ts"
import type { Standing } from "./Standing.ts"

/** Nodes that say hello or leave at the same time. */
const jobsMax = 256
const empty = new Uint8Array(0)

export interface RequestsOptions {
  /** Undefined: this node does not hold the lock. */
  readonly standing: () => Standing | undefined
  /** A node has reason to think that another one is gone. */
  readonly suspect: (nodeId: string) => void
  /** Something happened that the Elector has to look at. */
  readonly wake: () => void
}

interface Job {
  readonly answer: PeerAnswer
  readonly run: Effect.Effect<void, { readonly message: string }>
}

/** Registers the handlers; the returned effect does the work that waits for the bucket, and never ends. */
export const makeRequests = (parts: ElectorParts, options: RequestsOptions): Effect.Effect<Effect.Effect<never>> =>
  Effect.gen(function* () {
    const { peers, membership, log, nowMillis } = parts
    const jobs = yield* Queue.dropping<Job>(jobsMax)

    /** False: refused, there are too many before it. */
    const later = (answer: PeerAnswer, run: Job["run"]): boolean => {
      const isTaken = Queue.offerUnsafe(jobs, { answer, run })
      if (!isTaken) answer.fail(Code.ResourceExhausted, "too many nodes say hello")
      return isTaken
    }

    /** Who has said hello and waits for the answer: incarnations. */
    const greeting = new Set<string>()

    const reply = (standing: Standing, answer: PeerAnswer): void => answer.succeed(encodeClusterState(standing.state()))

    /** Refuses what cannot be understood, what is not the Elector's business, and who says it is another node. */
    const handler =
      <A>(
        decode: (request: Uint8Array) => A,
        nodeIdOf: (request: A) => string | undefined,
        body: (standing: Standing, request: A, from: string, answer: PeerAnswer) => void
      ): PeerMethod =>
      (bytes, from, answer) => {
        let request: A
        try {
          request = decode(bytes)
        } catch (error) {
          return answer.fail(Code.InvalidArgument, error instanceof Error ? error.message : String(error))
        }
        const standing = options.standing()
        if (standing === undefined) return answer.fail(Code.FailedPrecondition, "this node is not the elector")
        if (!standing.isReady) return answer.fail(Code.Unavailable, "the elector is still reading the registrations")
        const nodeId = nodeIdOf(request) ?? from
        if (nodeId !== from) return answer.fail(Code.PermissionDenied, `node ${from} may not speak for ${nodeId}`)
        body(standing, request, from, answer)
      }

    /** A node that this Elector does not know, under this incarnation: its registration decides. */
    const hello = (standing: Standing, report: NodeReport, answer: PeerAnswer) =>
      Effect.gen(function* () {
        const { nodeId, incarnation } = report.name
        const registration = yield* membership.read(nodeId)
        if (registration === undefined) {
          return answer.fail(Code.NotFound, `node ${nodeId} is not registered`)
        }
        if (registration.incarnation !== incarnation) {
          const reason = `another process has registered as ${JSON.stringify(nodeId)}, which must be unique`
          log.warn("heartbeat_refused", { target_node_id: nodeId, incarnation, reason })
          return answer.fail(Code.FailedPrecondition, reason)
        }
        const memberId = yield* membership.allocate(nodeId)
        if (options.standing() !== standing) return answer.fail(Code.FailedPrecondition, "this node is not the elector")
        const { peerAddress, clientAddress } = report
        standing.map.register({ name: report.name, memberId, peerAddress, clientAddress }, nowMillis())
        standing.map.heard(report, nowMillis())
        log.info("node_registered", { target_node_id: nodeId, member_id: memberId, trigger: "direct" })
        standing.tell()
        options.wake()
        reply(standing, answer)
      })

    peers.handle(
      peerMethods.heartbeat,
      handler(
        decodeHeartbeatRequest,
        ({ report }) => report.name.nodeId,
        (standing, { report, suspects }, _from, answer) => {
          const known = standing.map.get(report.name.nodeId)
          if (known === undefined || !sameNode(known.info.name, report.name)) {
            const { incarnation } = report.name
            if (greeting.has(incarnation)) return answer.fail(Code.Unavailable, "the first hello is not answered yet")
            const done = Effect.sync(() => greeting.delete(incarnation))
            if (later(answer, hello(standing, report, answer).pipe(Effect.ensuring(done)))) greeting.add(incarnation)
            return
          }
          const wasDegraded = known.degradedSince !== undefined
          const before = standing.reason()
          if (standing.map.heard(report, nowMillis())) standing.tell()
          if (wasDegraded) log.info("node_recovered", { target_node_id: report.name.nodeId })
          if (suspects !== "") options.suspect(suspects)
          if (before === undefined && standing.reason() !== undefined) options.wake()
          reply(standing, answer)
        }
      )
    )

    const leave = (standing: Standing, { name }: LeaveRequest, reason: string, answer: PeerAnswer) =>
      Effect.gen(function* () {
        const { nodeId } = name
        yield* membership.deregister(nodeId)
        standing.map.remove(nodeId)
        log.info("node_deregistered", { target_node_id: nodeId, trigger: "direct", reason })
        standing.tell()
        options.wake()
        answer.succeed(empty)
      })

    peers.handle(
      peerMethods.leave,
      handler(
        decodeLeaveRequest,
        () => undefined,
        (standing, request, from, answer) => {
          const { nodeId } = request.name
          const known = standing.map.get(nodeId)
          // A process of another incarnation has the name now.
          if (known === undefined || !sameNode(known.info.name, request.name)) return answer.succeed(empty)
          if (nodeId !== from) {
            // An operator declares another node dead (MemberRemove): only one that has fallen silent.
            if (!request.forGood) return answer.fail(Code.PermissionDenied, `node ${from} may not speak for ${nodeId}`)
            if (known.degradedSince === undefined) {
              return answer.fail(Code.FailedPrecondition, `node ${nodeId} was heard of a moment ago`)
            }
            later(answer, leave(standing, request, "removed by an operator", answer))
            return
          }
          standing.map.leaving(from, true)
          options.wake()
          if (request.forGood) later(answer, leave(standing, request, "shutdown", answer))
          else answer.succeed(empty)
        }
      )
    )

    peers.handle(
      peerMethods.handOver,
      handler(
        decodeHandOverRequest,
        () => undefined,
        (standing, { term, to }, from, answer) => {
          const { arbiter } = standing
          // Said again after the resignation landed: it was heard.
          if (arbiter !== undefined && arbiter.term > term) return answer.succeed(empty)
          if (arbiter === undefined || arbiter.term !== term || arbiter.primary.nodeId !== from) {
            return answer.fail(Code.FailedPrecondition, `node ${from} is not the Primary of term ${term}`)
          }
          log.info("hand_over_announced", { from, to, term })
          standing.announce(from, to, term)
          options.wake()
          answer.succeed(empty)
        }
      )
    )

    return Effect.forever(
      Effect.flatMap(Queue.take(jobs), ({ answer, run }) =>
        run.pipe(Effect.catch((error) => Effect.sync(() => answer.fail(Code.Unavailable, error.message))))
      )
    )
  })
