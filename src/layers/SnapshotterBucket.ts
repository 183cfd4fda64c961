/**
 * `Snapshotter` over `LocalStore` and the bucket: records stream from a consistent view through the compressor into a
 * temporary file, and from there into the bucket; memory is bounded by a page. One snapshot at a time; the cleaning up
 * follows it. A Primary that may not acknowledge deletes nothing.
 */
import { createReadStream } from "node:fs"
import { open, readdir, stat, unlink } from "node:fs/promises"
import { join } from "node:path"
import { createZstdCompress } from "node:zlib"
import { Clock, Effect, Latch, Layer, Stream } from "effect"
import { chunkKey, chunksPrefix, indexOfKey, snapshotKey, snapshotsPrefix } from "../core/datafile/keys.ts"
import { SnapshotWriter } from "../core/datafile/writer.ts"
import { opRecord } from "../core/log/entry.ts"
import type { LogRecord } from "../core/log/record.ts"
import { cleanup, due, dueAtStop, type Kept } from "../core/snapshot/rules.ts"
import { compressOptions } from "./datafile/zstd.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { type ObjectInfo, ObjectStore } from "../services/ObjectStore.ts"
import { Settings } from "../services/Settings.ts"
import { type SnapshotBegin, SnapshotFailed, Snapshotter, type SnapshotSource } from "../services/Snapshotter.ts"
import { Supervisor } from "../services/Supervisor.ts"

