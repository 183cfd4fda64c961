/**
 * `Forwarding` over the peers' network, both halves: what clients of this node ask goes to the Active Primary, and what
 * other nodes send is executed here while this node is it.
 */
import { Clock, Effect, Latch, Layer } from "effect"
import { Code, errors, isEtcdError } from "../core/wire/errors.ts"
import {
  decodeForwardRequest,
  decodeKeepAliveRequest,
  encodeForwardAnswer,
  encodeKeepAliveAnswer
} from "../core/wire/peer/forward.ts"
import { peerMethods } from "../core/wire/peer/methods.ts"
import { MalformedMessage } from "../core/wire/protobuf.ts"
import type { CallContext, UnaryReply } from "../services/ClientApi.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { Forwarding } from "../services/Forwarding.ts"
import { Leases } from "../services/Leases.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { type PeerAnswer, type PeerMethod, PeerNetwork } from "../services/PeerNetwork.ts"
import { Replicator } from "../services/Replicator.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { CallRelay } from "./forwarding/CallRelay.ts"
import { KeepAliveRelay, leasesMax, renewHere } from "./forwarding/KeepAliveRelay.ts"
import { RelayedKeepAlives } from "./forwarding/RelayedKeepAlives.ts"
import { notPrimary, tickMillis } from "./forwarding/surroundings.ts"

export interface ForwardingPeersOptions {
  /** Calls of this node's clients that are not answered. Default 16,384. */
  readonly callsMax?: number
  /** Bytes of their requests. Default 64 MiB. */
  readonly bytesMax?: number
}

const notHere = "this node is not the Active Primary"

export const layer = (
  options: ForwardingPeersOptions = {}
): Layer.Layer<Forwarding, never, PeerNetwork | ClusterView | Replicator | Leases | NodeStatus | Supervisor> =>
  Layer.effect(
    Forwarding,
    Effect.gen(function* () {
      const network = yield* PeerNetwork
      const view = yield* ClusterView
      const replicator = yield* Replicator
      const leases = yield* Leases
      const status = yield* NodeStatus
      const supervisor = yield* Supervisor
      const clock = yield* Clock.Clock
      const work = yield* Latch.make(false)

      const isActive = (): boolean => replicator.role() === "active"
      const surroundings = {
        network,
        isActive,
        primary: replicator.primary,
        now: () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
        wake: () => work.openUnsafe()
      }
      const calls = new CallRelay({
        ...surroundings,
        whenApplied: replicator.whenApplied,
        memberId: status.memberId,
        callsMax: options.callsMax ?? 16_384,
        bytesMax: options.bytesMax ?? 64 * 1024 * 1024
      })
      const keepAlives = new KeepAliveRelay({ ...surroundings, leases, header: status.header })

      const changed = (): void => {
        calls.changed()
        keepAlives.changed()
      }
      replicator.onRole(changed)
      yield* Effect.acquireRelease(
        Effect.sync(() => view.onChange(changed)),
        (unregister) => Effect.sync(unregister)
      )

      yield* supervisor.spawn(
        "forwarding",
        Effect.gen(function* () {
          yield* work.await
          yield* Effect.sleep(tickMillis)
          calls.tick()
          keepAlives.tick()
          if (calls.isIdle && keepAlives.isIdle) work.closeUnsafe()
        }).pipe(Effect.forever)
      )
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          calls.stop()
          keepAlives.stop()
        })
      )

      /** Only the Active Primary looks at a request; one that nobody can read says so. */
      const whenActive =
        (run: (bytes: Uint8Array, answer: PeerAnswer) => void): PeerMethod =>
        (bytes, _from, answer) => {
          if (!isActive()) return answer.fail(notPrimary, notHere)
          try {
            run(bytes, answer)
          } catch (error) {
            if (error instanceof MalformedMessage) return answer.fail(Code.InvalidArgument, error.message)
            supervisor.fail("forwarding", error)
            answer.fail(Code.Internal, "netsy: internal error")
          }
        }

      let execute: ((method: string, request: Uint8Array, context: CallContext, reply: UnaryReply) => void) | undefined

      network.handle(
        peerMethods.forward,
        whenActive((bytes, answer) => {
          if (execute === undefined) return answer.fail(notPrimary, notHere)
          const { commonName, identity, metadata, method, request } = decodeForwardRequest(bytes)
          const values = new Map(metadata)
          const context: CallContext = {
            identity,
            commonName,
            metadata: (name) => values.get(name),
            onClosed: answer.onCancelled,
            forwarded: true
          }
          // A copy that owns its memory: views into it are kept. All of what an answer shows is committed when it is given.
          execute(method, request.slice(), context, {
            succeed: (response) =>
              answer.succeed(encodeForwardAnswer({ response, code: 0, message: "", index: replicator.commitIndex() })),
            fail: (error) => {
              // It ceased to be the Primary before it came to the request: another one may have it.
              if (error === errors.noLeader && !isActive()) return answer.fail(notPrimary, notHere)
              const { code, message } = error
              answer.succeed(
                encodeForwardAnswer({ response: undefined, code, message, index: replicator.commitIndex() })
              )
            }
          })
        })
      )

      network.handle(
        peerMethods.keepAlive,
        whenActive((bytes, answer) => {
          const ids = decodeKeepAliveRequest(bytes).leases
          if (ids.length === 0 || ids.length > leasesMax) {
            return answer.fail(Code.InvalidArgument, `1 … ${leasesMax} leases, not ${ids.length}`)
          }
          const cancel = renewHere(leases, ids, (answers) => {
            if (!isEtcdError(answers)) {
              const { raftTerm: term, revision } = answers[0]!.header!
              answer.succeed(encodeKeepAliveAnswer({ revision, term, ttls: answers.map(({ ttl }) => ttl) }))
            } else if (isActive()) answer.fail(answers.code, answers.message)
            else answer.fail(notPrimary, notHere)
          })
          answer.onCancelled(cancel)
        })
      )

      return Forwarding.of({
        run: (call) => calls.run(call),
        serve: (run) => {
          execute = run
        },
        keepAlives: (sink) => new RelayedKeepAlives(keepAlives, sink)
      })
    })
  )
