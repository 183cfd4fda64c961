/** Cluster states and their parts, for tests. */
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import type { ClusterState, NodeInfo } from "../../src/core/wire/peer/messages.ts"

export const nameOf = (nodeId: string) => ({ nodeId, incarnation: `${nodeId}-disk` })

export const infoOf = (nodeId: string, memberId: bigint): NodeInfo => ({
  name: nameOf(nodeId),
  memberId,
  peerAddress: `${nodeId}:2381`,
  clientAddress: `${nodeId}:2378`
})

export const threeNodes = [infoOf("a", 1n), infoOf("b", 2n), infoOf("c", 3n)]

export const arbiterOf = (over: Partial<Arbiter> = {}): Arbiter => ({
  term: 1,
  primary: nameOf("a"),
  mode: "store",
  voters: [],
  required: 0,
  leaseMillis: 6_000,
  timeoutMillis: undefined,
  counter: 1,
  resigned: false,
  allStored: false,
  recovered: undefined,
  ...over
})

export const stateOf = (over: Partial<ClusterState> = {}): ClusterState => ({
  elector: "a",
  serial: 1,
  arbiter: arbiterOf(),
  etag: "e1",
  nodes: threeNodes,
  ...over
})
