/**
 * This node's report about itself (`NodeReport`): made on demand from what the parts of the node contribute. Heartbeats,
 * the Elector's questions, fences and `netsy status` all use it.
 */
import { Context } from "effect"
import type { NodeReport } from "../core/wire/peer/messages.ts"

/** The parts of a report that whoever replicates knows. */
export type LogReport = Pick<
  NodeReport,
  | "fenced"
  | "last"
  | "lastRevision"
  | "commitIndex"
  | "committedRevision"
  | "floor"
  | "storedIndex"
  | "mayAcknowledge"
  | "refusedTerm"
  | "lagEntries"
  | "lagMillis"
  | "mode"
  | "voters"
  | "required"
  | "bufferedBytes"
  | "lastSnapshotIndex"
  | "lastChunkIndex"
>

export class NodeReports extends Context.Service<
  NodeReports,
  {
    readonly current: () => NodeReport
    /** Who replicates says once how to ask it; before that the log of `LocalStore.opened` is reported. */
    readonly provideLog: (report: () => LogReport) => void
  }
>()("netsy/services/NodeReports") {}
