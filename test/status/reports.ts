/** Reports of nodes, for tests. */
import type { NodeReport } from "../../src/core/wire/peer/messages.ts"
import { nameOf } from "../cluster-view/states.ts"

export const reportOf = (nodeId: string, over: Partial<NodeReport> = {}): NodeReport => ({
  name: nameOf(nodeId),
  memberId: BigInt("abc".indexOf(nodeId) + 1),
  version: "2.0.0",
  peerAddress: `${nodeId}:2381`,
  clientAddress: `${nodeId}:2378`,
  startedAtSeconds: 1_750_000_000,
  health: "healthy",
  elector: "follower",
  primary: "replica",
  term: 7,
  fenced: 7,
  last: { index: 1_204, term: 7 },
  lastRevision: 1_190,
  commitIndex: 1_204,
  committedRevision: 1_190,
  floor: 800,
  storedIndex: 1_200,
  mayAcknowledge: true,
  refusedTerm: 0,
  lagEntries: 0,
  lagMillis: 0,
  mode: "quorum",
  voters: [],
  required: 0,
  bufferedBytes: 0,
  lastSnapshotIndex: 0,
  lastChunkIndex: 0,
  waitingFor: "",
  waitingMillis: 0,
  troubles: [],
  ...over
})
