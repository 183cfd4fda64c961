/** The Elector's metrics (netsy-1x.md 14.2); those of the role are absent while this node does not have it. */
import { electorCatalog } from "../../core/metrics/roleCatalog.ts"
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
  const registered = metrics.gauge(electorCatalog.registeredNodes)
  const healthy = metrics.gauge(electorCatalog.healthyNodes)
  const degraded = metrics.gauge(electorCatalog.degradedNodes)
  const elections = metrics.counter(electorCatalog.elections)
  const failures = metrics.counter(electorCatalog.electionFailures)
  const seconds = metrics.histogram(electorCatalog.electionDuration)
  const contacts = metrics.counter(electorCatalog.electionContacts)
  const deregistrations = metrics.counter(electorCatalog.autoDeregistrations)
  const recoveries = metrics.counter(electorCatalog.recoveriesWithPossibleLoss)
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