/** Operations encoded at once: there may be a hundred thousand leases. */
const pageOps = 2_000
const pageRecords = 2_000
const pageBytes = 4 * 1024 * 1024
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
      const creations = metrics.counter({
        name: "netsy_primary_snapshot_creations_total",
        help: "Snapshots taken",
        labels: ["result"]
      })
      const creationSeconds = metrics.histogram({
        name: "netsy_primary_snapshot_creation_duration_seconds",
        help: "Taking and storing a snapshot",
        labels: ["result"]
      })
      const cleanupRuns = metrics.counter({
        name: "netsy_primary_snapshot_cleanup_runs_total",
        help: "Cleaning up behind a snapshot",
        labels: ["result"]
      })
      const ageGauge = metrics.gauge({
        name: "netsy_primary_snapshot_age_seconds",
        help: "Since the newest snapshot of this process; 0 if none"
      })

      const wake = yield* Latch.make(false)
      /** Open while this node is not Active. */
      const resting = yield* Latch.make(true)
      let begun: SnapshotBegin | undefined
      let last: SnapshotBegin["last"]
      let index = 0
      let recordBytes = 0
      let chunkBytes = 0
      let takenAt = 0
      /** Chunks up to here were deleted by this process or lie behind what it found. */
      let cleanedUpTo = 0

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

      const failedOn = (path: string) => (cause: unknown) =>
        new SnapshotFailed({ path, reason: cause instanceof Error ? cause.message : String(cause) })

      /** Header, then records and footer through zstd, into `path`. */
      const writeFile = (path: string, source: SnapshotSource, now: () => SnapshotSource) =>
        Effect.scoped(
          Effect.gen(function* () {
            const view = yield* Effect.acquireRelease(local.view(source.index), (v) => v.close)
            if (now().floor !== source.floor) {
              // The view may lack versions that a snapshot with the older floor has to hold.
              return yield* new SnapshotFailed({ path, reason: "a compaction came between; it is tried again" })
            }
            const millis = clock.currentTimeMillisUnsafe()
            const seconds = Math.floor(millis / 1000)
            const createdAt = { seconds, nanos: (millis - seconds * 1000) * 1_000_000 }
            const facts = {
              index: source.index,
              term: source.term,
              revision: source.revision,
              leaderId: settings.nodeId,
              createdAt
            }
            const writer = new SnapshotWriter({
              leaderId: settings.nodeId,
              createdAt,
              term: source.term,
              compactionRevision: source.floor,
              lastIndex: source.index,
              lastTerm: source.term,
              revision: source.revision,
              recordsCount: source.ops.length + view.changeCount,
              compress: true
            })
            const file = yield* Effect.acquireRelease(
              Effect.tryPromise({ try: () => open(path, "wx", 0o600), catch: failedOn(path) }),
              (handle) => Effect.promise(() => handle.close())
            )
            const write = (bytes: Uint8Array) =>
              Effect.tryPromise({ try: () => file.write(bytes), catch: failedOn(path) })
            yield* write(writer.header())
            const zstd = createZstdCompress(compressOptions)
            const body = Effect.gen(function* () {
              for (let at = 0; at < source.ops.length; at += pageOps) {
                const ops = source.ops.slice(at, at + pageOps)
                yield* push(path, zstd, writer.records(ops.map((op, i) => opRecord(facts, op, at + i))))
              }
              for (let done = false; !done;) {
                const page = yield* view.next(pageRecords, pageBytes)
                done = page.done
                const changes = page.records.filter((record: LogRecord) => record.op === undefined)
                if (changes.length > 0) yield* push(path, zstd, writer.records(changes))
              }
              yield* push(path, zstd, writer.footer())
              zstd.end()
            })
            const drain = Stream.fromAsyncIterable(zstd as AsyncIterable<Uint8Array>, failedOn(path)).pipe(
              Stream.runForEach(write)
            )
            yield* Effect.all([body, drain], { concurrency: 2, discard: true }).pipe(
              Effect.ensuring(Effect.sync(() => zstd.destroy()))
            )
          })
        )

      const push = (path: string, zstd: ReturnType<typeof createZstdCompress>, bytes: Uint8Array) =>
        Effect.callback<void, SnapshotFailed>((resume) => {
          // The writer's buffer is its own: the compressor takes it over.
          zstd.write(bytes, (error) =>
            resume(error === null || error === undefined ? Effect.void : Effect.fail(failedOn(path)(error)))
          )
        })

      const takeFrom = (now: () => SnapshotSource) =>
        Effect.gen(function* () {
          const source = now()
          const startedAt = clock.currentTimeMillisUnsafe()
          const key = snapshotKey(source.index)
          const path = join(settings.dataDir, temporaryFile(source.index, startedAt))
          const size = yield* Effect.gen(function* () {
            yield* writeFile(path, source, now)
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

      const listAll = (prefix: string) =>
        Effect.gen(function* () {
          const objectsFound: Array<ObjectInfo> = []
          let after: string | undefined
          do {
            const page = yield* objects.list({ prefix, ...(after === undefined ? {} : { after }) })
            objectsFound.push(...page.objects)
            after = page.next
          } while (after !== undefined)
          return objectsFound
        })

      const direct =
        settings.snapshot.cleanupStrategy === "direct" ||
        (settings.snapshot.cleanupStrategy === "auto" && objects.bulkDeleteMax > 0)

      /** Chunk keys to delete, in batches: by listing, or computed for every index (both as in netsy-1x.md 11.4). */
      const chunkBatches = (upTo: number, size: number) =>
        Effect.gen(function* () {
          if (direct && cleanedUpTo > 0) return keysBetween(cleanedUpTo + 1, upTo, size)
          // The first run of a process lists: leftovers of earlier runs and of lost reigns go too.
          const keys = (yield* listAll(chunksPrefix))
            .filter((o) => (indexOfKey(o.key) ?? Number.POSITIVE_INFINITY) <= upTo)
            .map((o) => o.key)
          return slicesOf(keys, size)
        })

      const cleanUp = (mayDelete: () => boolean) =>
        Effect.gen(function* () {
          const snapshots: Array<Kept> = (yield* listAll(snapshotsPrefix))
            .flatMap((o) => {
              const at = indexOfKey(o.key)
              return at === undefined ? [] : [{ index: at, atMillis: o.lastModified }]
            })
            .sort((a, b) => a.index - b.index)
          const plan = cleanup(snapshots, settings.snapshot, clock.currentTimeMillisUnsafe())
          if (plan.chunksUpTo <= cleanedUpTo && plan.snapshots.length === 0) return
          const size = Math.max(
            1,
            Math.min(settings.snapshot.cleanupBatchSize, objects.bulkDeleteMax || settings.snapshot.cleanupBatchSize)
          )
          const chunks = plan.chunksUpTo > cleanedUpTo ? yield* chunkBatches(plan.chunksUpTo, size) : []
          let failed = 0
          let deleted = 0
          for (const keys of concat(chunks, slicesOf(plan.snapshots.map(snapshotKey), size))) {
            if (!mayDelete()) {
              cleanupRuns.inc({ result: "interrupted" })
              return
            }
            const failures = yield* objects.deleteMany(keys)
            failed += failures.length
            deleted += keys.length - failures.length
            for (const failure of failures) log.warn("chunk_cleanup_failed", failure)
            yield* Effect.sleep(settings.snapshot.cleanupBatchIntervalMillis)
          }
          if (failed === 0) cleanedUpTo = Math.max(cleanedUpTo, plan.chunksUpTo)
          cleanupRuns.inc({ result: failed === 0 ? "success" : "partial" })
          log.info("chunk cleanup completed", {
            up_to_revision: plan.chunksUpTo,
            cleaned_through: cleanedUpTo,
            strategy: direct ? "direct" : "list",
            succeeded: deleted,
            failed
          })
        })

      /** What a snapshot that was taken leaves behind stays until the next one: it is no reason to take another. */
      const cleanUpLater = (mayDelete: () => boolean) =>
        cleanUp(mayDelete).pipe(
          Effect.catch((error) =>
            Effect.sync(() => {
              cleanupRuns.inc({ result: "error" })
              log.warn("chunk_cleanup_failed", { error: error.message })
            })
          )
        )

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
            yield* cleanUpLater(() => begun === reign && reign.mayDelete())
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
          // What an earlier reign has cleaned up says nothing about what came between.
          cleanedUpTo = 0
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

/** The keys of all indexes of a stretch that may be long, batch by batch. */
const keysBetween = function* (first: number, last: number, size: number): Generator<ReadonlyArray<string>> {
  for (let from = first; from <= last; from += size) {
    yield Array.from({ length: Math.min(size, last - from + 1) }, (_, i) => chunkKey(from + i))
  }
}

const slicesOf = function* (keys: ReadonlyArray<string>, size: number): Generator<ReadonlyArray<string>> {
  for (let i = 0; i < keys.length; i += size) yield keys.slice(i, i + size)
}

const concat = function* <A>(...parts: ReadonlyArray<Iterable<A>>): Generator<A> {
  for (const part of parts) yield* part
}
