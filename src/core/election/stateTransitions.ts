/** Which changes of a node's states are possible (netsy-1x.md 1.3). Everything else is a defect of who asks for it. */
import type { PrimaryState } from "../../services/NodeStatus.ts"

/**
 * Besides those of Netsy 1.x: an Active Primary that is deposed is a Replica at once (design 6.4), and one whose hand-over
 * came to nothing is Active again.
 */
const primaryNext: Readonly<Record<PrimaryState, ReadonlyArray<PrimaryState>>> = {
  replica: ["starting"],
  starting: ["active", "replica", "draining"],
  active: ["draining", "replica"],
  draining: ["replica", "active"]
}

export const mayBecome = (from: PrimaryState, to: PrimaryState): boolean => primaryNext[from].includes(to)
