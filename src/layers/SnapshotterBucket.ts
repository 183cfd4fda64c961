/**
 * `Snapshotter` over `LocalStore` and the bucket: a snapshot is written to a temporary file (`snapshotter/snapshotFile.ts`)
 * and goes from there into the bucket. One at a time; the cleaning up (`snapshotter/cleaning.ts`) follows it. A Primary
 * that may not acknowledge deletes nothing.
 */
import { createReadStream } from "node:fs"
import { readdir, stat, unlink } from "node:fs/promises"
import { join } from "node:path"
import { Clock, Effect, Latch, Layer, Stream } from "effect"
import { snapshotKey } from "../core/datafile/keys.ts"
import { primaryCatalog } from "../core/metrics/roleCatalog.ts"
import { due, dueAtStop } from "../core/snapshot/rules.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { Settings } from "../services/Settings.ts"
import { type SnapshotBegin, SnapshotFailed, Snapshotter, type SnapshotSource } from "../services/Snapshotter.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { makeCleaning } from "./snapshotter/cleaning.ts"
import { failedOn, writeSnapshotFile } from "./snapshotter/snapshotFile.ts"

/** A stop is not held up for longer. */
const atStopMillis = 5_000
/** After a snapshot that failed. */
const retryMillis = 5_000

