/**
 * What the history's walk needs of the bucket's objects, each read once: objects never change under an ETag, so what was
 * learned stays true and is kept.
 */
import { Effect, Option, Stream } from "effect"
import { indexOfKey } from "../../core/datafile/keys.ts"
import { HeaderReader } from "../../core/datafile/reader.ts"
import {
  type ChunkFile,
  ChunkSummary,
  OldFloor,
  type SnapshotFile,
  snapshotState
} from "../../core/datafile/summary.ts"
import { DataFileDamaged, type FileHeader, FileKind } from "../../core/datafile/types.ts"
import { millisOf } from "../../core/log/moment.ts"
import type { ObjectInfo, ObjectStore, ReadError } from "../../services/ObjectStore.ts"
import { attempt, decode } from "./decode.ts"

type Store = ObjectStore["Service"]
export type LoadError = ReadError | DataFileDamaged

/** Holds every header with room to spare; one that is longer is read with the whole object. */
const headerBytes = 1024
/** Objects up to this size are fetched whole. */
export const wholeBytesMax = 2 * 1024 * 1024
/** Bodies kept between finding the path and reading its entries, in all. */
const keptBytesMax = 64 * 1024 * 1024

interface Known<A> {
  readonly etag: string
  readonly value: A
}

/** Everything learned so far, by key. */
export class Knowledge {
  readonly headers = new Map<string, Known<FileHeader>>()
  readonly chunks = new Map<string, Known<ReadonlyArray<ChunkFile>>>()
  readonly snapshots = new Map<string, Known<SnapshotFile>>()

  /** Forgets what is no longer in the bucket. */
  keepOnly(objects: ReadonlyArray<ObjectInfo>): void {
    const keys = new Set(objects.map((o) => o.key))
    for (const map of [this.headers, this.chunks, this.snapshots]) {
      for (const key of map.keys()) if (!keys.has(key)) map.delete(key)
    }
  }
}

/** Bodies of small chunks, so that a cold start fetches each of them once. */
export class Bodies {
  /** Keeps nothing. */
  static readonly none = new Bodies(0)

  private readonly byKey = new Map<string, Uint8Array>()
  private readonly bytesMax: number
  private bytes = 0

  constructor(bytesMax = keptBytesMax) {
    this.bytesMax = bytesMax
  }

  keep(key: string, body: Uint8Array): void {
    if (this.byKey.has(key) || this.bytes + body.length > this.bytesMax) return
    this.bytes += body.length
    this.byKey.set(key, body)
  }

  get(key: string): Uint8Array | undefined {
    return this.byKey.get(key)
  }
}

const known = <A>(map: Map<string, Known<A>>, object: ObjectInfo): A | undefined => {
  const entry = map.get(object.key)
  return entry !== undefined && entry.etag === object.etag ? entry.value : undefined
}

export const objectBytes = (store: Store, key: string): Stream.Stream<Uint8Array, ReadError> =>
  Stream.unwrap(Effect.map(store.getStream(key), ({ body }) => body))

const wrongIndex = (key: string, found: number): DataFileDamaged =>
  new DataFileDamaged(key, "last index", 0, false, `the key says ${indexOfKey(key)}, the file ends at ${found}`)

export const loadHeader = (
  store: Store,
  knowledge: Knowledge,
  bodies: Bodies,
  object: ObjectInfo
): Effect.Effect<FileHeader, LoadError> =>
  Effect.gen(function* () {
    const before = known(knowledge.headers, object)
    if (before !== undefined) return before
    const { key, size, etag } = object
    const reader = new HeaderReader(key)
    if (size > 0) {
      const { body } = yield* store.get(
        key,
        size > headerBytes ? { range: { start: 0, end: headerBytes - 1 } } : undefined
      )
      if (size <= headerBytes) bodies.keep(key, body)
      const done = yield* attempt(() => reader.push(body))
      if (!done && size > headerBytes) {
        const rest = yield* store.get(key)
        yield* attempt(() => reader.push(rest.body.subarray(body.length)))
      }
    }
    if (reader.header === undefined) return yield* Effect.fail(reader.truncated())
    knowledge.headers.set(key, { etag, value: reader.header })
    return reader.header
  })

/** Reads and checks the whole chunk. */
export const loadChunk = (
  store: Store,
  knowledge: Knowledge,
  bodies: Bodies,
  object: ObjectInfo
): Effect.Effect<ReadonlyArray<ChunkFile>, LoadError> =>
  Effect.gen(function* () {
    const before = known(knowledge.chunks, object)
    if (before !== undefined) return before
    const { key, size, etag } = object
    let bytes: Stream.Stream<Uint8Array, ReadError>
    if (size <= wholeBytesMax) {
      const body = bodies.get(key) ?? (yield* store.get(key)).body
      bodies.keep(key, body)
      bytes = Stream.succeed(body)
    } else bytes = objectBytes(store, key)
    const summary = new ChunkSummary()
    let header: FileHeader | undefined
    yield* bytes.pipe(
      decode(key, { kind: FileKind.Chunk }),
      Stream.runForEach((part) =>
        Effect.sync(() => {
          if (part.kind === "header") header = part.header
          else if (part.kind === "records") summary.add(part.records)
        })
      )
    )
    const files = summary.finish(key, size, header!)
    const last = files[files.length - 1]?.lastIndex ?? 0
    if (last !== indexOfKey(key)) return yield* Effect.fail(wrongIndex(key, last))
    knowledge.headers.set(key, { etag, value: header! })
    knowledge.chunks.set(key, { etag, value: files })
    return files
  })

/** Reads a snapshot as far as its end is stated: to the first record, or, of Netsy 1.x, to the footer. */
export const loadSnapshot = (
  store: Store,
  knowledge: Knowledge,
  object: ObjectInfo
): Effect.Effect<SnapshotFile, LoadError> =>
  Effect.gen(function* () {
    const before = known(knowledge.snapshots, object)
    if (before !== undefined) return before
    const { key, size, etag, lastModified } = object
    const oldFloor = new OldFloor()
    let header: FileHeader | undefined
    let found: SnapshotFile | undefined
    yield* objectBytes(store, key).pipe(
      decode(key, { kind: FileKind.Snapshot }),
      Stream.mapEffect((part) =>
        attempt(() => {
          if (part.kind === "header") header = part.header
          const { term, lastIndex, lastTerm } = header!
          const createdMillis = millisOf(header!.createdAt)
          if (part.kind === "records" && term > 0) {
            const state = snapshotState(part.records[0]!)
            if (state === undefined) {
              throw new DataFileDamaged(
                key,
                "record value",
                0,
                true,
                "the first record does not state floor and revision"
              )
            }
            found = { key, size, lastModified, createdMillis, lastIndex, lastTerm, ...state, old: false }
          } else if (part.kind === "records") oldFloor.add(part.records)
          else if (part.kind === "end" && term === 0) {
            const revision = part.end.footer.lastRevision
            const { floor } = oldFloor
            const end = { lastIndex: revision, lastTerm: 0, revision, floor }
            found = { key, size, lastModified, createdMillis, ...end, old: true }
          }
          return found
        })
      ),
      Stream.takeUntil((result) => result !== undefined),
      Stream.runLast,
      Effect.map(Option.getOrUndefined)
    )
    if (found === undefined)
      return yield* Effect.fail(new DataFileDamaged(key, "truncated", 0, false, "the file ends early"))
    if (found.lastIndex !== indexOfKey(key)) return yield* Effect.fail(wrongIndex(key, found.lastIndex))
    knowledge.headers.set(key, { etag, value: header! })
    knowledge.snapshots.set(key, { etag, value: found })
    return found
  })
