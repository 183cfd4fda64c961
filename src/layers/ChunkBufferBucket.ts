/**
 * `ChunkBuffer` that stores each chunk at once (mode store). Bytes are made once and sent until they are known to be
 * stored; a 412 is resolved by reading what is there (design 6.5).
 */
import { zstdDecompressSync } from "node:zlib"
import { Clock, Effect, Layer } from "effect"
import { chunkKey } from "../core/datafile/keys.ts"
import { BodyReader, HeaderReader } from "../core/datafile/reader.ts"
import { FileCompression, FileKind } from "../core/datafile/types.ts"
import { encodeChunk } from "../core/datafile/writer.ts"
import type { Entry, LogRecord } from "../core/log/record.ts"
import { catalog } from "../core/metrics/catalog.ts"
import { chunkBody } from "./datafile/zstd.ts"
import { ChunkBuffer, type ChunkToStore } from "../services/ChunkBuffer.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { ObjectStore, Unavailable } from "../services/ObjectStore.ts"
import { Settings } from "../services/Settings.ts"

const retryMinMillis = 20
const retryMaxMillis = 1_000
/**
 * A PUT that hangs is sent again before its clients' time is over; a slow one gets time by its size, and more each time.
 */
const putTimeoutMillis = 4_000
const putTimeoutMaxMillis = 60_000
const slowestBytesPerMillisecond = 100
const readBackTimeoutMillis = 10_000

export const layer: Layer.Layer<ChunkBuffer, never, ObjectStore | Settings | NodeStatus | Log | Metrics> = Layer.effect(
  ChunkBuffer,
  Effect.gen(function* () {
    const objects = yield* ObjectStore
    const settings = yield* Settings
    const status = yield* NodeStatus
    const log = yield* Log
    const metrics = yield* Metrics
    const clock = yield* Clock.Clock
    const writes = metrics.counter(catalog.objectStorageWrites)
    const seconds = metrics.histogram(catalog.objectStorageWriteDuration)
    const bytes = metrics.histogram(catalog.objectStorageWriteBytes)
    const retries = metrics.counter(catalog.retries)
    const success = Object.freeze({ kind: "chunk", mode: "sync", result: "success" })
    const failure = Object.freeze({ kind: "chunk", mode: "sync", result: "error" })
    const chunkMode = Object.freeze({ kind: "chunk", mode: "sync" })

    const encode = (chunk: ChunkToStore): Effect.Effect<Uint8Array> => {
      const millis = clock.currentTimeMillisUnsafe()
      const whole = Math.floor(millis / 1000)
      const encoded = encodeChunk(chunk.entries, {
        leaderId: settings.nodeId,
        createdAt: { seconds: whole, nanos: (millis - whole * 1000) * 1_000_000 },
        term: chunk.term,
        prevTerm: chunk.prevTerm,
        stored: chunk.stored,
        compactionRevision: chunk.floor
      })
      return chunkBody(encoded)
    }

    const resolve = (key: string, sent: Uint8Array, entries: ReadonlyArray<Entry>) =>
      objects.get(key).pipe(
        inTime("GET", key, readBackTimeoutMillis),
        Effect.map((found): "stored" | "taken" => {
          if (Buffer.compare(found.body, sent) === 0) return "stored"
          return holdsEntries(key, found.body, entries) ? "stored" : "taken"
        }),
        // Gone again, or out of reach: the PUT is simply sent once more.
        Effect.catch((error) =>
          Effect.sync(() => {
            log.warn("chunk_read_back_failed", { key, error: error.message })
            return undefined
          })
        )
      )

    const store = (chunk: ChunkToStore): Effect.Effect<"stored" | "taken"> =>
      Effect.gen(function* () {
        const last = chunk.entries[chunk.entries.length - 1]!
        const key = chunkKey(last.index)
        const body = yield* encode(chunk)
        const timeout = putTimeoutMillis + body.length / slowestBytesPerMillisecond
        let delay = retryMinMillis
        for (let attempt = 1; ; attempt++) {
          const startedAt = Number(clock.monotonicTimeNanosUnsafe())
          const result = yield* Effect.result(
            objects
              .put(key, body, { ifAbsent: true })
              .pipe(inTime("PUT", key, Math.min(timeout * 2 ** Math.min(attempt - 1, 10), putTimeoutMaxMillis)))
          )
          const took = (Number(clock.monotonicTimeNanosUnsafe()) - startedAt) / 1e9
          if (result._tag === "Success") {
            writes.inc(success)
            seconds.observe(took, success)
            bytes.observe(body.length, chunkMode)
            if (attempt > 1) status.setTrouble(`chunk ${key}`, undefined)
            return "stored"
          }
          const error = result.failure
          if (error._tag === "PreconditionFailed") {
            const outcome = yield* resolve(key, body, chunk.entries)
            if (outcome !== undefined) {
              status.setTrouble(`chunk ${key}`, undefined)
              return outcome
            }
          }
          writes.inc(failure)
          seconds.observe(took, failure)
          retries.inc({ operation: "object_storage_write" })
          status.setTrouble(`chunk ${key}`, `${key} could not be stored yet: ${error.message}`)
          log.warn("object_storage_write_failed", { key, attempt, error: error.message, retry_ms: delay })
          yield* Effect.sleep(delay)
          delay = Math.min(delay * 2, retryMaxMillis)
        }
      }).pipe(
        // Whoever is not Primary any more does not wait for it.
        Effect.onInterrupt(() =>
          Effect.sync(() =>
            status.setTrouble(`chunk ${chunkKey(chunk.entries[chunk.entries.length - 1]!.index)}`, undefined)
          )
        )
      )

    return ChunkBuffer.of({ store })
  })
)

const inTime =
  (operation: string, key: string, millis: number) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | Unavailable> =>
    Effect.timeoutOrElse(effect, {
      duration: millis,
      orElse: () =>
        Effect.fail(new Unavailable({ operation, key, reason: `no answer within ${Math.round(millis)} ms` }))
    })

/** Does the chunk hold these entries, by (index, term)? A chunk that cannot be read holds nothing. */
const holdsEntries = (key: string, body: Uint8Array, entries: ReadonlyArray<Entry>): boolean => {
  try {
    const head = new HeaderReader(key, { kind: FileKind.Chunk })
    if (!head.push(body) || head.header === undefined) return false
    const rest = head.rest()
    const reader = new BodyReader(key, head.header, head.bodyOffset)
    const records = reader.push(head.header.compression === FileCompression.Zstd ? zstdDecompressSync(rest) : rest)
    reader.finish()
    const terms = new Map<number, number>(records.map((record: LogRecord) => [record.index, record.term]))
    return entries.every((entry) => terms.get(entry.index) === entry.term)
  } catch {
    return false
  }
}
