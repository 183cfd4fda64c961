/**
 * `EtcdExport` over the replicated state and `LocalStore`: rows stream page by page from a consistent view into a bbolt
 * file or a hash, so memory is bounded by a page and by what lies beside the keys (leases, users).
 *
 * A file has to equal what etcd holds after its compaction, so the view leaves out what the floor lets go, whether it is
 * gone from the disk or waits for the bucket; it is only used if the floor has not moved meanwhile.
 */
import type { FileHandle } from "node:fs/promises"
import { open, unlink } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer, Semaphore } from "effect"
import { assert } from "../core/assert.ts"
import { type BucketSink, DatabaseWriter } from "../core/bbolt/DatabaseWriter.ts"
import { DatabaseHash } from "../core/bbolt/databaseHash.ts"
import { EtcdBuckets } from "../core/bbolt/etcdBuckets.ts"
import { isInternal, type LogRecord } from "../core/log/record.ts"
import { writeRowKey, writeRowValue } from "../core/mvcc/backendRow.ts"
import { HashKv } from "../core/mvcc/hash.ts"
import { type EtcdError, errors, isEtcdError } from "../core/wire/errors.ts"
import { Writer } from "../core/wire/protobuf.ts"
import { EtcdExport, type ExportedFile, ExportFailed } from "../services/EtcdExport.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Membership } from "../services/Membership.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import { Settings } from "../services/Settings.ts"

/** Small enough that other requests wait for one page some milliseconds at most. */
const pageRecords = 500
const pageBytes = 512 * 1024
/** Files that are written or sent at the same time; each takes room on the disk. */
const filesMax = 2
/** Hashes are cheap in memory but read everything. */
const hashesTogether = 2
const hashesWaitingMax = 64
const replacedRetryMillis = 50
/** A compaction may come between; then it is tried again. */
const attemptsMax = 5

