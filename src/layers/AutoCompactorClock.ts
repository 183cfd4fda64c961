/**
 * Compaction without anybody asking: etcd's automatic modes and Netsy's `compaction_interval`, each a task that looks at
 * its schedule by the clock and compacts through `Kv`, as a client would. Every node keeps its schedule, the Active Primary
 * acts on it.
 */
import { Clock, Effect, Layer } from "effect"
import {
  IntervalSchedule,
  type Now,
  PeriodicSchedule,
  RevisionSchedule,
  type Schedule
} from "../core/compaction/schedule.ts"
import { type EtcdError, errors } from "../core/wire/errors.ts"
import { primaryCatalog } from "../core/metrics/roleCatalog.ts"
import { Kv } from "../services/Kv.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { Replicator } from "../services/Replicator.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { WatchHub } from "../services/WatchHub.ts"

export const layer: Layer.Layer<never, never, Kv | WatchHub | Replicator | Settings | Supervisor | Log | Metrics> =
  Layer.effectDiscard(
    Effect.gen(function* () {
      const kv = yield* Kv
      const hub = yield* WatchHub
      const replicator = yield* Replicator
      const { autoCompaction, compactionIntervalMillis } = yield* Settings
      const supervisor = yield* Supervisor
      const log = yield* Log
      const metrics = yield* Metrics
      const clock = yield* Clock.Clock
      const compactions = metrics.counter(primaryCatalog.compactions)
      const seconds = metrics.histogram(primaryCatalog.compactionCoordination)

      const compact = (revision: number): Effect.Effect<void, EtcdError> =>
        Effect.callback((resume) =>
          kv.compact(
            { revision, physical: false },
            { succeed: () => resume(Effect.void), fail: (error) => resume(Effect.fail(error)) }
          )
        )

      const propose = Effect.fnUntraced(function* (mode: string, schedule: Schedule, now: Now, revision: number) {
        const startedAt = Number(clock.monotonicTimeNanosUnsafe())
        const error = yield* Effect.match(compact(revision), {
          onSuccess: () => undefined,
          onFailure: (error) => error
        })
        const took = (Number(clock.monotonicTimeNanosUnsafe()) - startedAt) / 1e9
        // Somebody else was faster and has compacted further: just as good.
        const result = error === undefined || error === errors.compacted ? "success" : "error"
        compactions.inc({ result })
        seconds.observe(took, { result })
        if (result === "success") {
          schedule.done(revision)
          log.info("auto_compaction_completed", {
            mode,
            compaction_revision: revision,
            global_min_watch: now.minWatchRevision,
            previous_compaction: now.floor
          })
        } else {
          const retry_ms = schedule.tickMillis
          log.warn("auto_compaction_failed", { mode, proposed_revision: revision, error: error?.message, retry_ms })
        }
      })

      const run = (mode: string, schedule: Schedule) =>
        Effect.gen(function* () {
          for (;;) {
            yield* Effect.sleep(schedule.tickMillis)
            const { minRevision } = hub.stats()
            const now = { revision: kv.revision(), floor: kv.floor(), minWatchRevision: minRevision }
            const revision = schedule.tick(now)
            if (revision !== undefined && replicator.role() === "active") yield* propose(mode, schedule, now, revision)
          }
        })

      if (autoCompaction?.mode === "periodic") {
        const schedule = new PeriodicSchedule(autoCompaction.retentionMillis, kv.revision())
        yield* supervisor.spawn("auto compaction (periodic)", run("periodic", schedule))
      }
      if (autoCompaction?.mode === "revision") {
        const schedule = new RevisionSchedule(autoCompaction.retentionRevisions)
        yield* supervisor.spawn("auto compaction (revision)", run("revision", schedule))
      }
      if (compactionIntervalMillis > 0) {
        const schedule = new IntervalSchedule(compactionIntervalMillis, kv.revision())
        yield* supervisor.spawn("auto compaction (interval)", run("interval", schedule))
      }
    })
  )
