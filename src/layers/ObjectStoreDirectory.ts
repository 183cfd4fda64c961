/**
 * `ObjectStore` in a directory of a local disk: one file an object, crash-safe, with compare-and-set between processes.
 * Names with a leading dot do not exist for it. The embedded default, and what `--storage dir:PATH` names.
 */
import { statSync } from "node:fs"
import { open } from "node:fs/promises"
import { resolve } from "node:path"
import { Clock, Effect, Layer, type Scope, Stream } from "effect"
import { assert } from "../core/assert.ts"
import {
  type Condition,
  Denied,
  NotFound,
  ObjectStore,
  PreconditionFailed,
  type StreamedBody,
  type Unavailable,
  type WriteError
} from "../services/ObjectStore.ts"
import { Settings } from "../services/Settings.ts"
import { ConditionFailed, describeFile, DirectoryFiles, etagOf, NameTaken } from "./objectstore/directoryFiles.ts"
import { failureOf, isMissing, missing } from "./objectstore/directoryErrors.ts"
import { listDirectory } from "./objectstore/directoryList.ts"
import { SectionLock, type SqliteModule, takeExclusive } from "./objectstore/directoryLock.ts"
import { keyProblem } from "./objectstore/keys.ts"
import { checkedBody } from "./objectstore/streams.ts"
import { makeFolder } from "./internal/makeFolder.ts"

const bulkDeleteMax = 1000
const pieceBytes = 256 << 10