export const layer: Layer.Layer<EtcdExport, never, ReplicatedState | LocalStore | Membership | Settings | Log> =
  Layer.effect(
    EtcdExport,
    Effect.gen(function* () {
      const state = yield* ReplicatedState
      const local = yield* LocalStore
      const membership = yield* Membership
      const settings = yield* Settings
      const log = yield* Log

      const failed = (cause: unknown) =>
        new ExportFailed({ folder: settings.dataDir, reason: cause instanceof Error ? cause.message : String(cause) })
      const io = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: failed })

      /** Undefined: the log is being replaced by what the bucket has. */
      const openView = (upToIndex: number, floor: number) =>
        Effect.gen(function* () {
          const revision = state.store.committedRevision
          const opening = Effect.acquireRelease(local.view(upToIndex, floor), (view) => view.close)
          const [view, bounds] = yield* Effect.all([opening, local.bounds], { concurrency: 2 })
          if (bounds.lastRevision >= revision && bounds.floor <= state.store.floor) return view
          yield* view.close
          yield* Effect.sleep(replacedRetryMillis)
          return undefined
        })

      /** The committed state, and a view of the disk that holds of it exactly what a compacted etcd would. */
      const openState = Effect.gen(function* () {
        for (let attempt = 0; attempt < attemptsMax; attempt++) {
          const source = state.snapshotSource()
          const view = yield* openView(source.index, source.floor)
          if (view === undefined) continue
          if (state.store.floor === source.floor) return { source, view }
          yield* view.close
        }
        return yield* Effect.fail<EtcdError>(errors.tooManyRequests)
      })

      /** Everything into the sink; `flush` is called after each page of it. Returns the revision. */
      const writeAll = <E>(sink: BucketSink, flush: Effect.Effect<void, E>) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { source, view } = yield* openState
            const buckets = new EtcdBuckets(source, membership.members())
            buckets.writeBeforeKeys(sink)
            yield* flush
            sink.bucket("key")
            const rows = new Rows(sink)
            for (let done = false; !done;) {
              const page = yield* view.next(pageRecords, pageBytes)
              done = page.done
              rows.add(page.records)
              yield* flush
            }
            buckets.writeBehindKeys(sink)
            yield* flush
            return source.revision
          })
        )

      let files = 0
      const place = Effect.acquireRelease(
        Effect.suspend(() => {
          if (files >= filesMax) return Effect.fail<EtcdError>(errors.tooManyRequests)
          files++
          return Effect.void
        }),
        () => Effect.sync(() => files--)
      )

      let made = 0
      const temporary = Effect.acquireRelease(
        io(async () => {
          const path = join(settings.dataDir, `export_${process.pid}_${++made}.db.tmp`)
          const handle = await open(path, "wx+", 0o600)
          await unlink(path)
          return handle
        }),
        (handle) => Effect.promise(() => handle.close())
      )

      const file = Effect.gen(function* () {
        yield* place
        const handle = yield* temporary
        const database = new DatabaseWriter()
        let at = DatabaseWriter.dataAt
        const flush = Effect.suspend(() => {
          const bytes = database.take()
          const to = at
          at += bytes.length
          return bytes.length === 0 ? Effect.void : io(() => writeFully(handle, bytes, to))
        })
        const revision = yield* writeAll(database, flush)
        const head = database.finish()
        yield* flush
        assert(at === database.fileBytes, `an export of ${database.fileBytes} bytes, ${at} were written`)
        yield* io(() => writeFully(handle, head, 0))
        log.info("etcd_export", { revision, bytes: database.fileBytes })
        return {
          bytes: database.fileBytes,
          revision,
          read: (offset, count) => io(() => readFully(handle, offset, Math.min(count, database.fileBytes - offset)))
        } satisfies ExportedFile
      })

      const turns = yield* Semaphore.make(hashesTogether)
      let hashes = 0
      /** One after the other, and not without end. */
      const inTurn = <A, E>(body: Effect.Effect<A, E>): Effect.Effect<A, E | EtcdError> =>
        Effect.suspend((): Effect.Effect<A, E | EtcdError> => {
          if (hashes >= hashesWaitingMax) return Effect.fail<EtcdError>(errors.tooManyRequests)
          hashes++
          return turns
            .withPermits(1)(body)
            .pipe(Effect.ensuring(Effect.sync(() => hashes--)))
        })

      const hash = inTurn(
        Effect.suspend(() => {
          const digest = new DatabaseHash()
          return Effect.map(writeAll(digest, Effect.void), (revision) => ({ hash: digest.digest(), revision }))
        })
      )

      /** Undefined: a compaction has come between. */
      const hashOnce = (revision: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const opened = HashKv.open(state.store, revision)
            if (isEtcdError(opened)) return yield* Effect.fail(opened)
            const view = yield* openView(state.snapshotSource().index, 0)
            if (view === undefined || state.store.compactRevision !== opened.compactRevision) return undefined
            for (let done = false; !done;) {
              const page = yield* view.next(pageRecords, pageBytes)
              // The store tells which version counts at the revision as long as its floor is not above it.
              if (state.store.compactRevision > Math.max(opened.revision, opened.compactRevision)) return undefined
              done = page.done
              opened.add(page.records)
            }
            const { compactRevision, revision: hashRevision } = opened
            return { hash: opened.digest(), compactRevision, hashRevision }
          })
        )

      const hashKv = (revision: number) =>
        inTurn(
          Effect.gen(function* () {
            for (let attempt = 0; attempt < attemptsMax; attempt++) {
              const hashed = yield* hashOnce(revision)
              if (hashed !== undefined) return hashed
            }
            return yield* Effect.fail<EtcdError>(errors.tooManyRequests)
          })
        )

      return EtcdExport.of({ file, hash, hashKv })
    })
  )

/** The rows of the bucket `key`. */
class Rows {
  readonly #sink: BucketSink
  readonly #key = new Writer(32)
  readonly #value = new Writer(4096)

  constructor(sink: BucketSink) {
    this.#sink = sink
  }

  /** Operations and Netsy's own first record are outside of MVCC. */
  add(records: ReadonlyArray<LogRecord>): void {
    for (const record of records) {
      if (record.op !== undefined || isInternal(record)) continue
      writeRowKey(this.#key.reset(), record)
      writeRowValue(this.#value.reset(), record)
      this.#sink.put(this.#key.view(), this.#value.view())
    }
  }
}

const writeFully = async (handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> => {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten
  }
}

const readFully = async (handle: FileHandle, position: number, count: number): Promise<Uint8Array> => {
  const bytes = new Uint8Array(count)
  for (let at = 0; at < count;) {
    const { bytesRead } = await handle.read(bytes, at, count - at, position + at)
    if (bytesRead === 0) throw new Error(`the file ends at ${position + at}`)
    at += bytesRead
  }
  return bytes
}
