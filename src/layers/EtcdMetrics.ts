/** etcd's gauges, read off the running parts when somebody asks (etcd-api.md 5.1); what only grows is counted elsewhere. */
import { Effect, Layer } from "effect"
import { etcdCatalog as catalog } from "../core/metrics/etcdCatalog.ts"
import { etcdClusterVersion, etcdVersion } from "../core/version.ts"
import { Kv } from "../services/Kv.ts"
import { LocalStore, type LocalStoreFailed } from "../services/LocalStore.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { WatchHub } from "../services/WatchHub.ts"

export const layer: Layer.Layer<
  never,
  LocalStoreFailed,
  Kv | WatchHub | LocalStore | NodeStatus | ReplicatedState | Settings | Metrics | Supervisor
> = Layer.effectDiscard(
  Effect.gen(function* () {
    const kv = yield* Kv
    const hub = yield* WatchHub
    const local = yield* LocalStore
    const status = yield* NodeStatus
    const { store } = yield* ReplicatedState
    const settings = yield* Settings
    const metrics = yield* Metrics
    const supervisor = yield* Supervisor

    for (const entry of Object.values(catalog)) {
      if (entry.type === "counter") metrics.counter(entry)
      else if (entry.type === "gauge") metrics.gauge(entry)
      else metrics.histogram(entry)
    }
    metrics.gauge(catalog.serverVersion).set(1, { server_version: etcdVersion })
    metrics.gauge(catalog.clusterVersion).set(1, { cluster_version: etcdClusterVersion.replace(/\.\d+$/, "") })
    metrics.gauge(catalog.quotaBytes).set(settings.limits.quotaBytes)
    metrics.gauge(catalog.isLearner).set(0)
    metrics.gauge(catalog.pendingEvents).set(0)

    let size = yield* local.size
    const look = Effect.map(local.size, (found) => {
      size = found
    })
    yield* supervisor.spawn("size for metrics", look.pipe(Effect.delay("5 seconds"), Effect.forever))

    const gauges = {
      hasLeader: metrics.gauge(catalog.hasLeader),
      isLeader: metrics.gauge(catalog.isLeader),
      committed: metrics.gauge(catalog.proposalsCommitted),
      applied: metrics.gauge(catalog.proposalsApplied),
      pending: metrics.gauge(catalog.proposalsPending),
      serverId: metrics.gauge(catalog.serverId),
      total: metrics.gauge(catalog.dbTotalSize),
      inUse: metrics.gauge(catalog.dbInUseSize),
      keys: metrics.gauge(catalog.keys),
      streams: metrics.gauge(catalog.watchStreams),
      watches: metrics.gauge(catalog.watchers),
      slow: metrics.gauge(catalog.slowWatchers),
      revision: metrics.gauge(catalog.currentRevision),
      floor: metrics.gauge(catalog.compactRevision)
    }
    const events = metrics.counter(catalog.events)
    const changes = metrics.counter(catalog.leaderChanges)
    let eventsSeen = 0
    let termSeen: number | undefined

    metrics.onScrape(() => {
      const stats = hub.stats()
      const leader = status.leaderMemberId()
      const term = status.term()
      gauges.hasLeader.set(leader === 0n ? 0 : 1)
      gauges.isLeader.set(status.primary() === "active" ? 1 : 0)
      gauges.committed.set(kv.commitIndex())
      gauges.applied.set(kv.commitIndex())
      gauges.pending.set(kv.head() - kv.commitIndex())
      gauges.serverId.clear()
      gauges.serverId.set(1, { server_id: status.memberId().toString(16) })
      gauges.total.set(size.total)
      gauges.inUse.set(size.inUse)
      gauges.keys.set(store.stats.liveKeys)
      gauges.streams.set(stats.streams)
      gauges.watches.set(stats.watches)
      gauges.slow.set(stats.slow)
      gauges.revision.set(kv.revision())
      // As in etcd.
      gauges.floor.set(kv.floor() === 0 ? -1 : kv.floor())
      events.inc(undefined, stats.eventsSent - eventsSeen)
      eventsSeen = stats.eventsSent
      if (leader !== 0n) {
        // Each term has one Primary.
        changes.inc(undefined, termSeen === undefined ? 1 : term - termSeen)
        termSeen = term
      }
    })
  })
)
