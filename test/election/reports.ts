import type { NodeName } from "../../src/core/election/arbiter.ts"
import type { NodeReport } from "../../src/core/wire/peer/messages.ts"

/** What a healthy replica says that has nothing. */
export const reportOf = (name: NodeName, change: Partial<NodeReport> = {}): NodeReport => ({
  name,
  memberId: 1n,
  version: "test",
  peerAddress: `${name.nodeId}:2381`,
  clientAddress: `${name.nodeId}:2378`,
  startedAtSeconds: 100,
  health: "healthy",
  elector: "follower",
  primary: "replica",
  term: 0,
  fenced: 0,
  last: { index: 0, term: 0 },
  lastRevision: 0,
  commitIndex: 0,
  committedRevision: 0,
  floor: 0,
  storedIndex: 0,
  mayAcknowledge: true,
  refusedTerm: 0,
  lagEntries: 0,
  lagMillis: 0,
  mode: "store",
  voters: [],
  required: 0,
  bufferedBytes: 0,
  lastSnapshotIndex: 0,
  lastChunkIndex: 0,
  waitingFor: "",
  waitingMillis: 0,
  troubles: [],
  ...change
})
