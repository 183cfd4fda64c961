/**
 * `LocalStore` over a `MemoryDisk`, with the same rules as the one on SQLite, for tests and the simulator. Each write
 * succeeds when the disk has synced it: at once, after `syncDelay`, or when a test releases it.
 */
import { Clock, type Duration, Effect, Layer, Random } from "effect"
import { assert } from "../core/assert.ts"
import { fileStamp } from "../core/localstore/rfc3339.ts"
import type { LogRecord } from "../core/log/record.ts"
import { type Bounds, LocalStore, LocalStoreFailed, type Opened } from "../services/LocalStore.ts"
import { type Contents, MemoryDisk } from "./localstore/MemoryDisk.ts"

export { MemoryDisk } from "./localstore/MemoryDisk.ts"

/** Which disk, and what it is called. */
export interface LocalStoreMemoryOptions {
  /** Survives the layer; a disk of its own unless given. */
  readonly disk?: MemoryDisk
  /** How long an fsync takes; one at a time covers all writes before it. */
  readonly syncDelay?: Duration.Input
  /** For messages; `:memory:` unless given. */
  readonly path?: string
}

/** Locks the disk until the scope closes; fails when another node has it. */
export const layer = (options: LocalStoreMemoryOptions = {}): Layer.Layer<LocalStore, LocalStoreFailed> =>
  Layer.effect(LocalStore, make(options))

