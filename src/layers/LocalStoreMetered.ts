/**
 * `LocalStore` over another one, with its appends timed: what etcd's users know as the time of the log's fsync and of the
 * database's commit is one transaction here.
 */
import { Clock, Effect, Layer } from "effect"
import { etcdCatalog } from "../core/metrics/etcdCatalog.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Metrics } from "../services/Metrics.ts"

export const layer: Layer.Layer<LocalStore, never, LocalStore | Metrics> = Layer.effect(
  LocalStore,
  Effect.gen(function* () {
    const store = yield* LocalStore
    const metrics = yield* Metrics
    const clock = yield* Clock.Clock
    const fsync = metrics.histogram(etcdCatalog.walFsync)
    const commit = metrics.histogram(etcdCatalog.backendCommit)
    return LocalStore.of({
      ...store,
      append: (entries, commitIndex) =>
        Effect.suspend(() => {
          const startedAt = clock.monotonicTimeNanosUnsafe()
          return Effect.tap(store.append(entries, commitIndex), () =>
            Effect.sync(() => {
              const seconds = Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9
              fsync.observe(seconds)
              commit.observe(seconds)
            })
          )
        })
    })
  })
)
