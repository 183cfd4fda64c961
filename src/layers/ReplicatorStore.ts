/**
 * `Replicator` in store mode (design 5, 6.4). Appends are synchronous; one batcher closes batches, four writers PUT
 * them, one persister writes them to the disk, and whoever makes progress last moves the commit index.
 *
 * Closing: refuse new entries → wait until what is in flight is committed (bounded) → stop the tasks → resign.
 */
import { Clock, Effect, Latch, Layer, Queue } from "effect"
import { Pipeline, type Batch } from "../core/log/pipeline.ts"
import type { Entry, Timestamp } from "../core/log/record.ts"
import { entryBytes, noopEntry } from "../core/log/entry.ts"
import { PutTimes } from "../core/log/putTimes.ts"
import { WaiterQueue } from "../core/log/waiters.ts"
import { type EtcdError, errors } from "../core/wire/errors.ts"
import { ChunkBuffer } from "../services/ChunkBuffer.ts"
import { Elector } from "../services/Elector.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Metrics } from "../services/Metrics.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Reign } from "../services/Reign.ts"
import { type NextPosition, Replicator, type StateMachine, type Waiter } from "../services/Replicator.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { Takeover } from "../services/Takeover.ts"

/** etcd's request time: 5 s + 2 × its election timeout. */
const requestTimeoutMillis = 7_000
const expiryTickMillis = 250
const putWriters = 4
/** A gathering ends when nobody came for so long, and at the latest after so long. */
const gatherQuietMillis = 2
const gatherMaxMillis = 10
/** With the limits of both resignations a stop takes 15 s at the most. */
const drainTimeoutMillis = 9_000
/** A batch that is not stored after so long makes the node degraded. */
const slowStoreMillis = 5_000

export const layer: Layer.Layer<
  Replicator,
  never,
  Elector | Reign | Takeover | LocalStore | ChunkBuffer | Settings | NodeStatus | Supervisor | Log | Metrics
