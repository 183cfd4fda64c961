/** `History` over the bucket's objects. Reads nothing twice: what is known of an object is kept by key and ETag. */
import { Effect, Layer, Stream } from "effect"
import { indexOfKey } from "../core/datafile/keys.ts"
import { type ChunkFile, oldIdentity, type OldIdentity, sameOld, type SnapshotFile } from "../core/datafile/summary.ts"
import { FileKind } from "../core/datafile/types.ts"
import { overlaps } from "../core/log/overlaps.ts"
import {
  findPath,
  isAbove,
  isInEveryLaterLog,
  type PathFound,
  type SkippedTip,
  type Slice,
  type Stretch
} from "../core/log/history.ts"
import { beyond, type Moment } from "../core/log/moment.ts"
import type { LogRecord } from "../core/log/record.ts"
import {
  type BucketHistory,
  History,
  HistoryBroken,
  type HistoryError,
  NoSuchMoment,
  type ReadOptions
} from "../services/History.ts"
import { type ObjectInfo, ObjectStore } from "../services/ObjectStore.ts"
import { decode } from "./datafile/decode.ts"
import { entriesOfSlice, pagesOf } from "./datafile/entries.ts"
import {
  Bodies,
  Knowledge,
  loadChunk,
  type LoadError,
  loadHeader,
  loadSnapshot,
  objectBytes,
  wholeBytesMax
} from "./datafile/load.ts"
import { asBroken, conflict, emptyHistory, fingerprint, type Lists, termOnPath, vanished } from "./history/parts.ts"
import { findPast, type Past } from "./history/past.ts"

const downloads = { concurrency: 32 } as const
/** Beside a node's other work. */
const gentle = { concurrency: 8 } as const
/** Readings of unchanged lists after which a broken path is an error. */
const readingsMax = 3
const rereadAfterMillis = 100

type Found = PathFound<ChunkFile, SnapshotFile>

/** One reading: what the lists said, where the path is, and bodies that came by. */
interface Reading {
  readonly lists: Lists
  readonly found: Found
  readonly bodies: Bodies
}

