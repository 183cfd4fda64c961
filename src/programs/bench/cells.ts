/**
 * One cell of the table: puts or gets against one server with so many requests in flight. Puts are counted: the store's
 * revision must have grown by exactly the number of answered puts, or the run has no result.
 */
import type { Client } from "@grpc/grpc-js"
import { Effect } from "effect"
import { decodeRangeResponse } from "../../core/wire/codec/kv.ts"
import { seededRandom } from "../dev-s3/faults.ts"
import { census, connection, putMethod, putRequest, rangeMethod, rangeRequest } from "./connection.ts"
import { BenchFailure } from "./failure.ts"
import { leanConnection } from "./leanConnection.ts"
import { closedLoops, measure, type Measured } from "./load.ts"
import { cpuSeconds } from "./processes.ts"
import type { Server } from "./servers.ts"

/** The keys that are written and read, chosen evenly. */
export const keyCount = 10_000
const keyBytes = 45
const valueBytes = 256
const valueCount = 64
const preloadInFlight = 500
/** As many as two cores serve well; more of them make every server slower. */
const connectionsMax = 4

export type Operation = "put" | "get"

export interface CellResult extends Measured {
  readonly operation: Operation
  readonly inFlight: number
  /** Share of one core that the server used while it was measured; undefined: unknown. */
  readonly serverCpu: number | undefined
  readonly bucketPutsPerSecond: number | undefined
}

const random = seededRandom(1)
const anyOf = <A>(items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!

const keys = Array.from({ length: keyCount }, (_, n) => Buffer.from(`bench/${n}`.padEnd(keyBytes, "-")))
const values = Array.from({ length: valueCount }, () =>
  Buffer.from(Array.from({ length: valueBytes }, () => Math.floor(random() * 256)))
)

/** Runs what answers how many puts it made, and compares that with the growth of the revision. */
export const counted = <A extends { readonly answered: number }>(
  client: Client,
  puts: Effect.Effect<A, BenchFailure>
): Effect.Effect<A, BenchFailure> =>
  Effect.gen(function* () {
    const before = yield* census(client)
    const result = yield* puts
    const after = yield* census(client)
    const growth = after.revision - before.revision
    if (growth !== result.answered) {
      return yield* new BenchFailure({
        message: `${result.answered} puts were answered, but the revision grew by ${growth}, from ${before.revision} to ${after.revision}`
      })
    }
    return result
  })

const connections = (server: Server, count: number) =>
  Effect.all(Array.from({ length: count }, () => leanConnection(server.port)))

/** Puts every key once. */
export const preload = (server: Server): Effect.Effect<void, BenchFailure> =>
  Effect.gen(function* () {
    const clients = yield* connections(server, connectionsMax)
    let at = 0
    const puts = closedLoops({
      clients,
      inFlight: preloadInFlight,
      method: putMethod,
      next: () => (at < keys.length ? putRequest(keys[at++]!, anyOf(values)) : undefined),
      answered: () => undefined
    })
    const watcher = yield* connection(server.address)
    yield* counted(
      watcher,
      Effect.map(puts, (answered) => ({ answered }))
    )
  }).pipe(Effect.scoped)

const judgeGet = (response: Buffer): string | undefined => {
  const { kvs } = decodeRangeResponse(response)
  return kvs.length === 1 && kvs[0]!.value.length === valueBytes ? undefined : `a get found ${kvs.length} keys`
}

export interface CellOptions {
  readonly server: Server
  readonly operation: Operation
  readonly inFlight: number
  readonly seconds: number
}

/** Every key must be there already. */
export const runCell = (options: CellOptions): Effect.Effect<CellResult, BenchFailure> =>
  Effect.gen(function* () {
    const { server, operation, inFlight, seconds } = options
    const clients = yield* connections(server, Math.min(inFlight, connectionsMax))
    const watcher = yield* connection(server.address)
    let cpuAt: number | undefined
    let serverCpu: number | undefined
    const measuring = measure({
      clients,
      inFlight,
      ...(operation === "put"
        ? { method: putMethod, request: () => putRequest(anyOf(keys), anyOf(values)), judge: () => undefined }
        : { method: rangeMethod, request: () => rangeRequest(anyOf(keys)), judge: judgeGet }),
      warmupMillis: seconds * 200,
      measureMillis: seconds * 1000,
      onWindow: (edge) => {
        const now = cpuSeconds(server.process.pid)
        if (edge === "begin") cpuAt = now
        else if (cpuAt !== undefined && now !== undefined) serverCpu = (now - cpuAt) / seconds
      }
    })
    const putsBefore = yield* server.bucketPuts
    const result = yield* operation === "put" ? counted(watcher, measuring) : measuring
    const putsAfter = yield* server.bucketPuts
    // PUTs are counted over warm-up and drain too: the share that belongs to the measured part is the same.
    const perPut =
      putsBefore === undefined || putsAfter === undefined ? undefined : (putsAfter - putsBefore) / result.answered
    return {
      ...result,
      operation,
      inFlight,
      serverCpu,
      bucketPutsPerSecond: perPut === undefined || operation === "get" ? undefined : perPut * result.opsPerSecond
    }
  }).pipe(Effect.scoped)