> = Layer.effect(
  Replicator,
  Effect.gen(function* () {
    const elector = yield* Elector
    const reign = yield* Reign
    const takeover = yield* Takeover
    const local = yield* LocalStore
    const chunks = yield* ChunkBuffer
    const settings = yield* Settings
    const status = yield* NodeStatus
    const supervisor = yield* Supervisor
    const log = yield* Log
    const clock = yield* Clock.Clock
    const metrics = yield* Metrics
    const writes = metrics.counter({
      name: "netsy_primary_write_transactions_total",
      help: "Entries appended by the Primary and committed",
      labels: ["path", "result"]
    })
    const writeSeconds = metrics.histogram({
      name: "netsy_primary_write_duration_seconds",
      help: "From closing a batch to its commit",
      labels: ["path", "result"]
    })

    const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

    let pipeline: Pipeline | undefined
    let machine: StateMachine | undefined
    let term = 0
    let accepting = false
    /** Nothing more will be committed by this process. */
    let stopped = false
    const waiters = new WaiterQueue()
    /** Reads of what is committed already, which wait for the lease. */
    const readers = new WaiterQueue()
    const putTimes = new PutTimes(64)
    let lastAckMillis = Number.NEGATIVE_INFINITY
    const closedAt = new Map<Batch, number>()
    const labels = Object.freeze({ path: "sync", result: "success" })

    const work = yield* Latch.make(false)
    /** The open batch holds what was `expected`: entries that were open at the last answer, and one for each answered. */
    const gathered = yield* Latch.make(false)
    let expected = 0
    const toStore = yield* Queue.bounded<Batch>(putWriters)
    const toPersist = yield* Queue.bounded<Batch>(1024)

    const createdAt = (): Timestamp => {
      const millis = clock.currentTimeMillisUnsafe()
      const seconds = Math.floor(millis / 1000)
      return { seconds, nanos: (millis - seconds * 1000) * 1_000_000 }
    }

    /** Moves the commit index as far as disk, bucket and lease allow, and tells everybody who waited for it. */
    const advance = (): void => {
      if (pipeline === undefined || machine === undefined || !reign.mayAcknowledge()) return
      const top = pipeline.committable(term)
      if (top > pipeline.commitIndex) {
        const now = nowMillis()
        for (const batch of pipeline.commit(top)) {
          machine.committed(batch.entries)
          writes.inc(labels, batch.entries.length)
          const since = closedAt.get(batch)
          if (since !== undefined) writeSeconds.observe((now - since) / 1000, labels)
          closedAt.delete(batch)
        }
        // Whoever has not come back since an earlier answer is not waited for any longer.
        const missing = now - lastAckMillis <= gatherMaxMillis ? expected : 0
        lastAckMillis = now
        expected = Math.max(missing, pipeline.openEntries) + waiters.complete(top)
      }
      readers.complete(pipeline.commitIndex)
    }

    /**
     * A batch stays open for the clients that were just answered (design 5, step 3): until they are all back, so that a
     * lone writer never waits, or until none of them has come for a while.
     */
    const gather = Effect.gen(function* () {
      const startedAt = nowMillis()
      for (;;) {
        const open = pipeline!.openEntries
        const median = putTimes.median()
        const now = nowMillis()
        if (open >= expected || pipeline!.isFull() || now - lastAckMillis > median) return
        const wait = Math.min(gatherQuietMillis, median / 10)
        // Below half a millisecond a timer would wait longer than what it is for.
        if (wait < 0.5 || now - startedAt >= Math.min(gatherMaxMillis, median / 4)) return
        gathered.closeUnsafe()
        yield* gathered.await.pipe(Effect.timeoutOption(wait))
        if (pipeline!.openEntries === open) return
      }
    })

    const batcher = Effect.gen(function* () {
      for (;;) {
        yield* work.await
        work.closeUnsafe()
        while (pipeline !== undefined && pipeline.canClose()) {
          yield* gather
          const batch = pipeline.close(entryBytes)
          expected = Math.max(0, expected - batch.entries.length)
          closedAt.set(batch, nowMillis())
          // The PUT first: it takes longest, and handing the batch to the disk's thread takes its time too.
          yield* Queue.offer(toStore, batch)
          yield* Queue.offer(toPersist, batch)
        }
      }
    })

    /** Stores one batch; a key that a dead branch has taken makes it end elsewhere, behind another no-op. */
    const storeBatch = (p: Pipeline, batch: Batch) =>
      Effect.gen(function* () {
        let entries: ReadonlyArray<Entry> = batch.entries
        for (;;) {
          const outcome = yield* chunks.store({
            entries,
            prevTerm: batch.prevTerm,
            term,
            stored: p.storedIndex,
            floor: machine!.floor()
          })
          if (outcome === "stored") return
          log.warn("chunk_key_taken", { index: entries[entries.length - 1]!.index })
          const noop = noopEntry({ ...position(p), revision: lastRevision })
          p.append(noop, entryBytes(noop))
          entries = p.entriesFrom(batch.first)
          work.openUnsafe()
        }
      })

    const writer = Effect.gen(function* () {
      for (;;) {
        const batch = yield* Queue.take(toStore)
        const p = pipeline!
        const startedAt = nowMillis()
        yield* storeBatch(p, batch)
        putTimes.add(nowMillis() - startedAt)
        p.stored(batch)
        advance()
        work.openUnsafe()
      }
    })

    const persister = Effect.gen(function* () {
      for (;;) {
        const batches = yield* Queue.takeBetween(toPersist, 1, 64)
        const entries = batches.length === 1 ? batches[0]!.entries : batches.flatMap((b) => b.entries)
        yield* local.append(entries, pipeline!.commitIndex)
        for (const batch of batches) pipeline!.persisted(batch)
        advance()
      }
    })

    const expirer = Effect.gen(function* () {
      for (;;) {
        yield* Effect.sleep(expiryTickMillis)
        const now = nowMillis()
        const expired = waiters.expire(now, errors.requestTimedOut) + readers.expire(now, errors.requestTimedOut)
        if (expired > 0)
          log.warn("requests_timed_out", { count: expired, head: pipeline?.headIndex, commit: pipeline?.commitIndex })
        let oldest = Number.POSITIVE_INFINITY
        for (const since of closedAt.values()) if (since < oldest) oldest = since
        status.setTrouble(
          "store",
          now - oldest > slowStoreMillis
            ? `entries wait for the bucket for ${Math.round((now - oldest) / 1000)} s; nothing is acknowledged meanwhile`
            : undefined
        )
      }
    })

    let lastRevision = 0
    const position = (p: Pipeline): NextPosition => ({
      index: p.headIndex + 1,
      term,
      leaderId: settings.nodeId,
      createdAt: createdAt()
    })

    const next = (): NextPosition | EtcdError => {
      if (pipeline === undefined || !accepting) return errors.noLeader
      if (!pipeline.hasRoom()) return errors.tooManyRequests
      return position(pipeline)
    }

    const append = (entry: Entry, waiter: Waiter): void => {
      pipeline!.append(entry, entryBytes(entry))
      lastRevision = entry.revision
      waiters.push(entry.index, nowMillis() + requestTimeoutMillis, waiter)
      work.openUnsafe()
      if (pipeline!.openEntries >= expected || pipeline!.isFull()) gathered.openUnsafe()
    }

    const whenReadable = (index: number, waiter: Waiter): void => {
      if (pipeline === undefined || !accepting) return waiter.failed(errors.noLeader)
      if (index > pipeline.commitIndex) return waiters.push(index, nowMillis() + requestTimeoutMillis, waiter)
      if (reign.mayAcknowledge()) return waiter.done()
      readers.push(pipeline.commitIndex, nowMillis() + requestTimeoutMillis, waiter)
    }

    const stop = (error: EtcdError): void => {
      accepting = false
      stopped = true
      waiters.failAll(error)
      readers.failAll(error)
    }

    const start = (m: StateMachine) =>
      Effect.gen(function* () {
        const aside = local.opened.setAside
        if (aside !== undefined) log.error("local_db_set_aside", { path: aside.path, reason: aside.reason })
        log.info("local_db_initialized", {
          path: local.path,
          last_index: local.opened.last.index,
          incarnation: local.opened.incarnation
        })
        yield* Effect.addFinalizer(() => letGo)
        const won = yield* elector.elect
        term = won.arbiter.term
        status.setPrimary("starting")
        yield* local.promise({ fenced: Math.max(term, local.opened.promises.fenced), reigned: term })
        status.setTerm(term, status.memberId())
        yield* reign.begin(won)
        const begun = yield* takeover.run({ term, load: m.load })
        lastRevision = begun.revision
        machine = m
        pipeline = new Pipeline({
          headIndex: begun.head.index,
          headTerm: begun.head.term,
          commitIndex: begun.head.index,
          storedIndex: begun.head.index
        })
        yield* supervisor.spawn("persister", persister)
        for (let i = 1; i <= putWriters; i++) yield* supervisor.spawn(`chunk-writer-${i}`, writer)
        yield* supervisor.spawn("batcher", batcher)
        yield* supervisor.spawn("request-expiry", expirer)
        yield* supervisor.spawn(
          "reign-watch",
          reign.over.pipe(Effect.tapCause(() => Effect.sync(() => stop(errors.requestTimedOut))))
        )
        reign.onRenewed(advance)
        accepting = true
        m.active(begun)
        status.setPrimary("active")
        yield* Effect.addFinalizer(() => drain)
      })

    const drain = Effect.gen(function* () {
      accepting = false
      status.setPrimary("draining")
      const startedAt = nowMillis()
      log.info("drain_started", {})
      while (
        !stopped &&
        pipeline !== undefined &&
        pipeline.commitIndex < pipeline.headIndex &&
        nowMillis() - startedAt < drainTimeoutMillis
      ) {
        yield* Effect.sleep(10)
      }
      const clean = pipeline === undefined || pipeline.commitIndex === pipeline.headIndex
      stop(clean ? errors.serverStopped : errors.requestTimedOut)
      log.info("drain_completed", { result: clean ? "success" : "error", duration_ms: nowMillis() - startedAt })
    })

    /** Whatever ended the start or the reign: term and lock are given back, so that nobody has to wait for them. */
    const letGo = Effect.gen(function* () {
      yield* reign.resign
      yield* elector.resign
      status.setPrimary("replica")
    })

    return Replicator.of({
      start,
      next,
      append,
      whenReadable,
      headIndex: () => pipeline?.headIndex ?? 0,
      commitIndex: () => pipeline?.commitIndex ?? 0,
      storedIndex: () => pipeline?.storedIndex ?? 0
    })
  })
)
