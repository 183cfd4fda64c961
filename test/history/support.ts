/** Buckets laid out by hand, and a store over them that counts what is read. */
import { zstdCompressSync } from "node:zlib"
import { Effect, Layer, Stream } from "effect"
import { Crc64 } from "../../src/core/datafile/crc64.ts"
import { writeFooter, writeHeader } from "../../src/core/datafile/header.ts"
import { chunkKey, snapshotKey } from "../../src/core/datafile/keys.ts"
import { writeRecord } from "../../src/core/datafile/record.ts"
import { FileCompression, FileKind } from "../../src/core/datafile/types.ts"
import { encodeChunk, SnapshotWriter } from "../../src/core/datafile/writer.ts"
import { Writer } from "../../src/core/wire/protobuf.ts"
import type { Entry, LogRecord } from "../../src/core/log/record.ts"
import * as HistoryBucket from "../../src/layers/HistoryBucket.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { type BucketHistory, History, type ReadOptions } from "../../src/services/History.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { concat, facts, record } from "../datafile/support.ts"

export const put = (bucket: ObjectStoreMemory.MemoryBucket, key: string, body: Uint8Array): void => {
  bucket.put(key, body, undefined, 1700000000000)
}

export const storeChunk = (
  bucket: ObjectStoreMemory.MemoryBucket,
  entries: ReadonlyArray<Entry>,
  over: { readonly term: number; readonly prevTerm?: number; readonly stored?: number },
  compress?: boolean
): string => {
  const key = chunkKey(entries[entries.length - 1]!.index)
  const chunk = encodeChunk(entries, { ...facts, stored: entries[0]!.index - 1, ...over }, compress)
  const { bytes, headerBytes } = chunk
  const packed = () => concat(bytes.subarray(0, headerBytes), zstdCompressSync(bytes.subarray(headerBytes)))
  put(bucket, key, chunk.compress ? packed() : bytes)
  return key
}

export const storeSnapshot = (
  bucket: ObjectStoreMemory.MemoryBucket,
  records: ReadonlyArray<LogRecord>,
  over: {
    readonly term: number
    readonly lastIndex: number
    readonly lastTerm: number
    readonly revision: number
    readonly floor?: number
  },
  compress = true
): string => {
  const key = snapshotKey(over.lastIndex)
  const writer = new SnapshotWriter({
    leaderId: "node-1",
    createdAt: { seconds: 1700000002, nanos: 0 },
    compactionRevision: over.floor ?? 0,
    recordsCount: records.length,
    compress,
    term: over.term,
    lastIndex: over.lastIndex,
    lastTerm: over.lastTerm,
    revision: over.revision
  })
  const header = writer.header()
  const body = concat(writer.records(records), writer.footer())
  put(bucket, key, concat(header, compress ? zstdCompressSync(body) : body))
  return key
}

/** Single-record entries of Netsy 1.x, revision = index. */
export const oldEntries = (from: number, to: number, over: Partial<LogRecord> = {}): Array<Entry> =>
  Array.from({ length: to - from + 1 }, (_, i) => {
    const revision = from + i
    return { index: revision, term: 0, revision, records: [record({ ...over, revision, term: 0 })] }
  })

/** Stores entries as a chunk of Netsy 1.x; unlike ours such a chunk may leave revisions out. */
export const storeOldChunk = (
  bucket: ObjectStoreMemory.MemoryBucket,
  entries: ReadonlyArray<Entry>,
  compress: boolean
): string => {
  const records = entries.flatMap((e) => e.records)
  const header = new Writer()
  const body = new Writer()
  const crc = new Crc64()
  for (const r of records) writeRecord(body, r, 0, crc)
  writeFooter(body, {
    recordsCrcHigh: crc.high,
    recordsCrcLow: crc.low,
    firstRevision: records[0]!.revision,
    lastRevision: records[records.length - 1]!.revision
  })
  writeHeader(header, {
    schemaVersion: 0,
    kind: FileKind.Chunk,
    compression: compress ? FileCompression.Zstd : FileCompression.None,
    recordsCount: records.length,
    leaderId: "node-1",
    createdAt: { seconds: 1700000001, nanos: 0 },
    term: 0,
    firstIndex: 0,
    compactionRevision: 0,
    prevTerm: 0,
    stored: 0,
    lastIndex: 0,
    lastTerm: 0
  })
  const key = chunkKey(records[records.length - 1]!.revision)
  put(bucket, key, concat(header.view(), compress ? zstdCompressSync(body.view()) : body.view()))
  return key
}

export interface Reads {
  readonly gets: Array<string>
  readonly ranges: Array<string>
  readonly streams: Array<string>
}

/** The history of a bucket; `reads` collects what is fetched. */
export const historyOf = (bucket: ObjectStoreMemory.MemoryBucket, reads?: Reads): Layer.Layer<History> =>
  HistoryBucket.layer.pipe(
    Layer.provide(
      Layer.effect(
        ObjectStore,
        Effect.map(ObjectStore, (store) =>
          ObjectStore.of({
            ...store,
            get: (key, options) => {
              if (options?.range === undefined) reads?.gets.push(key)
              else reads?.ranges.push(key)
              return store.get(key, options)
            },
            getStream: (key) => {
              reads?.streams.push(key)
              return store.getStream(key)
            }
          })
        )
      ).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket })))
    )
  )

export const readHistory = (
  bucket: ObjectStoreMemory.MemoryBucket,
  reads?: Reads,
  options: ReadOptions = { recoveredTerm: "unknown" }
) => Effect.flatMap(History, (history) => history.read(options)).pipe(Effect.provide(historyOf(bucket, reads)))

export const entriesIn = (history: BucketHistory, index = history.snapshot?.last.index ?? 0) =>
  Effect.map(Stream.runCollect(history.entriesAfter(index)), (batches) => batches.flat())

export const snapshotIn = (history: BucketHistory) =>
  Effect.map(Stream.runCollect(history.snapshotRecords()), (pages) => pages.flat())
