/** Gauges of netsy-1x.md 14.2 that are read off the running parts when somebody asks. */
import { Effect, Layer } from "effect"
import { catalog } from "../core/metrics/catalog.ts"
import { primaryCatalog, replicaCatalog } from "../core/metrics/roleCatalog.ts"
import { Kv } from "../services/Kv.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { type Gauge, Metrics } from "../services/Metrics.ts"
import { NodeReports } from "../services/NodeReports.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { WatchHub } from "../services/WatchHub.ts"

export const layer: Layer.Layer<never, never, Kv | WatchHub | LocalStore | ReplicatedState | NodeReports | Metrics> =
  Layer.effectDiscard(
    Effect.gen(function* () {
      const kv = yield* Kv
      const hub = yield* WatchHub
      const local = yield* LocalStore
      const { storedRevision } = yield* ReplicatedState
      const metrics = yield* Metrics
      const latest = metrics.gauge(catalog.latestRevision)
      const committed = metrics.gauge(catalog.committedRevision)
      const compaction = metrics.gauge(catalog.compactionRevision)
      const watchers = metrics.gauge(catalog.watchers)
      const watches = metrics.gauge(catalog.watches)
      const minRevision = metrics.gauge(catalog.watchMinRevision)
      const stored = metrics.gauge(primaryCatalog.storedRevision)
      const ofRole = makeRoleGauges(metrics, yield* NodeReports)
      metrics
        .counter(catalog.localDbRebuilds)
        .inc({ reason: "integrity_check_failed" }, local.opened.setAside === undefined ? 0 : 1)
      metrics.onScrape(() => {
        const stats = hub.stats()
        latest.set(kv.headRevision())
        committed.set(kv.revision())
        compaction.set(kv.floor())
        watchers.set(stats.streams)
        watches.set(stats.watches)
        minRevision.set(stats.watches === 0 ? kv.revision() : stats.minRevision)
        stored.set(storedRevision())
        ofRole()
      })
    })
  )

/** Absent while this node does not have the role. */
const makeRoleGauges = (metrics: Metrics["Service"], reports: NodeReports["Service"]): (() => void) => {
  const writePath = metrics.gauge(primaryCatalog.writePath)
  const required = metrics.gauge(primaryCatalog.requiredReceipts)
  const voters = metrics.gauge(primaryCatalog.voters)
  const bufferRecords = metrics.gauge(primaryCatalog.bufferRecords)
  const bufferBytes = metrics.gauge(primaryCatalog.bufferBytes)
  const lagEntries = metrics.gauge(replicaCatalog.lagEntries)
  const lagSeconds = metrics.gauge(replicaCatalog.lagSeconds)
  const ofPrimary: ReadonlyArray<Gauge> = [writePath, required, voters, bufferRecords, bufferBytes]
  const ofReplica: ReadonlyArray<Gauge> = [lagEntries, lagSeconds]
  return () => {
    const report = reports.current()
    const isPrimary = report.primary !== "replica"
    for (const gauge of isPrimary ? ofReplica : ofPrimary) gauge.clear()
    if (!isPrimary) {
      lagEntries.set(report.lagEntries)
      lagSeconds.set(report.lagMillis / 1_000)
      return
    }
    writePath.set(report.mode === "store" ? 1 : 0, { path: "sync" })
    writePath.set(report.mode === "store" ? 0 : 1, { path: "quorum" })
    required.set(report.required)
    voters.set(report.voters.length)
    bufferRecords.set(Math.max(0, report.last.index - report.storedIndex))
    bufferBytes.set(report.bufferedBytes)
  }
}
