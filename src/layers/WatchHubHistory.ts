/**
 * `WatchHub` over the history in `LocalStore`: one supervised task catches up the watches that are behind, batch by
 * batch, and one ticks for progress notifications. Only one batch is in memory at a time, whatever the number of watches.
 */
import { Effect, Latch, Layer, Random } from "effect"
import { assert } from "../core/assert.ts"
import { EventBatch } from "../core/watch/EventBatch.ts"
import { keyValueOf } from "../core/watch/events.ts"
import type { Watch } from "../core/watch/Watch.ts"
import { Watches } from "../core/watch/Watches.ts"
import { LocalStore, type LocalStoreFailed } from "../services/LocalStore.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { WatchHub } from "../services/WatchHub.ts"

/** etcd allows this much for framing above the biggest request before it splits a response (rule W9). */
const fragmentOverheadBytes = 512 * 1024
const recentBytes = 16 * 1024 * 1024
const batchBytes = 1024 * 1024
/** etcd's number of revisions in one catch-up batch. */
const batchRevisions = 1000
const waitingAnswers = 4096
/** Previous versions read in one request: at most so many values are in memory beyond `batchBytes`. */
const previousPerRead = 32
/** Served watches and events after which other work gets its turn, about a millisecond. */
const sliceWork = 1024
const watchWork = 16
/** While the log on the disk is being replaced by what the bucket has, history is looked for again so often. */
const replacedRetryMillis = 50
/** A progress interval has so many steps; up to 4 more are drawn, and a new stream waits for the next step to begin. */
const stepsPerInterval = 50

export const layer: Layer.Layer<WatchHub, never, LocalStore | NodeStatus | Settings | Supervisor> = Layer.effect(
  WatchHub,
  Effect.gen(function* () {
    const store = yield* LocalStore
    const status = yield* NodeStatus
    const settings = yield* Settings
    const supervisor = yield* Supervisor
    const random = yield* Random.Random
    const behind = Latch.makeUnsafe(false)
    const notified = Latch.makeUnsafe(false)

    const watches = new Watches({
      header: status.header,
      fragmentBytes: settings.limits.maxRequestBytes + fragmentOverheadBytes,
      recentBytes,
      batchBytes,
      batchRevisions,
      waitingAnswers,
      onBehind: () => behind.openUnsafe(),
      onNotified: () => notified.openUnsafe()
    })

    /**
     * Reads history that is there as a whole, up to the revision and down to the floor. While it is being restored from the
     * bucket it is not, and what is missing must not be taken for silence. Both requests are served one behind the other.
     */
    const whole = <A>(read: Effect.Effect<A, LocalStoreFailed>): Effect.Effect<A, LocalStoreFailed> =>
      Effect.gen(function* () {
        for (;;) {
          const { revision } = watches
          const [found, bounds] = yield* Effect.all([read, store.bounds], { concurrency: 2 })
          if (bounds.lastRevision >= revision && bounds.floor <= watches.floor) return found
          yield* Effect.sleep(replacedRetryMillis)
        }
      })

    /** Fills in what `prev_kv` needs; cuts the batch after the revision with which it passes `batchBytes`. */
    const readPrevious = Effect.fnUntraced(function* (batch: EventBatch, served: ReadonlyArray<Watch>) {
      const positions = new Set<number>()
      for (const watch of served) {
        if (!watch.wantsPrevious) continue
        for (const position of batch.positions(watch, watch.next)) {
          if (batch.previousRevision(position) > 0 && batch.change(position).record.revision > watches.floor) {
            positions.add(position)
          }
        }
      }
      const wanted = [...positions].sort((a, b) => a - b)
      let bytes = 0
      for (let i = 0; i < wanted.length; i += previousPerRead) {
        const slice = wanted.slice(i, i + previousPerRead)
        const found = yield* whole(
          store.versions(
            slice.map((position) => ({
              key: batch.change(position).record.key,
              revision: batch.previousRevision(position)
            }))
          )
        )
        for (const [at, record] of found.entries()) {
          if (record === undefined) continue
          bytes += record.key.length + record.value.length
          batch.setPrevious(slice[at]!, keyValueOf(record))
        }
        const next = wanted[i + previousPerRead]
        if (bytes < batchBytes || next === undefined) continue
        // A revision is complete when the next position that needs a previous version belongs to a later one.
        const complete = batch.change(next).record.revision - 1
        if (complete >= batch.from) return batch.cutAfter(complete)
      }
    })

    const readHistory = Effect.fnUntraced(function* (from: number, to: number) {
      const records = yield* whole(store.changes(from, to, batchBytes))
      // Without records the stretch holds nothing for watches; else it may have been cut after the last one.
      const last = records.at(-1)?.revision ?? to
      assert(last >= from && last <= to, `history from ${from} to ${to} has revision ${last}`)
      return new EventBatch(
        from,
        last,
        records.map((record) => ({ record, previous: undefined }))
      )
    })

    const serveAll = Effect.fnUntraced(function* (batch: EventBatch, served: ReadonlyArray<Watch>) {
      let work = 0
      for (const watch of served) {
        work += watchWork + watches.serve(watch, batch)
        if (work < sliceWork) continue
        work = 0
        yield* Effect.yieldNow
      }
    })

    // A compaction during the read may take rows below the new floor out of the batch: whoever needed them has ended.
    const catchUp = Effect.gen(function* () {
      for (;;) {
        behind.closeUnsafe()
        const wanted = watches.wanted()
        if (wanted === undefined) {
          yield* behind.await
          // The latch resumes this task inside the call that opened it: let that call finish first.
          yield* Effect.yieldNow
          continue
        }
        const recent = watches.recent(wanted)
        const batch = recent ?? (yield* readHistory(wanted.from, wanted.to))
        const served = watches.take(batch)
        if (recent === undefined) yield* readPrevious(batch, served)
        yield* serveAll(batch, served)
        yield* Effect.yieldNow
      }
    })

    const stepMillis = settings.watch.progressIntervalMillis / stepsPerInterval
    const drawSteps = (): number => stepsPerInterval + Math.floor(random.nextDoubleUnsafe() * 5)
    const progress = Effect.gen(function* () {
      for (;;) {
        notified.closeUnsafe()
        if (!watches.hasNotified) yield* notified.await
        yield* Effect.sleep(stepMillis)
        watches.progressStep(drawSteps)
      }
    })

    yield* supervisor.spawn("watch catch-up", catchUp)
    yield* supervisor.spawn("watch progress", progress)

    return WatchHub.of({
      open: (sink) => watches.open(sink),
      begin: (revision, floor) => watches.begin(revision, floor),
      jumped: (revision, floor) => watches.jumped(revision, floor),
      publish: (revision, changes) => watches.publish(revision, changes),
      compacted: (floor) => watches.compacted(floor),
      stats: () => watches.stats()
    })
  })
)
