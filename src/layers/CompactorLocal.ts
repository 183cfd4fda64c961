/**
 * `Compactor` over this node's memory and `LocalStore`, in steps, so that traffic goes on between them. Memory follows
 * the floor at once; on the disk nothing goes that the bucket does not have.
 */
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
/** Nobody waits longer for a disk that waits for the bucket. */
const patienceMillis = 1_000

/** Memory is done. */
interface Swept {
  readonly task: CompactionTask
  readonly tellAtMillis: number
  readonly seconds: number
  isTold: boolean
}

export const layer: Layer.Layer<Compactor, never, LocalStore | Supervisor | Log | Metrics> = Layer.effect(
  Compactor,
  Effect.gen(function* () {
    const local = yield* LocalStore
    const supervisor = yield* Supervisor
    const log = yield* Log
    const metrics = yield* Metrics
    const clock = yield* Clock.Clock
    const durations = metrics.histogram(catalog.compactionDuration)
    const wake = yield* Latch.make(false)
    const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    /** Floors only grow, so whoever comes later covers those before it; bounded by the Compact calls in flight. */
    let tasks: Array<CompactionTask> = []
    /** They wait for the bucket, ascending. */
    let swept: Array<Swept> = []
    let storedIndex = 0

    const isStored = ({ task }: Swept): boolean => task.index <= storedIndex

    const tell = (done: Swept): void => {
      if (done.isTold) return
      done.isTold = true
      done.task.done()
    }

    /** There is something to do, or somebody has waited long enough. */
    const attention = Effect.suspend(() => {
      const impatient = swept.find(({ isTold }) => !isTold)
      if (impatient === undefined) return wake.await
      return Effect.asVoid(Effect.timeoutOption(wake.await, Math.max(1, impatient.tellAtMillis - nowMillis())))
    })

    const sweep = Effect.gen(function* () {
      const batch = tasks
      tasks = []
      const top = batch[batch.length - 1]
      if (top === undefined) return
      const startedAt = nowMillis()
      log.info("compaction_started", { proposed_revision: top.revision })
      while (!top.sweep(sweepKeys)) yield* Effect.sleep(0)
      const now = nowMillis()
      const seconds = (now - startedAt) / 1000
      for (const task of batch) {
        swept.push({ task, tellAtMillis: now + patienceMillis, seconds: task === top ? seconds : 0, isTold: false })
      }
    })

    const drop = Effect.gen(function* () {
      const batch = swept.filter(isStored)
      const top = batch[batch.length - 1]
      if (top === undefined) return
      swept = swept.filter((one) => !batch.includes(one))
      const { revision, state } = top.task
      const startedAt = nowMillis()
      const forgetUpTo = Math.max(...batch.map(({ task }) => task.forgetUpTo ?? 0))
      const { removed } = yield* local.compact(revision, state?.(), { keepAbove: storedIndex, forgetUpTo })
      const seconds = batch.reduce((sum, one) => sum + one.seconds, (nowMillis() - startedAt) / 1000)
      durations.observe(seconds, { result: "success" })
      log.info("compaction_completed", {
        compaction_revision: revision,
        removed_rows: removed,
        duration_ms: Math.round(seconds * 1000)
      })
      for (const one of batch) tell(one)
      const { inUse } = yield* local.size
      // The next compaction comes first: it makes more of the space free.
      const shrunk = yield* Effect.raceFirst(local.defragment(keepFreeBytes(inUse)), attention)
      if (shrunk !== undefined && shrunk.after < shrunk.before) {
        log.info("local_db_shrunk", { from_bytes: shrunk.before, to_bytes: shrunk.after })
      }
    })

    /** Whoever is told is covered by the last one; the first one is kept too, lest the bucket is always behind. */
    const tellLate = (): void => {
      const now = nowMillis()
      for (const one of swept) if (one.tellAtMillis <= now) tell(one)
      swept = swept.filter((one, i) => !one.isTold || i === 0 || i === swept.length - 1)
    }

    const run = Effect.gen(function* () {
      for (;;) {
        yield* attention
        wake.closeUnsafe()
        // The latch resumes this task amid a commit: the state is whole only behind it.
        yield* Effect.yieldNow
        yield* sweep
        yield* drop
        tellLate()
      }
    })
    yield* supervisor.spawn("compactor", run)

    return Compactor.of({
      request: (task) => {
        tasks.push(task)
        wake.openUnsafe()
      },
      stored: (index) => {
        if (index <= storedIndex) return
        storedIndex = index
        if (swept.some(isStored)) wake.openUnsafe()
      }
    })
  })
)
