/**
 * `Kv` on the Primary: evaluates against head, appends to the replicated log, and answers when that is committed.
 * Entered synchronously; the only fiber is the one that reads superseded values from the disk.
 */
import { Effect, Layer, Queue } from "effect"
import { entryBytes, opEntry } from "../core/log/entry.ts"
import { decodeOp, encodeOp } from "../core/log/op.ts"
import type { Entry, LogRecord } from "../core/log/record.ts"
import { checkCompact } from "../core/mvcc/compact.ts"
import { keyString } from "../core/mvcc/keys.ts"
import { LegacyFloor } from "../core/mvcc/legacyFloor.ts"
import { fillCold, rangeResponse, wholeKeyValue } from "../core/mvcc/range.ts"
import { MvccStore } from "../core/mvcc/store.ts"
import type { Version } from "../core/mvcc/version.ts"
import { checkDeleteRange, checkPut, checkRange, checkTxn } from "../core/txn/check.ts"
import { evaluateDeleteRange, evaluatePut, type WriteContext } from "../core/txn/evaluate.ts"
import { evaluateTxn, fillTxn, isReadOnlyTxn, isSerializableTxn, readTxn, type TxnOutcome } from "../core/txn/txn.ts"
import { type EtcdError, errors, isEtcdError } from "../core/wire/errors.ts"
import type { CompactionRequest, RangeRequest, RangeResponse, TxnRequest, TxnResponse } from "../core/wire/messages.ts"
import { Compactor } from "../services/Compactor.ts"
import { Kv, type Reply } from "../services/Kv.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { type NextPosition, Replicator, type StartError, type StateMachine } from "../services/Replicator.ts"
import { Settings } from "../services/Settings.ts"
import { Snapshotter } from "../services/Snapshotter.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { type Change, WatchHub } from "../services/WatchHub.ts"

/** Answers that wait for superseded values from the disk. */
const coldJobsMax = 4_096
const coldJobsTogether = 64
const loadPageRecords = 4_096
const loadPageBytes = 4 * 1024 * 1024

interface ColdJob {
  readonly versions: ReadonlyArray<Version>
  readonly resume: (values: ReadonlyArray<Uint8Array | undefined>) => void
}

export const layer: Layer.Layer<
  Kv,
  StartError,
  Replicator | LocalStore | WatchHub | Compactor | Snapshotter | Settings | NodeStatus | Supervisor
