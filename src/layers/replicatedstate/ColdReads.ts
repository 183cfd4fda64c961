/**
 * Reads superseded values from the disk, a bounded number of answers at a time. What is not there while the log is being
 * replaced from the bucket is looked for again: only a compaction makes a value absent.
 */
import { Effect, Queue } from "effect"
import type { MvccStore } from "../../core/mvcc/store.ts"
import type { Version } from "../../core/mvcc/version.ts"
import type { LocalStore } from "../../services/LocalStore.ts"

/** Answers that wait for superseded values from the disk. */
const jobsMax = 4_096
const jobsTogether = 64
const replacedRetryMillis = 50

export interface ColdJob {
  readonly versions: ReadonlyArray<Version>
  readonly resume: (values: ReadonlyArray<Uint8Array | undefined>) => void
}

export const coldReads = (local: LocalStore["Service"], store: MvccStore) =>
  Effect.gen(function* () {
    const queue = yield* Queue.dropping<ColdJob>(jobsMax)

    /** The second request is served behind the first one: what was there then is what it says. */
    const read = (wanted: ReadonlyArray<{ readonly key: Uint8Array; readonly revision: number }>) =>
      Effect.gen(function* () {
        for (;;) {
          const revision = store.committedRevision
          const [records, bounds] = yield* Effect.all([local.versions(wanted), local.bounds], { concurrency: 2 })
          if (bounds.lastRevision >= revision && bounds.floor <= store.floor) return records
          yield* Effect.sleep(replacedRetryMillis)
        }
      })

    const run = Effect.gen(function* () {
      for (;;) {
        const jobs = yield* Queue.takeBetween(queue, 1, jobsTogether)
        const wanted = jobs.flatMap((job) => job.versions.map((v) => ({ key: v.key, revision: v.modRevision })))
        const records = yield* read(wanted)
        let at = 0
        for (const job of jobs) {
          job.resume(records.slice(at, at + job.versions.length).map((record) => record?.value))
          at += job.versions.length
        }
      }
    })
    return { run, offer: (job: ColdJob): boolean => Queue.offerUnsafe(queue, job) }
  })
