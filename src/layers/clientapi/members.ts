/** The other nodes as members: who has which id, and the removal of one that is dead. */
import { Code, type EtcdError, errors, etcdError } from "../../core/wire/errors.ts"
import { encodeLeaveRequest } from "../../core/wire/peer/cluster.ts"
import type { NodeInfo } from "../../core/wire/peer/messages.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import { emptyBytes } from "../../core/log/record.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { Reply } from "../../services/Kv.ts"
import type { PeerError, PeerNetwork } from "../../services/PeerNetwork.ts"

/** A node that says nothing for so long is taken for dead. */
const aliveMillis = 2_000
const leaveMillis = 5_000

/** Why membership is not changed by hand. */
export const notHere = (what: string): EtcdError =>
  etcdError(
    Code.FailedPrecondition,
    `netsy: ${what}: membership follows from the storage: a node joins when it is started with the cluster's storage ` +
      "and leaves when it is stopped; see docs/etcd-compatibility.md"
  )

const stillRuns = notHere("a member that runs cannot be removed by hand")

export interface Members {
  readonly nodeOf: (memberId: bigint) => NodeInfo | undefined
  /** Declares the node dead, for good: its promises count no more. Refused for one that answers. */
  readonly remove: (memberId: bigint, reply: Reply<void>) => void
}

export const makeMembers = (view: ClusterView["Service"], network: PeerNetwork["Service"]): Members => {
  const nodeOf = (memberId: bigint): NodeInfo | undefined =>
    view.current().nodes.find((node) => node.memberId === memberId)

  const leave = ({ name }: NodeInfo, reply: Reply<void>): void => {
    const elector = view.node(view.current().elector)
    if (elector === undefined) return reply.fail(errors.unhealthyCluster)
    const refused = (error: PeerError): EtcdError =>
      error._tag === "PeerRefused"
        ? etcdError(Code.FailedPrecondition, `netsy: ${error.reason}`)
        : error.unsent
          ? errors.unhealthyCluster
          : errors.requestTimedOut
    network.call(
      { nodeId: elector.name.nodeId, address: elector.peerAddress },
      peerMethods.leave,
      encodeLeaveRequest({ name, forGood: true }),
      leaveMillis,
      { succeed: () => reply.succeed(), fail: (error) => reply.fail(refused(error)) }
    )
  }

  return {
    nodeOf,
    remove: (memberId, reply) => {
      const node = nodeOf(memberId)
      if (node === undefined) return reply.fail(errors.memberNotFound)
      const { nodeId } = node.name
      if (view.isSelf(node.name)) return reply.fail(stillRuns)
      network.call({ nodeId, address: node.peerAddress }, peerMethods.getNodeState, emptyBytes, aliveMillis, {
        succeed: () => reply.fail(stillRuns),
        // Whoever refuses an answer lives.
        fail: (error) => (error._tag === "PeerRefused" ? reply.fail(stillRuns) : leave(node, reply))
      })
    }
  }
}