> = Layer.effect(
  Kv,
  Effect.gen(function* () {
    const replicator = yield* Replicator
    const local = yield* LocalStore
    const hub = yield* WatchHub
    const compactor = yield* Compactor
    const snapshotter = yield* Snapshotter
    const settings = yield* Settings
    const status = yield* NodeStatus
    const supervisor = yield* Supervisor

    const store = new MvccStore()
    const limits = { maxTxnOps: settings.limits.maxTxnOps }
    const cold = yield* Queue.dropping<ColdJob>(coldJobsMax)
    /** Committed physical compactions whose answers wait for the Compactor. */
    const physical = new Map<number, () => void>()

    /** An invariant that breaks on the way ends the process: what was evaluated can no longer be trusted. */
    const guarded = <A>(reply: Reply<A>, body: () => void): void => {
      try {
        body()
      } catch (cause) {
        supervisor.fail("kv", cause)
        reply.fail(errors.serverStopped)
      }
    }

    const coldReader = Effect.gen(function* () {
      for (;;) {
        const jobs = yield* Queue.takeBetween(cold, 1, coldJobsTogether)
        const wanted = jobs.flatMap((job) => job.versions.map((v) => ({ key: v.key, revision: v.modRevision })))
        const records = yield* local.versions(wanted)
        let at = 0
        for (const job of jobs) {
          job.resume(records.slice(at, at + job.versions.length).map((record) => record?.value))
          at += job.versions.length
        }
      }
    })

    const context = (next: NextPosition): WriteContext => ({
      revision: store.headRevision + 1,
      index: next.index,
      term: next.term,
      leaderId: next.leaderId,
      createdAt: next.createdAt,
      leaseExists: noLease
    })

    /** Applies what was evaluated at head and appends it; `done` when it is committed. */
    const write = (
      next: NextPosition,
      records: ReadonlyArray<LogRecord>,
      done: () => void,
      failed: (e: EtcdError) => void
    ): void => {
      for (let i = 0; i < records.length; i++) store.apply(records[i]!)
      replicator.append({ index: next.index, term: next.term, revision: store.headRevision, records }, { done, failed })
    }

    /** An error that depends on the state at head is an answer too: it waits until that state is committed. */
    const refuse = <A>(reply: Reply<A>, error: EtcdError): void =>
      replicator.whenReadable(replicator.headIndex(), { done: () => reply.fail(error), failed: reply.fail })

    const answerRange = (request: RangeRequest, reply: Reply<RangeResponse>): void => {
      const outcome = store.range(request, store.committedRevision)
      if (isEtcdError(outcome)) return reply.fail(outcome)
      if (outcome.cold.length === 0) return reply.succeed(rangeResponse(outcome, status.header(outcome.revision)))
      offerCold(reply, outcome.cold, (values) => {
        const filled = fillCold(outcome, values)
        if (isEtcdError(filled)) reply.fail(filled)
        else reply.succeed(rangeResponse(filled, status.header(filled.revision)))
      })
    }

    /** False: refused, and the client has been told. */
    const offerCold = <A>(reply: Reply<A>, versions: ReadonlyArray<Version>, resume: ColdJob["resume"]): boolean => {
      const job: ColdJob = { versions, resume: (values) => guarded(reply, () => resume(values)) }
      const accepted = Queue.offerUnsafe(cold, job)
      if (!accepted) reply.fail(errors.tooManyRequests)
      return accepted
    }

    const range = (request: RangeRequest, reply: Reply<RangeResponse>): void =>
      guarded(reply, () => {
        const refused = checkRange(request)
        if (refused !== undefined) return reply.fail(refused)
        if (request.serializable) return answerRange(request, reply)
        replicator.whenReadable(replicator.commitIndex(), {
          done: () => guarded(reply, () => answerRange(request, reply)),
          failed: reply.fail
        })
      })

    /** A Txn's answer: when its records or what it read are committed, and its superseded values are read. */
    const answerTxn = (
      outcome: TxnOutcome,
      revision: number,
      reply: Reply<TxnResponse>,
      wait: (ready: () => void) => void
    ): void => {
      let values: ReadonlyArray<Uint8Array | undefined> | undefined = outcome.cold.length === 0 ? [] : undefined
      let ready = false
      const finish = (): void => {
        if (!ready || values === undefined) return
        const response = outcome.cold.length === 0 ? outcome.response : fillTxn(outcome, values)
        if (!isEtcdError(response)) reply.succeed({ ...response, header: status.header(revision) })
        // Compacted away between evaluation and reading. A write has happened nevertheless: no definite failure.
        else reply.fail(outcome.records.length === 0 ? response : errors.requestTimedOut)
      }
      // Asked for now: a later compaction cannot overtake it, LocalStore serves in order.
      if (values === undefined) {
        const accepted = offerCold(reply, outcome.cold, (found) => {
          values = found
          finish()
        })
        // The client has been told that nothing happened: nothing may happen.
        if (!accepted) return
      }
      wait(() => {
        ready = true
        finish()
      })
    }

    const readOnlyTxn = (request: TxnRequest, reply: Reply<TxnResponse>): void => {
      const outcome = readTxn(store, request, store.committedRevision)
      if (isEtcdError(outcome)) return reply.fail(outcome)
      answerTxn(outcome, store.committedRevision, reply, (ready) => ready())
    }

    const txn = (request: TxnRequest, reply: Reply<TxnResponse>): void =>
      guarded(reply, () => {
        const refused = checkTxn(request, limits)
        if (refused !== undefined) return reply.fail(refused)
        if (isReadOnlyTxn(request)) {
          if (isSerializableTxn(request)) return readOnlyTxn(request, reply)
          return replicator.whenReadable(replicator.commitIndex(), {
            done: () => guarded(reply, () => readOnlyTxn(request, reply)),
            failed: reply.fail
          })
        }
        const next = replicator.next()
        if (isEtcdError(next)) return reply.fail(next)
        const outcome = evaluateTxn(store, request, context(next))
        if (isEtcdError(outcome)) return refuse(reply, outcome)
        if (outcome.records.length === 0) {
          const index = replicator.headIndex()
          return answerTxn(outcome, outcome.readRevision, reply, (ready) =>
            replicator.whenReadable(index, { done: ready, failed: reply.fail })
          )
        }
        const revision = store.headRevision + 1
        answerTxn(outcome, revision, reply, (ready) => write(next, outcome.records, ready, reply.fail))
      })

    const compact = (request: CompactionRequest, reply: Parameters<Kv["Service"]["compact"]>[1]): void =>
      guarded(reply, () => {
        const next = replicator.next()
        if (isEtcdError(next)) return reply.fail(next)
        const refused = checkCompact(store, request.revision)
        if (refused !== undefined) return refuse(reply, refused)
        store.scheduleCompact(request.revision)
        const op = encodeOp({ kind: "compaction", revision: request.revision, physical: request.physical })
        const answer = (): void => reply.succeed({ header: status.header(store.committedRevision) })
        if (request.physical) physical.set(next.index, answer)
        replicator.append(opEntry({ ...next, revision: store.headRevision }, op), {
          done: request.physical ? () => {} : answer,
          failed: (error) => {
            physical.delete(next.index)
            reply.fail(error)
          }
        })
      })

    const moveFloor = (revision: number, index: number): void => {
      store.moveFloor(revision)
      hub.compacted(store.floor)
      const answer = physical.get(index)
      physical.delete(index)
      compactor.request({ revision, sweep: (maxKeys) => store.sweep(maxKeys), done: answer ?? (() => {}) })
    }

    /** One committed entry: the committed view moves, then its events go to the watches. */
    const commitEntry = (entry: Entry): void => {
      const op = entry.records[0]!.op
      if (op !== undefined) {
        const decoded = decodeOp(op)
        if (decoded.kind === "compaction") moveFloor(decoded.revision, entry.index)
        return
      }
      const changes: Array<Change> = new Array(entry.records.length)
      for (let i = 0; i < entry.records.length; i++) {
        const record = entry.records[i]!
        const before = record.prevRevision === 0 ? undefined : store.liveAt(keyString(record.key), entry.revision - 1)
        changes[i] = { record, previous: before === undefined ? undefined : wholeKeyValue(before) }
      }
      store.commit(entry.revision)
      hub.publish(entry.revision, changes)
    }

    const load = Effect.gen(function* () {
      const view = yield* local.view(Number.MAX_SAFE_INTEGER)
      const legacy = new LegacyFloor()
      let floor = local.opened.floor > 0 ? local.opened.floor : -1
      let revision = 0
      for (let done = false; !done;) {
        const page = yield* view.next(loadPageRecords, loadPageBytes)
        done = page.done
        store.load(page.records)
        for (const record of page.records) {
          if (record.revision > revision) revision = record.revision
          if (record.op === undefined) legacy.add(record)
          else {
            const op = decodeOp(record.op)
            if (op.kind === "compaction" && op.revision > floor) floor = op.revision
          }
        }
      }
      yield* view.close
      floor = Math.max(floor, legacy.floor)
      store.loaded(revision, floor)
      // A crash may have come between the commit of a compaction and the dropping.
      if (floor > 0) compactor.request({ revision: floor, sweep: (maxKeys) => store.sweep(maxKeys), done: () => {} })
    })

    const machine: StateMachine = {
      load,
      floor: () => store.floor,
      active: (begun) => {
        hub.begin(store.committedRevision, store.floor)
        snapshotter.begin({
          last: begun.snapshot,
          chunkBytes: begun.chunkBytes,
          source: () => ({
            index: replicator.commitIndex(),
            term: status.term(),
            revision: store.committedRevision,
            floor: store.floor,
            ops:
              store.compactRevision > 0
                ? [encodeOp({ kind: "compaction", revision: store.compactRevision, physical: false })]
                : []
          })
        })
      },
      committed: (entries) => {
        let bytes = 0
        for (let i = 0; i < entries.length; i++) {
          bytes += entryBytes(entries[i]!)
          commitEntry(entries[i]!)
        }
        snapshotter.committed(entries[entries.length - 1]!.index, bytes)
      }
    }

    yield* supervisor.spawn("cold-reader", coldReader)
    yield* replicator.start(machine)

    return Kv.of({
      range,
      txn,
      compact,
      put: (request, reply) =>
        guarded(reply, () => {
          const refused = checkPut(request)
          if (refused !== undefined) return reply.fail(refused)
          const next = replicator.next()
          if (isEtcdError(next)) return reply.fail(next)
          const outcome = evaluatePut(store, request, context(next))
          if (isEtcdError(outcome)) return refuse(reply, outcome)
          const revision = store.headRevision + 1
          write(
            next,
            outcome.records,
            () => reply.succeed({ ...outcome.response, header: status.header(revision) }),
            reply.fail
          )
        }),
      deleteRange: (request, reply) =>
        guarded(reply, () => {
          const refused = checkDeleteRange(request)
          if (refused !== undefined) return reply.fail(refused)
          const next = replicator.next()
          if (isEtcdError(next)) return reply.fail(next)
          const outcome = evaluateDeleteRange(store, request, context(next))
          const changed = outcome.records.length > 0
          const revision = changed ? store.headRevision + 1 : store.headRevision
          const answer = (): void => reply.succeed({ ...outcome.response, header: status.header(revision) })
          if (changed) write(next, outcome.records, answer, reply.fail)
          else replicator.whenReadable(replicator.headIndex(), { done: answer, failed: reply.fail })
        }),
      barrier: (reply) =>
        replicator.whenReadable(replicator.commitIndex(), {
          done: () => reply.succeed({ revision: store.committedRevision }),
          failed: reply.fail
        }),
      revision: () => store.committedRevision,
      headRevision: () => store.headRevision,
      floor: () => store.floor,
      head: () => replicator.headIndex(),
      commitIndex: () => replicator.commitIndex()
    })
  })
)

/** Leases come with the lease service; until then no lease exists. */
const noLease = (): boolean => false
