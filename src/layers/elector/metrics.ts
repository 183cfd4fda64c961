/** The Elector's metrics (netsy-1x.md 14.2); those of the role are absent while this node does not have it. */
import { secondsBuckets } from "../../core/metrics/catalog.ts"
import type { NodeEntry } from "../../core/election/heartbeats.ts"
import type { Metrics } from "../../services/Metrics.ts"

export interface ElectorMetrics {
  readonly nodes: (entries: ReadonlyArray<NodeEntry>) => void
  readonly elected: (seconds: number) => void
  readonly failed: (seconds: number) => void
  readonly contacted: (success: number, failure: number) => void
  readonly deregistered: () => void
  readonly recovered: () => void
  /** The role is lost. */
  readonly clear: () => void
}

export const makeElectorMetrics = (metrics: Metrics["Service"]): ElectorMetrics => {
  const prefix = "netsy_elector"
  const registered = metrics.gauge({ name: `${prefix}_registered_nodes`, help: "Nodes that the Elector knows." })
  const healthy = metrics.gauge({ name: `${prefix}_healthy_nodes`, help: "Nodes that are not degraded." })
  const degraded = metrics.gauge({ name: `${prefix}_degraded_nodes`, help: "Nodes that are degraded." })
  const elections = metrics.counter({
    name: `${prefix}_primary_elections_total`,
    help: "Elections of a Primary.",
    labels: ["result"]
  })
  const failures = metrics.counter({
    name: `${prefix}_primary_election_failures_total`,
    help: "Elections that failed.",
    labels: ["reason"]
  })
  const seconds = metrics.histogram({
    name: `${prefix}_primary_election_duration_seconds`,
    help: "From the reason for an election to its end.",
    labels: ["result"],
    buckets: secondsBuckets
  })
  const contacts = metrics.counter({
    name: `${prefix}_primary_election_contacts_total`,
    help: "Nodes that were asked for their state.",
    labels: ["result"]
  })
  const deregistrations = metrics.counter({
    name: `${prefix}_auto_deregistrations_total`,
    help: "Nodes taken out because they were degraded for too long."
  })
  const recoveries = metrics.counter({
    name: `${prefix}_recoveries_with_possible_loss_total`,
    help: "Elections without enough voters, which may have lost acknowledged writes."
  })
  return {
    nodes: (entries) => {
      const lost = entries.filter(
        ({ degradedSince, report }) => degradedSince !== undefined || report?.health === "degraded"
      ).length
      registered.set(entries.length)
      degraded.set(lost)
      healthy.set(entries.length - lost)
    },
    elected: (took) => {
      elections.inc({ result: "success" })
      seconds.observe(took, { result: "success" })
    },
    failed: (took) => {
      elections.inc({ result: "error" })
      failures.inc({ reason: "contact_failure" })
      seconds.observe(took, { result: "error" })
    },
    contacted: (success, failure) => {
      if (success > 0) contacts.inc({ result: "success" }, success)
      if (failure > 0) contacts.inc({ result: "failure" }, failure)
    },
    deregistered: () => deregistrations.inc(),
    recovered: () => recoveries.inc(),
    clear: () => {
      for (const gauge of [registered, healthy, degraded]) gauge.clear()
    }
  }
}
