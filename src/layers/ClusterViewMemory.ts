/**
 * `ClusterView` in plain variables, fed by offers and by what the Elector pushes. Keeps term, Primary and member id of
 * `NodeStatus` current, so that response headers are right before any listener is told.
 */
import { Effect, Layer } from "effect"
import { isNewer, primaryOf, pushProblem, unknownState } from "../core/cluster/view.ts"
import { type NodeName, sameNode } from "../core/election/arbiter.ts"
import { emptyBytes } from "../core/log/record.ts"
import { Code } from "../core/wire/errors.ts"
import { decodeClusterState } from "../core/wire/peer/codecs.ts"
import { peerMethods } from "../core/wire/peer/methods.ts"
import type { ClusterState, NodeInfo } from "../core/wire/peer/messages.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { PeerNetwork } from "../services/PeerNetwork.ts"
import { Settings } from "../services/Settings.ts"

export const layer: Layer.Layer<ClusterView, never, NodeStatus | Settings | PeerNetwork | Log> = Layer.effect(
  ClusterView,
  Effect.gen(function* () {
    const status = yield* NodeStatus
    const { nodeId } = yield* Settings
    const network = yield* PeerNetwork
    const log = yield* Log

    let state = unknownState
    let self: NodeName | undefined
    const listeners = new Set<(state: ClusterState) => void>()
    const suspicious = new Set<(nodeId: string) => void>()

    const node = (id: string): NodeInfo | undefined => state.nodes.find(({ name }) => name.nodeId === id)

    const tellStatus = (): void => {
      const own = node(nodeId)
      if (own !== undefined && own.memberId !== 0n) status.setMember(own.memberId)
      status.setTerm(state.arbiter?.term ?? 0, primaryOf(state)?.memberId ?? 0n)
    }

    const tellLog = (before: ClusterState): void => {
      const was = before.arbiter
      const is = state.arbiter
      const sameReign =
        was?.term === is?.term &&
        was?.resigned === is?.resigned &&
        was?.mode === is?.mode &&
        was?.required === is?.required &&
        was?.voters.length === is?.voters.length
      if (sameReign && before.elector === state.elector) return
      log.info("cluster_state_updated", {
        elector_node_id: state.elector,
        elector_peer_addr: node(state.elector)?.peerAddress,
        primary_node_id: is?.primary.nodeId,
        primary_peer_addr: is === undefined ? undefined : node(is.primary.nodeId)?.peerAddress,
        term: is?.term,
        resigned: is?.resigned === true ? true : undefined,
        mode: is?.mode,
        voters: is?.mode === "quorum" ? is.voters.map((voter) => voter.nodeId) : undefined,
        required: is?.mode === "quorum" ? is.required : undefined
      })
    }

    const offer = (offered: ClusterState): boolean => {
      if (!isNewer(offered, state)) return false
      const before = state
      state = offered
      tellStatus()
      tellLog(before)
      // A listener may offer in turn: whoever comes later is then told the newest state twice, never an old one.
      for (const listener of [...listeners]) listener(state)
      return true
    }

    network.handle(peerMethods.pushClusterState, (request, from, answer) => {
      let pushed: ClusterState
      try {
        pushed = decodeClusterState(request)
      } catch (error) {
        return answer.fail(Code.InvalidArgument, error instanceof Error ? error.message : String(error))
      }
      const problem = pushProblem(pushed, from)
      if (problem !== undefined) {
        log.warn("cluster_state_refused", { from, reason: problem })
        return answer.fail(Code.PermissionDenied, problem)
      }
      offer(pushed)
      answer.succeed(emptyBytes)
    })

    return ClusterView.of({
      current: () => state,
      offer,
      node,
      primary: () => primaryOf(state),
      isSelf: (name) => self !== undefined && sameNode(name, self),
      settle: (name) => {
        self = name
      },
      onChange: (listener) => {
        // Each registration is its own, also of the same function.
        const own = (next: ClusterState): void => listener(next)
        listeners.add(own)
        return () => listeners.delete(own)
      },
      suspect: (id) => {
        for (const listener of [...suspicious]) listener(id)
      },
      onSuspect: (listener) => {
        const own = (id: string): void => listener(id)
        suspicious.add(own)
        return () => suspicious.delete(own)
      }
    })
  })
)
