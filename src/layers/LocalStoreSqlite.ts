/**
 * `LocalStore` in a SQLite file, on a thread of its own. The layer's scope owns the thread: at its end the requests made
 * so far are served, the database is checkpointed and closed, the lock is released, and the thread ends.
 */
import { randomBytes } from "node:crypto"
import { Clock, Effect, Layer, Semaphore } from "effect"
import { assert } from "../core/assert.ts"
import {
  decodeRecords,
  encodeEntries,
  encodeRecords,
  entriesBytesMax,
  type Frame,
  recordsBytesMax,
  toEntries
} from "../core/localstore/frame.ts"
import { fileStamp } from "../core/localstore/rfc3339.ts"
import { partOps, stateRecord } from "../core/localstore/state.ts"
import { encodeWanted, wantedBytes } from "../core/localstore/wanted.ts"
import type { LogRecord } from "../core/log/record.ts"
import {
  type Bounds,
  LocalStore,
  type LocalStoreFailed,
  type Opened,
  type OpsRemoval,
  type StateAt
} from "../services/LocalStore.ts"
import type { OpenedFacts, Reply } from "./localstore/protocol.ts"
import { Requests } from "./localstore/requests.ts"
import { startWorker } from "./localstore/thread.ts"

/** Where the database is, and how it is kept. */
export interface LocalStoreSqliteOptions {
  /** The database file; its folder is made when it is missing. */
  readonly path: string
  /** Compaction pauses so long whenever it has looked at so many revisions; etcd's 1000 and 10 ms unless given. */
  readonly compaction?: { readonly batchLimit: number; readonly sleepMillis: number }
  /** Makes the id of a fresh database; 16 random bytes in hexadecimal unless given. */
  readonly makeIncarnation?: () => string
}

/** Rows that the database's thread looks at before it serves others: a few milliseconds. */
const compactStepRows = 128
/** Pause after so many steps of giving space back. */
const spaceStepsTogether = 4

const closeTimeout = "10 seconds"

/** Locks the database until the scope closes; fails when another process has it. */
export const layer = (options: LocalStoreSqliteOptions): Layer.Layer<LocalStore, LocalStoreFailed> =>
  Layer.effect(LocalStore, make(options))