export const layer: Layer.Layer<History, never, ObjectStore> = Layer.effect(
  History,
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const knowledge = new Knowledge()

    const listAll = (prefix: string) =>
      Effect.gen(function* () {
        const objects: Array<ObjectInfo> = []
        let after: string | undefined
        do {
          const page = yield* store.list(after === undefined ? { prefix } : { prefix, after })
          for (const object of page.objects) if (indexOfKey(object.key) !== undefined) objects.push(object)
          after = page.next
        } while (after !== undefined)
        return objects
      })

    /** Chunks first: a chunk that vanishes in between is then behind a snapshot that the second list has. */
    const listBoth = Effect.gen(function* () {
      const chunks = yield* listAll("chunks/")
      const snapshots = yield* listAll("snapshots/")
      knowledge.keepOnly([...chunks, ...snapshots])
      return { chunks, snapshots }
    })

    const loadChunks = (objects: ReadonlyArray<ObjectInfo>, bodies: Bodies, speed: { readonly concurrency: number }) =>
      Effect.map(
        Effect.forEach(objects, (o) => loadChunk(store, knowledge, bodies, o), speed),
        (files) => files.flat()
      )

    const loadAll = (
      lists: Lists,
      bodies: Bodies,
      { recoveredTerm }: ReadOptions,
      speed: typeof downloads | typeof gentle
    ) =>
      Effect.gen(function* () {
        const snapshots = yield* Effect.forEach(lists.snapshots, (o) => loadSnapshot(store, knowledge, o), speed)
        const top = snapshots.reduce((a, b) => (isAbove(b, a) ? b : a), { key: "", lastIndex: 0, lastTerm: 0 })
        const trusted = isInEveryLaterLog(top, recoveredTerm)
        // A chunk that ends at or below the highest snapshot matters only if its term is higher: the header tells.
        const needed = yield* Effect.filter(
          lists.chunks,
          (o) => {
            if (indexOfKey(o.key)! > top.lastIndex) return Effect.succeed(true)
            if (trusted) return Effect.succeed(false)
            return Effect.map(loadHeader(store, knowledge, bodies, o), (h) => h.term > top.lastTerm)
          },
          speed
        )
        const load = (objects: ReadonlyArray<ObjectInfo>) => loadChunks(objects, bodies, speed)
        let chunks = yield* load(needed)
        let found: Found = findPath(chunks, snapshots)
        // A path that breaks above the snapshot breaks there whatever the chunks below it hold.
        const certain =
          found.kind === "path" &&
          found.skipped.every((s) => s.brokenAt > top.lastIndex) &&
          (!trusted || found.snapshot?.key === top.key)
        if (!certain && needed.length < lists.chunks.length) {
          chunks = yield* load(lists.chunks)
          found = findPath(chunks, snapshots)
        }
        yield* checkCopies(chunks, bodies)
        return { lists, found, bodies }
      })

    /** Netsy 1.x may have written a revision into several chunks; the copies must agree. */
    const checkCopies = (chunks: ReadonlyArray<ChunkFile>, bodies: Bodies) =>
      Effect.gen(function* () {
        for (const group of overlaps(chunks.filter((c) => c.old))) {
          const seen = new Map<number, { readonly key: string; readonly identity: OldIdentity }>()
          for (const key of new Set(group.map((c) => c.key))) {
            yield* recordsOf(key, FileKind.Chunk, bodies).pipe(
              Stream.runForEach((records) => {
                for (const record of records) {
                  const identity = oldIdentity(record)
                  const other = seen.get(record.revision)
                  if (other === undefined) seen.set(record.revision, { key, identity })
                  else if (!sameOld(other.identity, identity))
                    return Effect.fail(conflict(other.key, key, record.revision))
                }
                return Effect.void
              })
            )
          }
        }
      })

    const recordsOf = (
      key: string,
      kind: number,
      bodies: Bodies
    ): Stream.Stream<ReadonlyArray<LogRecord>, LoadError> => {
      const body = bodies.get(key)
      return (body === undefined ? objectBytes(store, key) : Stream.succeed(body)).pipe(
        decode(key, { kind }),
        Stream.map((part) => (part.kind === "records" ? part.records : [])),
        Stream.filter((records) => records.length > 0)
      )
    }

    const reading = (options: ReadOptions): Effect.Effect<Reading, HistoryError> =>
      Effect.gen(function* () {
        let before: string | undefined
        let unchanged = 0
        for (;;) {
          const lists = yield* listBoth
          const now = fingerprint(lists)
          unchanged = now === before ? unchanged + 1 : 1
          before = now
          // An object that vanished since it was listed: the lists have changed.
          const result = yield* loadAll(lists, new Bodies(), options, downloads).pipe(
            Effect.catchTag("NotFound", (gone) => Effect.succeed(gone)),
            Effect.catchTag("DataFileDamaged", (damage) => Effect.fail(asBroken(damage)))
          )
          if ("_tag" in result) {
            if (unchanged >= readingsMax)
              return yield* new HistoryBroken({ key: result.key, reason: "is listed but not there" })
          } else if (result.found.kind !== "broken") return result
          else if (unchanged >= readingsMax) {
            const { key, tip, at } = result.found
            return yield* new HistoryBroken({
              key,
              reason: `the path back from entry (${tip.index}, term ${tip.term}) breaks: no object holds index ${at}`
            })
          }
          yield* Effect.sleep(rereadAfterMillis)
        }
      })

    const warm = (options: ReadOptions) =>
      Effect.gen(function* () {
        const lists = yield* listBoth
        yield* loadAll(lists, Bodies.none, options, gentle).pipe(
          // Gone since it was listed: there is nothing to learn.
          Effect.catchTag("NotFound", () => Effect.void),
          Effect.catchTag("DataFileDamaged", (damage) => Effect.fail(asBroken(damage)))
        )
        return lists.chunks.length + lists.snapshots.length
      })

    const pathRecords = <A>(stream: Stream.Stream<A, LoadError>): Stream.Stream<A, HistoryError> =>
      stream.pipe(
        Stream.catchTag("NotFound", (gone) => Stream.fail(vanished(gone))),
        Stream.catchTag("DataFileDamaged", (damage) => Stream.fail(asBroken(damage)))
      )

    const snapshotRecords = (snapshot: SnapshotFile) => () =>
      pathRecords(
        pagesOf(
          recordsOf(snapshot.key, FileKind.Snapshot, new Bodies()),
          // The op that states floor and revision is part of the file, not of the state.
          snapshot.old ? 0 : 1
        )
      )

    const entriesAfter = (slices: ReadonlyArray<Slice<ChunkFile>>, bodies: Bodies) => (index: number) => {
      const wanted = slices.filter((s) => s.to > index).map((s) => ({ ...s, from: Math.max(s.from, index + 1) }))
      const entries = (slice: Slice<ChunkFile>) =>
        entriesOfSlice(recordsOf(slice.chunk.key, FileKind.Chunk, bodies), slice.from, slice.to)
      return pathRecords(
        Stream.fromIterable(wanted, { chunkSize: 1 }).pipe(
          Stream.mapEffect(
            (slice) =>
              slice.chunk.size > wholeBytesMax
                ? Effect.succeed(entries(slice))
                : Effect.map(Stream.runCollect(entries(slice)), (batches) => Stream.fromIterable(batches)),
            downloads
          ),
          Stream.flatMap((batches) => batches)
        )
      )
    }

    const historyAt = (
      { bodies, lists }: Reading,
      { snapshot, slices, last, revision }: Stretch<ChunkFile, SnapshotFile> & Omit<Past, "stretch">,
      skippedTips: ReadonlyArray<SkippedTip>
    ): BucketHistory => {
      const onPath = new Set(slices.filter((s) => s.to === s.chunk.lastIndex).map((s) => s.chunk.key))
      return {
        last,
        lastRevision: revision,
        highestTerm: last.term,
        snapshot: snapshot && {
          key: snapshot.key,
          last: { index: snapshot.lastIndex, term: snapshot.lastTerm },
          revision: snapshot.revision,
          floor: snapshot.floor,
          lastModified: snapshot.lastModified,
          size: snapshot.size
        },
        termAt: (index) => termOnPath(slices, snapshot, index),
        takenKeys: new Set(lists.chunks.filter((o) => !onPath.has(o.key)).map((o) => indexOfKey(o.key)!)),
        skippedTips,
        chunkBytes: [...new Map(slices.map((s) => [s.chunk.key, s.chunk.size])).values()].reduce((a, b) => a + b, 0),
        snapshotRecords: snapshot === undefined ? () => Stream.empty : snapshotRecords(snapshot),
        entriesAfter: entriesAfter(slices, bodies)
      }
    }

    const newestOf = ({ last, slices, snapshot }: Extract<Found, { readonly kind: "path" }>) => {
      const revision = slices[slices.length - 1]?.chunk.lastRevision ?? snapshot?.revision ?? 0
      return { last, slices, snapshot, revision }
    }

    const read = (options: ReadOptions) =>
      Effect.map(reading(options), (now): BucketHistory => {
        const { found, lists } = now
        return found.kind === "path" ? historyAt(now, newestOf(found), found.skipped) : emptyHistory(lists)
      })

    const readTo = (moment: Moment, options: ReadOptions) =>
      Effect.gen(function* () {
        const now = yield* reading(options)
        const { bodies, found, lists } = now
        if (found.kind !== "path") return yield* new NoSuchMoment({ message: "the bucket holds no data" })
        const newest = newestOf(found)
        if (moment.kind === "newest") return historyAt(now, newest, found.skipped)
        const wrong = beyond(moment, { index: newest.last.index, revision: newest.revision })
        if (wrong !== undefined) return yield* new NoSuchMoment({ message: wrong })
        const parts = {
          ...options,
          snapshots: yield* Effect.forEach(lists.snapshots, (o) => loadSnapshot(store, knowledge, o), downloads),
          chunksAbove: (index: number) => {
            const above = lists.chunks.filter((o) => indexOfKey(o.key)! > index)
            return Effect.tap(loadChunks(above, bodies, downloads), (chunks) => checkCopies(chunks, bodies))
          },
          entriesOf: ({ chunk, from, to }: Slice<ChunkFile>) =>
            entriesOfSlice(recordsOf(chunk.key, FileKind.Chunk, bodies), from, to)
        }
        const { stretch, ...at } = yield* findPast(parts, newest, moment)
        const slices = stretch.slices
          .filter(({ from }) => from <= at.last.index)
          .map((slice) => ({ ...slice, to: Math.min(slice.to, at.last.index) }))
        return historyAt(now, { ...stretch, ...at, slices }, found.skipped)
      }).pipe(
        Effect.catchTag("NotFound", (gone) => Effect.fail(vanished(gone))),
        Effect.catchTag("DataFileDamaged", (damage) => Effect.fail(asBroken(damage)))
      )

    const highestTerm = Effect.gen(function* () {
      const lists = yield* listBoth
      const bodies = new Bodies()
      const headers = yield* Effect.forEach(
        [...lists.chunks, ...lists.snapshots],
        // One that vanished meanwhile lies behind a snapshot of a term that is as high.
        (o) =>
          loadHeader(store, knowledge, bodies, o).pipe(Effect.catchTag("NotFound", () => Effect.succeed({ term: 0 }))),
        downloads
      ).pipe(Effect.catchTag("DataFileDamaged", (damage) => Effect.fail(asBroken(damage))))
      return headers.reduce((highest, header) => Math.max(highest, header.term), 0)
    })

    return History.of({ read, readTo, warm, highestTerm })
  })
)
