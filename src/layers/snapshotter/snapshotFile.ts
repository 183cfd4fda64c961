/** The file of one snapshot: records stream from a consistent view through the compressor; memory is bounded by a page. */
import { open } from "node:fs/promises"
import { createZstdCompress } from "node:zlib"
import { type Clock, Effect, Stream } from "effect"
import { SnapshotWriter } from "../../core/datafile/writer.ts"
import { opRecord } from "../../core/log/entry.ts"
import type { LogRecord } from "../../core/log/record.ts"
import type { LocalStore } from "../../services/LocalStore.ts"
import { SnapshotFailed, type SnapshotSource } from "../../services/Snapshotter.ts"
import { compressOptions } from "../datafile/zstd.ts"

/** Operations encoded at once: there may be a hundred thousand leases. */
const pageOps = 2_000
const pageRecords = 2_000
const pageBytes = 4 * 1024 * 1024

export interface FileParts {
  readonly local: LocalStore["Service"]
  readonly clock: Clock.Clock
  readonly nodeId: string
}

export const failedOn = (path: string) => (cause: unknown) =>
  new SnapshotFailed({ path, reason: cause instanceof Error ? cause.message : String(cause) })

const push = (path: string, zstd: ReturnType<typeof createZstdCompress>, bytes: Uint8Array) =>
  Effect.callback<void, SnapshotFailed>((resume) => {
    // The writer's buffer is its own: the compressor takes it over.
    zstd.write(bytes, (error) =>
      resume(error === null || error === undefined ? Effect.void : Effect.fail(failedOn(path)(error)))
    )
  })

/** Header, then records and footer through zstd, into `path`. */
export const writeSnapshotFile = (
  { local, clock, nodeId }: FileParts,
  path: string,
  source: SnapshotSource,
  now: () => SnapshotSource
) =>
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
        leaderId: nodeId,
        createdAt
      }
      const writer = new SnapshotWriter({
        leaderId: nodeId,
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
      const write = (bytes: Uint8Array) => Effect.tryPromise({ try: () => file.write(bytes), catch: failedOn(path) })
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
