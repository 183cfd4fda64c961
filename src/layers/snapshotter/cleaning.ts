/**
 * What snapshots make superfluous in the bucket: older snapshots and the chunks below the newest ones that are kept
 * (netsy-1x.md 11.3 and 11.4).
 */
import { type Clock, Effect } from "effect"
import { chunkKey, chunksPrefix, indexOfKey, snapshotKey, snapshotsPrefix } from "../../core/datafile/keys.ts"
import { primaryCatalog } from "../../core/metrics/roleCatalog.ts"
import { cleanup, type Kept } from "../../core/snapshot/rules.ts"
import type { Log } from "../../services/Log.ts"
import type { Metrics } from "../../services/Metrics.ts"
import type { ObjectInfo, ObjectStore } from "../../services/ObjectStore.ts"
import type { SettingsShape } from "../../services/Settings.ts"

export interface CleaningParts {
  readonly objects: ObjectStore["Service"]
  readonly settings: SettingsShape["snapshot"]
  readonly log: Log["Service"]
  readonly metrics: Metrics["Service"]
  readonly clock: Clock.Clock
}

export const makeCleaning = ({ objects, settings, log, metrics, clock }: CleaningParts) => {
  const runs = metrics.counter(primaryCatalog.cleanupRuns)
  /** Chunks up to here were deleted by this process or lie behind what it found. */
  let cleanedUpTo = 0

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
    settings.cleanupStrategy === "direct" || (settings.cleanupStrategy === "auto" && objects.bulkDeleteMax > 0)

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
      const plan = cleanup(snapshots, settings, clock.currentTimeMillisUnsafe())
      if (plan.chunksUpTo <= cleanedUpTo && plan.snapshots.length === 0) return
      const size = Math.max(1, Math.min(settings.cleanupBatchSize, objects.bulkDeleteMax || settings.cleanupBatchSize))
      const chunks = plan.chunksUpTo > cleanedUpTo ? yield* chunkBatches(plan.chunksUpTo, size) : []
      let failed = 0
      let deleted = 0
      for (const keys of concat(chunks, slicesOf(plan.snapshots.map(snapshotKey), size))) {
        if (!mayDelete()) {
          runs.inc({ result: "interrupted" })
          return
        }
        const failures = yield* objects.deleteMany(keys)
        failed += failures.length
        deleted += keys.length - failures.length
        for (const failure of failures) log.warn("chunk_cleanup_failed", failure)
        yield* Effect.sleep(settings.cleanupBatchIntervalMillis)
      }
      if (failed === 0) cleanedUpTo = Math.max(cleanedUpTo, plan.chunksUpTo)
      runs.inc({ result: failed === 0 ? "success" : "partial" })
      log.info("chunk cleanup completed", {
        up_to_revision: plan.chunksUpTo,
        cleaned_through: cleanedUpTo,
        strategy: direct ? "direct" : "list",
        succeeded: deleted,
        failed
      })
    })

  /** What a snapshot that was taken leaves behind stays until the next one: it is no reason to take another. */
  const run = (mayDelete: () => boolean) =>
    cleanUp(mayDelete).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          runs.inc({ result: "error" })
          log.warn("chunk_cleanup_failed", { error: error.message })
        })
      )
    )

  return {
    run,
    /** What an earlier reign has cleaned up says nothing about what came between. */
    forget: (): void => {
      cleanedUpTo = 0
    }
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