const make = Effect.fnUntraced(function* (options: LocalStoreMemoryOptions) {
  const { disk = new MemoryDisk(), path = ":memory:", syncDelay } = options
  const owner = {}
  const failed = (operation: string, reason: string) => new LocalStoreFailed({ operation, path, reason })

  yield* Effect.acquireRelease(
    Effect.suspend(() => (disk.lock(owner) ? Effect.void : Effect.fail(failed("open", "in use by another process")))),
    () =>
      Effect.sync(() => {
        if (!disk.isLockedBy(owner)) return
        disk.releaseSyncs()
        disk.unlock(owner)
      })
  )
  const setAside = disk.open(yield* randomIncarnation, path, fileStamp(yield* Clock.currentTimeMillis))
  const contents = disk.contents

  const read = <A>(operation: string, body: (contents: Contents) => A): Effect.Effect<A, LocalStoreFailed> =>
    Effect.suspend(() =>
      disk.isLockedBy(owner)
        ? Effect.succeed(body(disk.contents))
        : Effect.fail(failed(operation, "the local store is closed"))
    )

  const write = (operation: string, body: (contents: Contents) => void): Effect.Effect<void, LocalStoreFailed> =>
    Effect.suspend(() => {
      if (!disk.isLockedBy(owner)) return Effect.fail(failed(operation, "the local store is closed"))
      let outcome: { readonly failure: string | undefined } | undefined
      let wake: (() => void) | undefined
      disk.write(body, (failure) => {
        outcome = { failure }
        wake?.()
      })
      const settled = Effect.suspend(() => {
        const reason = outcome?.failure
        return reason === undefined ? Effect.void : Effect.fail(failed(operation, reason))
      })
      const durable = Effect.callback<void>((resume) => {
        if (outcome !== undefined) resume(Effect.void)
        else wake = () => resume(Effect.void)
      })
      const synced = Effect.sync(() => {
        if (outcome === undefined && disk.isLockedBy(owner)) disk.sync()
      })
      const delayed = syncDelay === undefined ? synced : Effect.andThen(Effect.sleep(syncDelay), synced)
      return Effect.andThen(delayed, Effect.andThen(durable, settled))
    })

  const imported = disk.importable
  const opened: Opened = {
    ...boundsOf(contents),
    incarnation: contents.incarnation,
    starts: contents.starts,
    promises: contents.promises,
    setAside,
    imported: imported === undefined ? undefined : describeImport(imported)
  }

  return LocalStore.of({
    opened,
    path,
    append: (entries, commitIndex) => write("append", ({ table }) => table.append(entries, commitIndex)),
    bounds: read("bounds", boundsOf),
    truncateFrom: (index) => write("truncateFrom", ({ table }) => table.truncateFrom(index)),
    clear: write("clear", ({ table }) => table.clear()),
    restore: (records, end) =>
      write("restore", ({ table }) =>
        table.restore(
          records,
          end === undefined ? undefined : { ...end.position, revision: end.revision },
          end?.floor ?? 0
        )
      ),
    entries: (fromIndex, maxEntries, maxBytes) =>
      read("entries", ({ table }) => table.entries(fromIndex, maxEntries, maxBytes)),
    termAt: (index) => read("termAt", ({ table }) => table.termAt(index)),
    changes: (fromRevision, toRevision, maxBytes) =>
      read("changes", ({ table }) => table.changes(fromRevision, toRevision, maxBytes)),
    versions: (wanted) => read("versions", ({ table }) => wanted.map((one) => table.version(one))),
    view: (upToIndex, floor = 0) =>
      read("view", ({ table }) => {
        const records = table.view(upToIndex, floor)
        const count = records.length
        let at = 0
        return {
          count,
          changeCount: records.filter((record) => record.op === undefined).length,
          next: (maxRecords: number, maxBytes: number) =>
            read("view", () => {
              const page: Array<LogRecord> = []
              for (let bytes = 0; at < count && (page.length === 0 || page.length < maxRecords); at++) {
                bytes += 64 + records[at]!.key.length + records[at]!.value.length
                if (page.length > 0 && bytes > maxBytes) break
                page.push(records[at]!)
              }
              return { records: page, done: at === count }
            }),
          close: Effect.void
        }
      }),
    promise: (promises) =>
      write("promise", (contents) => {
        const { fenced, reigned } = contents.promises
        assert(promises.fenced >= fenced && promises.reigned >= reigned, "a promise never goes back")
        contents.promises = { fenced: promises.fenced, reigned: promises.reigned }
      }),
    newIncarnation: Effect.flatMap(randomIncarnation, (incarnation) =>
      Effect.as(
        write("newIncarnation", (contents) => {
          contents.incarnation = incarnation
          contents.starts = 1
        }),
        incarnation
      )
    ),
    abandon: (reason) => read("abandon", () => disk.corrupt(reason)),
    compact: (revision, state, ops = {}) =>
      Effect.suspend(() => {
        let removed = 0
        // Applied to what is seen first and to what is durable later; the first answer is the caller's.
        let counted = false
        return Effect.map(
          write("compact", ({ table }) => {
            const count = table.compact(revision, state, ops)
            if (!counted) removed = count
            counted = true
          }),
          () => ({ removed })
        )
      }),
    defragment: () => read("defragment", ({ table }) => ({ before: table.bytes(), after: table.bytes() })),
    readImported: (fromRevision, maxRecords) =>
      read("readImported", () =>
        (disk.importable ?? []).filter((row) => row.revision >= fromRevision).slice(0, maxRecords)
      ),
    importDone: read("importDone", () => disk.offerImport(undefined)),
    getMeta: (name) => read("getMeta", ({ facts }) => facts.get(factName(name))),
    setMeta: (name, value) => write("setMeta", ({ facts }) => facts.set(factName(name), value.slice())),
    size: read("size", ({ table }) => ({ total: table.bytes(), inUse: table.bytes() }))
  })
})

const randomIncarnation = Effect.gen(function* () {
  let text = ""
  for (let i = 0; i < 32; i++) text += (yield* Random.nextIntBetween(0, 15)).toString(16)
  return text
})

const boundsOf = ({ table: { log } }: Contents): Bounds => ({
  last: { index: log.lastIndex, term: log.lastTerm },
  lastRevision: log.lastRevision,
  firstIndex: log.baseIndex + 1,
  floor: log.floor,
  commitIndex: log.commitIndex
})

const describeImport = (rows: ReadonlyArray<LogRecord>): Opened["imported"] => ({
  path: ":memory:.netsy-1x",
  count: rows.length,
  lastRevision: rows[rows.length - 1]?.revision ?? 0,
  floor: 0
})

const factName = (name: string): string => {
  assert(/^[A-Za-z]/.test(name), `a fact's name begins with a letter, "${name}" does not`)
  return name
}
