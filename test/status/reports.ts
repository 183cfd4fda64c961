/** Reports of the nodes a, b and c of a cluster at work, for tests. */
import type { NodeReport } from "../../src/core/wire/peer/messages.ts"
import { nameOf } from "../cluster-view/states.ts"
import { reportOf as plainReport } from "../support/reports.ts"

export const reportOf = (nodeId: string, change: Partial<NodeReport> = {}): NodeReport =>
  plainReport(nameOf(nodeId), {
    memberId: BigInt("abc".indexOf(nodeId) + 1),
    version: "2.0.0",
    startedAtSeconds: 1_750_000_000,
    term: 7,
    fenced: 7,
    last: { index: 1_204, term: 7 },
    lastRevision: 1_190,
    commitIndex: 1_204,
    committedRevision: 1_190,
    floor: 800,
    storedIndex: 1_200,
    mode: "quorum",
    ...change
  })
