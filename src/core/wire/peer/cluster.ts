/** Codecs of what goes to and comes from the Elector. */
import { biguint64, bool, message, type Message, repeated, string } from "../codec/message.ts"
import { always, arbiter, count, nodeName } from "./fields.ts"
import type { ClusterState, HandOverRequest, HeartbeatRequest, LeaveRequest, NodeInfo } from "./messages.ts"
import { nodeReport } from "./report.ts"

const nodeInfo: Message<NodeInfo> = message("NodeInfo", {
  name: always(1, nodeName),
  memberId: biguint64(2),
  peerAddress: string(3),
  clientAddress: string(4)
})

const clusterState: Message<ClusterState> = message("ClusterState", {
  elector: string(1),
  serial: count(2),
  arbiter: arbiter(3),
  etag: string(4),
  nodes: repeated(5, nodeInfo)
})

const heartbeatRequest: Message<HeartbeatRequest> = message("HeartbeatRequest", {
  report: always(1, nodeReport),
  suspects: string(2)
})

const leaveRequest: Message<LeaveRequest> = message("LeaveRequest", { name: always(1, nodeName), forGood: bool(2) })

const handOverRequest: Message<HandOverRequest> = message("HandOverRequest", { term: count(1), to: string(2) })

export const { encode: encodeClusterState, decode: decodeClusterState } = clusterState
export const { encode: encodeHeartbeatRequest, decode: decodeHeartbeatRequest } = heartbeatRequest
export const { encode: encodeLeaveRequest, decode: decodeLeaveRequest } = leaveRequest
export const { encode: encodeHandOverRequest, decode: decodeHandOverRequest } = handOverRequest
