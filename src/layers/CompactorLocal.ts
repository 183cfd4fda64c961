/** `Compactor` over this node's memory and `LocalStore`, in steps, so that traffic goes on between them. */
import { Clock, Effect, Latch, Layer } from "effect"
import { keepFreeBytes } from "../core/compaction/space.ts"
import { catalog } from "../core/metrics/catalog.ts"
import { Compactor, type CompactionTask } from "../services/Compactor.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { Supervisor } from "../services/Supervisor.ts"

/** Keys swept between two looks at the event loop: well below 5 ms. */
const sweepKeys = 1_000

export const layer: Layer.Layer<Compactor, never, LocalStore | Supervisor | Log | Metrics> = Layer.effect(
  Compactor,
  Effect.gen(function* () {
    const local = yield* LocalStore
    const supervisor = yield* Supervisor
    const log = yield* Log
    const metrics = yield* Metrics
    const clock = yield* Clock.Clock
    const seconds = metrics.histogram(catalog.compactionDuration)
    const wake = yield* Latch.make(false)
    /** Floors only grow, so whoever comes later covers those before it; bounded by the Compact calls in flight. */
    let tasks: Array<CompactionTask> = []

    const run = Effect.gen(function* () {
      for (;;) {
        yield* wake.await
        wake.closeUnsafe()
        // The latch resumes this task amid a commit: the state is whole only behind it.
        yield* Effect.yieldNow
        const batch = tasks
        tasks = []
        const top = batch[batch.length - 1]
        if (top === undefined) continue
        const startedAt = Number(clock.monotonicTimeNanosUnsafe())
        log.info("compaction_started", { proposed_revision: top.revision })
        while (!top.sweep(sweepKeys)) yield* Effect.sleep(0)
        const { removed } = yield* local.compact(top.revision, top.state?.())
        const took = (Number(clock.monotonicTimeNanosUnsafe()) - startedAt) / 1e9
        seconds.observe(took, { result: "success" })
        log.info("compaction_completed", {
          compaction_revision: top.revision,
          removed_rows: removed,
          duration_ms: Math.round(took * 1000)
        })
        for (const task of batch) task.done()
        const { inUse } = yield* local.size
        // The next compaction comes first: it makes more of the space free.
        const shrunk = yield* Effect.raceFirst(local.defragment(keepFreeBytes(inUse)), wake.await)
        if (shrunk !== undefined && shrunk.after < shrunk.before) {
          log.info("local_db_shrunk", { from_bytes: shrunk.before, to_bytes: shrunk.after })
        }
      }
    })
    yield* supervisor.spawn("compactor", run)

    return Compactor.of({
      request: (task) => {
        tasks.push(task)
        wake.openUnsafe()
      }
    })
  })
)