const make = (files: DirectoryFiles, sqlite: SqliteModule): ObjectStore["Service"] => {
  const checked = <A, E>(
    operation: string,
    key: string,
    run: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Denied> => {
    const reason = keyProblem(key)
    return reason === undefined ? Effect.suspend(run) : Effect.fail(new Denied({ operation, key, reason }))
  }
  const plain = <A>(operation: string, key: string, run: () => Promise<A>): Effect.Effect<A, Unavailable | Denied> =>
    Effect.tryPromise({ try: run, catch: (error) => failureOf(operation, key, files.pathOf(key), error) })
  const reading = <A>(
    operation: string,
    key: string,
    run: () => Promise<A>
  ): Effect.Effect<A, NotFound | Unavailable | Denied> =>
    Effect.tryPromise({
      try: run,
      catch: (error) =>
        isMissing(error) ? new NotFound({ operation, key }) : failureOf(operation, key, files.pathOf(key), error)
    })
  const writing = <A>(key: string, run: () => Promise<A>): Effect.Effect<A, WriteError> =>
    Effect.tryPromise({
      try: run,
      catch: (error) =>
        error instanceof ConditionFailed
          ? new PreconditionFailed({ operation: "put", key })
          : failureOf("put", key, files.pathOf(key), error)
    })

  const openObject = async (key: string) => {
    const handle = await open(files.pathOf(key), "r")
    try {
      const stat = await handle.stat({ bigint: true })
      if (!stat.isFile()) throw missing()
      return { handle, size: Number(stat.size), etag: etagOf(stat) }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  const get = async (key: string, range: { readonly start: number; readonly end: number } | undefined) => {
    const { handle, size, etag } = await openObject(key)
    try {
      const start = range?.start ?? 0
      const end = Math.min(size, (range?.end ?? size) + 1)
      if (range !== undefined && (start >= size || start >= end)) throw new RangeError(`${size} bytes`)
      const body = new Uint8Array(end - start)
      for (let read = 0; read < body.length;) {
        const { bytesRead } = await handle.read(body, read, body.length - read, start + read)
        if (bytesRead === 0) throw new Error(`${files.pathOf(key)} is shorter than it was`)
        read += bytesRead
      }
      return { body, etag }
    } finally {
      await handle.close()
    }
  }

  const put = async (key: string, body: Uint8Array, condition: Condition | undefined) => {
    files.checkNow(key, condition)
    const draft = files.draft()
    try {
      await files.append(draft, body)
    } catch (error) {
      files.discard(draft)
      throw error
    }
    return { etag: await files.place(draft, key, condition) }
  }

  const now = <A>(key: string, run: () => A): Effect.Effect<A, WriteError> => writing(key, async () => run())

  const putStream = (
    key: string,
    body: StreamedBody,
    condition: Condition | undefined
  ): Effect.Effect<{ readonly etag: string }, WriteError> =>
    Effect.acquireUseRelease(
      now(key, () => {
        files.checkNow(key, condition)
        return files.draft()
      }),
      (draft) =>
        Stream.runForEach(checkedBody("put", key, body), (piece) =>
          Effect.uninterruptible(plain("put", key, () => files.append(draft, piece)))
        ).pipe(
          Effect.andThen(Effect.uninterruptible(writing(key, () => files.place(draft, key, condition)))),
          Effect.map((etag) => ({ etag }))
        ),
      (draft) => Effect.sync(() => files.discard(draft))
    )

  const getStream = Effect.fnUntraced(function* (key: string) {
    const { handle, size, etag } = yield* reading("get", key, () => openObject(key))
    const source = handle.createReadStream({ highWaterMark: pieceBytes })
    const body = Stream.fromAsyncIterable(source as AsyncIterable<Uint8Array>, (error) =>
      failureOf("get", key, files.pathOf(key), error)
    )
    return {
      body: Stream.ensuring(
        body,
        Effect.sync(() => void source.destroy())
      ),
      etag,
      size
    }
  })

  const exclusive: Effect.Effect<boolean, Unavailable | Denied, Scope.Scope> = Effect.acquireRelease(
    plain("lock", ".lock", () => takeExclusive(sqlite, files.root)),
    (lock) => Effect.sync(() => lock?.release())
  ).pipe(Effect.map((lock) => lock !== undefined))

  return ObjectStore.of({
    provider: "directory",
    get: (key, options) => checked("get", key, () => reading("get", key, () => get(key, options?.range))),
    getStream: (key) => checked("get", key, () => getStream(key)),
    head: (key) =>
      checked("head", key, () =>
        reading("head", key, async () => {
          const info = describeFile(key, files.pathOf(key))
          if (info === undefined) throw missing()
          return info
        })
      ),
    put: (key, body, condition) => checked("put", key, () => writing(key, () => put(key, body, condition))),
    putStream: (key, body, condition) => checked("put", key, () => putStream(key, body, condition)),
    copy: (from, to) =>
      checked("copy", from, () =>
        checked("copy", to, () => reading("copy", from, async () => ({ etag: await files.copy(from, to) })))
      ),
    delete: (key) => checked("delete", key, () => plain("delete", key, () => files.remove(key))),
    deleteMany: (keys) =>
      Effect.suspend(() => {
        assert(keys.length <= bulkDeleteMax, `deleteMany of ${keys.length} keys, at most ${bulkDeleteMax}`)
        const bad = keys.flatMap((key) => {
          const reason = keyProblem(key)
          return reason === undefined ? [] : [{ key, reason }]
        })
        const good = keys.filter((key) => keyProblem(key) === undefined)
        return Effect.as(
          plain("deleteMany", good[0] ?? "", () => files.removeMany(good)),
          bad
        )
      }),
    bulkDeleteMax,
    list: (options) => plain("list", options.prefix, () => listDirectory(files.root, options, describeFile)),
    exclusive
  })
}

const openDirectory = Effect.fnUntraced(function* (path: string) {
  const root = resolve(path)
  const now = yield* Clock.currentTimeMillis
  const { files, sqlite } = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        makeFolder(root, 0o700)
        if (!statSync(root).isDirectory()) throw new NameTaken(`${root} is not a folder`)
        const { default: sqliteModule } = await import("better-sqlite3")
        const sectionLock = await SectionLock.open(sqliteModule, root)
        const opened = new DirectoryFiles(root, sectionLock)
        opened.tidy(now)
        return { files: opened, lock: sectionLock, sqlite: sqliteModule }
      },
      catch: (error) => failureOf("open", root, root, error)
    }),
    (acquired) => Effect.sync(() => acquired.lock.close())
  )
  return make(files, sqlite)
})

/** The directory at `path`, created if missing. */
export const layerAt = (path: string): Layer.Layer<ObjectStore, Unavailable | Denied> =>
  Layer.effect(ObjectStore, openDirectory(path))

/** The directory `storage.path` of `Settings`. */
export const layer: Layer.Layer<ObjectStore, Unavailable | Denied, Settings> = Layer.effect(
  ObjectStore,
  Effect.flatMap(Settings, (settings) => openDirectory(settings.storage.path))
)