export const layer: Layer.Layer<Snapshotter, never, LocalStore | ObjectStore | Settings | Supervisor | Log | Metrics> =
  Layer.effect(
    Snapshotter,
    Effect.gen(function* () {
      const local = yield* LocalStore
      const objects = yield* ObjectStore
      const settings = yield* Settings
      const supervisor = yield* Supervisor
      const log = yield* Log
      const metrics = yield* Metrics
      const clock = yield* Clock.Clock
      const creations = metrics.counter(primaryCatalog.snapshotCreations)
      const creationSeconds = metrics.histogram(primaryCatalog.snapshotCreationDuration)
      const ageGauge = metrics.gauge(primaryCatalog.snapshotAge)

      const cleaning = makeCleaning({ objects, settings: settings.snapshot, log, metrics, clock })
      const wake = yield* Latch.make(false)
      /** Open while this node is not Active. */
      const resting = yield* Latch.make(true)
      let begun: SnapshotBegin | undefined
      let last: SnapshotBegin["last"]
      let index = 0
      let recordBytes = 0
      let chunkBytes = 0
      let takenAt = 0

      const thresholds = {
        records: settings.snapshot.thresholdRecords,
        sizeMib: settings.snapshot.thresholdSizeMib,
        ageMinutes: settings.snapshot.thresholdAgeMinutes
      }
      metrics.onScrape(() => {
        if (takenAt > 0) ageGauge.set((clock.currentTimeMillisUnsafe() - takenAt) / 1000)
      })

      const isDue = (): boolean =>
        due(thresholds, { last, index, recordBytes, chunkBytes, nowMillis: clock.currentTimeMillisUnsafe() }) !==
        undefined

      const takeFrom = (now: () => SnapshotSource) =>
        Effect.gen(function* () {
          const source = now()
          const startedAt = clock.currentTimeMillisUnsafe()
          const key = snapshotKey(source.index)
          const path = join(settings.dataDir, temporaryFile(source.index, startedAt))
          const size = yield* Effect.gen(function* () {
            yield* writeSnapshotFile({ local, clock, nodeId: settings.nodeId }, path, source, now)
            const size = (yield* Effect.tryPromise({ try: () => stat(path), catch: failedOn(path) })).size
            yield* objects
              .putStream(
                key,
                {
                  size,
                  open: () =>
                    Stream.fromAsyncIterable(createReadStream(path) as AsyncIterable<Uint8Array>, failedOn(path))
                },
                { ifAbsent: true }
              )
              .pipe(
                // Never overwritten: one at this index, by us or by another reign, serves as well.
                Effect.catchTag("PreconditionFailed", () => Effect.sync(() => log.info("snapshot_exists", { key })))
              )
            return size
          }).pipe(Effect.ensuring(Effect.promise(() => unlink(path).catch(() => {}))))
          takenAt = clock.currentTimeMillisUnsafe()
          last = { index: source.index, bytes: size, atMillis: takenAt }
          const took = takenAt - startedAt
          creations.inc({ result: "success" })
          creationSeconds.observe(took / 1000, { result: "success" })
          log.info("snapshot_completed", {
            key,
            index: source.index,
            revision: source.revision,
            bytes: size,
            duration_ms: took
          })
          return key
        })

      /** One snapshot and what it makes superfluous, as far as this reign goes. */
      const takeDue = (reign: SnapshotBegin) =>
        Effect.gen(function* () {
          const before = { recordBytes, chunkBytes }
          const taken = yield* takeFrom(reign.source).pipe(
            Effect.as(true),
            Effect.catch((error) =>
              Effect.sync(() => {
                creations.inc({ result: "error" })
                log.warn("snapshot_failed", { index, error: error.message })
                return false
              })
            )
          )
          if (taken) {
            recordBytes -= before.recordBytes
            chunkBytes -= before.chunkBytes
            yield* cleaning.run(() => begun === reign && reign.mayDelete())
          } else {
            yield* Effect.sleep(retryMillis)
            wake.openUnsafe()
          }
        })

      const run = Effect.gen(function* () {
        for (;;) {
          yield* wake.await
          wake.closeUnsafe()
          // The latch resumes this task inside the commit that opened it, when only a part of the entries is applied.
          yield* Effect.yieldNow
          // Asked again while the last one was being taken: it has been answered.
          if (begun === undefined || !begun.mayDelete() || !isDue()) continue
          if (begun.source().index <= (last?.index ?? 0)) continue
          const reign = begun
          yield* Effect.raceFirst(takeDue(reign), Effect.as(resting.await, undefined))
          if (begun !== reign) log.info("snapshot_abandoned", { index: last?.index })
        }
      })
      yield* Effect.promise(() => removeLeftovers(settings.dataDir))
      yield* supervisor.spawn("snapshotter", run)

      return Snapshotter.of({
        begin: (options) => {
          begun = options
          last = options.last
          recordBytes = 0
          chunkBytes = options.chunkBytes
          index = options.source().index
          cleaning.forget()
          resting.closeUnsafe()
        },
        rest: () => {
          begun = undefined
          resting.openUnsafe()
        },
        committed: (upTo, bytes) => {
          index = upTo
          recordBytes += bytes
          chunkBytes += bytes
          if (isDue()) wake.openUnsafe()
        },
        lastIndex: () => (begun === undefined ? 0 : (last?.index ?? 0)),
        takeAtStop: Effect.suspend(() => {
          const since = { last, index, recordBytes, chunkBytes, nowMillis: clock.currentTimeMillisUnsafe() }
          if (begun === undefined || !begun.mayDelete() || !dueAtStop(since)) return Effect.void
          return takeFrom(begun.source).pipe(
            Effect.timeout(atStopMillis),
            Effect.catch((error) => Effect.sync(() => log.warn("snapshot_failed", { index, error: error.message }))),
            Effect.asVoid
          )
        }),
        take: Effect.suspend(() =>
          begun === undefined
            ? Effect.fail(new SnapshotFailed({ path: settings.dataDir, reason: "this node is not Active" }))
            : takeFrom(begun.source)
        )
      })
    })
  )

const temporaryFile = (index: number, millis: number): string => `snapshot_${index}_${millis}.netsy.tmp`

/** Of processes that were killed while they took a snapshot. This process holds the data directory's lock. */
const removeLeftovers = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch((): Array<string> => [])
  for (const name of names) {
    if (/^snapshot_\d+_\d+\.netsy\.tmp$/.test(name)) await unlink(join(folder, name)).catch(() => {})
  }
}