const make = Effect.fnUntraced(function* (options: LocalStoreSqliteOptions) {
  const { compaction = { batchLimit: 1_000, sleepMillis: 10 }, makeIncarnation = randomIncarnation, path } = options
  const requests = yield* Effect.acquireRelease(startThread(path), ({ requests, worker }) =>
    requests
      .call("close")
      .pipe(
        Effect.timeoutOption(closeTimeout),
        Effect.ignore,
        Effect.andThen(Effect.sync(() => requests.end("the local store is closed"))),
        Effect.andThen(Effect.promise(() => worker.terminate()))
      )
  ).pipe(Effect.map(({ requests }) => requests))

  const stamp = fileStamp(yield* Clock.currentTimeMillis)
  const opening = yield* requests.call("open", [], JSON.stringify([path, stamp, makeIncarnation()]))
  let viewsOpened = 0
  const compacting = yield* Semaphore.make(1)
  const vacuuming = yield* Semaphore.make(1)
  const pause = compaction.sleepMillis > 0 ? Effect.sleep(compaction.sleepMillis) : Effect.void

  /** The state's parts, then the numbers with which it counts. */
  const putState = Effect.fnUntraced(function* (state: StateAt) {
    let parts = 0
    for (let from = 0; from < state.ops.length; from += partOps) {
      const records = state.ops.slice(from, from + partOps).map((op, i) => stateRecord(state, op, from + i))
      const payload = { bytesMax: recordsBytesMax(records), encode: () => encodeRecords(records) }
      yield* requests.call("statePart", [parts++], "", payload)
    }
    return [state.index, state.term, state.revision, state.ops.length, parts]
  })

  const compact = Effect.fnUntraced(function* (revision: number, state: StateAt | undefined, ops: OpsRemoval) {
    const { forgetUpTo = 0, keepAbove = Number.MAX_SAFE_INTEGER } = ops
    const stated = state === undefined ? [] : yield* putState(state)
    yield* requests.call("compactBegin", [revision, keepAbove, forgetUpTo, ...stated])
    const rows = Math.min(compactStepRows, compaction.batchLimit)
    let removed = 0
    for (let looked = rows; ; looked += rows) {
      const { numbers } = yield* requests.call("compactStep", [rows])
      removed += numbers[0]!
      if (numbers[1] === 1) return { removed }
      if (looked < compaction.batchLimit) continue
      looked = 0
      yield* pause
    }
  })

  const totalBytes = Effect.map(requests.call("size"), ({ numbers }) => numbers[0]!)
  const defragment = Effect.fnUntraced(function* (keepFreeBytes: number) {
    const before = yield* totalBytes
    for (let steps = 1; ; steps++) {
      const { numbers } = yield* requests.call("spaceStep", [keepFreeBytes])
      if (numbers[0] === 1) break
      if (steps % spaceStepsTogether === 0) yield* pause
    }
    yield* requests.call("spaceEnd")
    return { before, after: yield* totalBytes }
  })

  return LocalStore.of({
    opened: toOpened(opening),
    path,
    append: (entries, commitIndex) => {
      const bytesMax = entriesBytesMax(entries)
      return Effect.asVoid(
        requests.call("append", [commitIndex], "", { bytesMax, encode: () => encodeEntries(entries, bytesMax) })
      )
    },
    bounds: Effect.map(requests.call("bounds"), (reply) => toBounds(reply.numbers)),
    truncateFrom: (index) => Effect.asVoid(requests.call("truncateFrom", [index])),
    clear: Effect.asVoid(requests.call("clear")),
    restore: (records, end) => {
      const numbers = end === undefined ? [] : [end.position.index, end.position.term, end.revision, end.floor]
      const payload = { bytesMax: recordsBytesMax(records), encode: () => encodeRecords(records) }
      return Effect.asVoid(requests.call("restore", numbers, "", payload))
    },
    entries: (fromIndex, maxEntries, maxBytes) =>
      Effect.map(requests.call("entries", [fromIndex, maxEntries, maxBytes]), (reply) => toEntries(toRecords(reply))),
    termAt: (index) => Effect.map(requests.call("termAt", [index]), (reply) => reply.numbers[0]),
    changes: (fromRevision, toRevision, maxBytes) =>
      Effect.map(requests.call("changes", [fromRevision, toRevision, maxBytes]), toRecords),
    versions: (wanted) => {
      if (wanted.length === 0) return Effect.succeed([])
      const payload = { bytesMax: wantedBytes(wanted), encode: () => encodeWanted(wanted) }
      return Effect.map(requests.call("versions", [], "", payload), (reply) => {
        const found = toRecords(reply)
        let next = 0
        return reply.numbers.map((there) => (there === 1 ? found[next++] : undefined))
      })
    },
    view: (upToIndex, floor = 0) =>
      Effect.suspend(() => {
        const view = ++viewsOpened
        // An interrupted caller could not close the view that its request still opens.
        return Effect.uninterruptible(requests.call("viewOpen", [view, upToIndex, floor])).pipe(
          Effect.map((reply) => ({
            count: reply.numbers[0]!,
            changeCount: reply.numbers[1]!,
            next: (maxRecords: number, maxBytes: number) =>
              Effect.map(requests.call("viewNext", [view, maxRecords, maxBytes]), (page) => ({
                records: toRecords(page),
                done: page.numbers[0] === 1
              })),
            close: Effect.ignore(requests.call("viewClose", [view]))
          }))
        )
      }),
    promise: ({ fenced, reigned }) => Effect.asVoid(requests.call("promise", [fenced, reigned])),
    newIncarnation: Effect.suspend(() => {
      const incarnation = makeIncarnation()
      return Effect.as(requests.call("newIncarnation", [], incarnation), incarnation)
    }),
    abandon: (reason) => Effect.asVoid(requests.call("abandon", [], reason)),
    compact: (revision, state, ops = {}) => compacting.withPermits(1)(compact(revision, state, ops)),
    defragment: (keepFreeBytes) => vacuuming.withPermits(1)(defragment(keepFreeBytes)),
    readImported: (fromRevision, maxRecords) =>
      Effect.map(requests.call("readImported", [fromRevision, maxRecords]), toRecords),
    importDone: Effect.asVoid(requests.call("importDone")),
    getMeta: (name) =>
      Effect.map(requests.call("getMeta", [], factName(name)), (reply) =>
        reply.numbers.length === 0 ? undefined : new Uint8Array(reply.buffer!, 0, reply.length)
      ),
    setMeta: (name, value) => {
      const payload = { bytesMax: value.length, encode: () => frameOf(value) }
      return Effect.asVoid(requests.call("setMeta", [], factName(name), payload))
    },
    size: Effect.map(requests.call("size"), ({ numbers }) => ({ total: numbers[0]!, inUse: numbers[1]! }))
  })
})

const randomIncarnation = (): string => randomBytes(16).toString("hex")

const startThread = (path: string) =>
  Effect.sync(() => {
    const worker = startWorker(path)
    return { worker, requests: new Requests(worker, path) }
  })

const toBounds = (numbers: ReadonlyArray<number>): Bounds => ({
  last: { index: numbers[0]!, term: numbers[1]! },
  lastRevision: numbers[2]!,
  firstIndex: numbers[3]!,
  floor: numbers[4]!,
  commitIndex: numbers[5]!
})

const toOpened = (reply: Reply): Opened => {
  const facts = JSON.parse(reply.text) as OpenedFacts
  return {
    ...toBounds(reply.numbers),
    incarnation: facts.incarnation,
    starts: facts.starts,
    promises: { fenced: facts.fenced, reigned: facts.reigned },
    setAside: facts.setAside ?? undefined,
    imported: facts.imported ?? undefined
  }
}

const toRecords = (reply: Reply): ReadonlyArray<LogRecord> =>
  reply.buffer === undefined ? [] : decodeRecords({ buffer: reply.buffer, length: reply.length })

const frameOf = (value: Uint8Array): Frame => {
  const buffer = new ArrayBuffer(value.length)
  new Uint8Array(buffer).set(value)
  return { buffer, length: value.length }
}

const factName = (name: string): string => {
  assert(/^[A-Za-z]/.test(name), `a fact's name begins with a letter, "${name}" does not`)
  return name
}
