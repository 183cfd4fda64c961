/** Gauges of netsy-1x.md 14.2 that are read off the running parts when somebody asks. */
import { Effect, Layer } from "effect"
import { catalog } from "../core/metrics/catalog.ts"
import { Kv } from "../services/Kv.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Metrics } from "../services/Metrics.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { WatchHub } from "../services/WatchHub.ts"

export const layer: Layer.Layer<never, never, Kv | WatchHub | LocalStore | ReplicatedState | Metrics> =
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
      const stored = metrics.gauge({
        name: "netsy_primary_object_storage_revision",
        help: "Highest revision known to be in the bucket."
      })
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
      })
    })
  )
