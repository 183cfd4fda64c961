/**
 * `ReplicatedState` on the Primary: becomes Active, then appends what was evaluated at head and lets the committed state
 * follow. Entered synchronously; the only fiber is the one that reads superseded values from the disk.
 */
import { Effect, Layer, Queue } from "effect"
import { noAlarms } from "../core/alarm/alarms.ts"
import { noAuth } from "../core/auth/state.ts"
import { assert } from "../core/assert.ts"
import { LeaseTable } from "../core/lease/LeaseTable.ts"
import { entryBytes, opRecord } from "../core/log/entry.ts"
import { decodeOp, encodeOp, type Op } from "../core/log/op.ts"
import type { Entry, LogRecord } from "../core/log/record.ts"
import { keyString } from "../core/mvcc/keys.ts"
import { LegacyFloor } from "../core/mvcc/legacyFloor.ts"
import { wholeKeyValue } from "../core/mvcc/range.ts"
import { MvccStore } from "../core/mvcc/store.ts"
import type { Version } from "../core/mvcc/version.ts"
import { CommittedOps } from "../core/state/CommittedOps.ts"
import { nextAlarms, nextAuth, nextLeases } from "../core/state/operations.ts"
import type { WriteContext } from "../core/txn/evaluate.ts"
import { errors } from "../core/wire/errors.ts"
import { Compactor } from "../services/Compactor.ts"
import type { Reply } from "../services/Kv.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import {
  type NextPosition,
  Replicator,
  type StartError,
  type StateMachine,
  type Waiter
} from "../services/Replicator.ts"
import { Snapshotter, type SnapshotSource } from "../services/Snapshotter.ts"
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
  ReplicatedState,
  StartError,
  Replicator | LocalStore | WatchHub | Compactor | Snapshotter | NodeStatus | Supervisor
> = Layer.effect(
  ReplicatedState,
  Effect.gen(function* () {
    const replicator = yield* Replicator
    const local = yield* LocalStore
    const hub = yield* WatchHub
    const compactor = yield* Compactor
    const snapshotter = yield* Snapshotter
    const status = yield* NodeStatus
    const supervisor = yield* Supervisor

    const leases = new LeaseTable()
    const store = new MvccStore((key, from, to) => leases.moved(key, from, to))
    let alarms = noAlarms
    let auth = noAuth
    const committed = new CommittedOps()
    const listeners: Array<(op: Op) => void> = []
    const cold = yield* Queue.dropping<ColdJob>(coldJobsMax)
    /** Committed compactions that somebody waits for until everything is removed. */
    const removals = new Map<number, () => void>()

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

    const readCold = <A>(reply: Reply<A>, versions: ReadonlyArray<Version>, resume: ColdJob["resume"]): boolean => {
      const accepted = Queue.offerUnsafe(cold, {
        versions,
        resume: (values) => guarded(reply, () => resume(values))
      })
      if (!accepted) reply.fail(errors.tooManyRequests)
      return accepted
    }

    const leaseExists = (id: bigint): boolean => leases.has(id)

    const writeContext = (next: NextPosition): WriteContext => ({
      revision: store.headRevision + 1,
      index: next.index,
      term: next.term,
      leaderId: next.leaderId,
      createdAt: next.createdAt,
      leaseExists
    })

    /** What an operation does at head. */
    const applyOp = (op: Op): void => {
      if (op.kind === "compaction") store.scheduleCompact(op.revision)
      else if (op.kind === "alarm") alarms = nextAlarms(alarms, op)
      else if (op.kind === "auth") auth = nextAuth(auth, op)
      else nextLeases(leases, op)
    }

    const append = (
      next: NextPosition,
      changes: ReadonlyArray<LogRecord>,
      op: Op | undefined,
      waiter: Waiter
    ): number => {
      for (let i = 0; i < changes.length; i++) store.apply(changes[i]!)
      const revision = store.headRevision
      let records = changes
      if (op !== undefined) {
        applyOp(op)
        records = [...changes, opRecord({ ...next, revision }, encodeOp(op), changes.length)]
      }
      assert(records.length > 0, "an entry holds at least one record")
      replicator.append({ index: next.index, term: next.term, revision, records }, waiter)
      return revision
    }

    const snapshotSource = (): SnapshotSource => ({
      index: replicator.commitIndex(),
      term: status.term(),
      revision: store.committedRevision,
      floor: store.floor,
      ops: committed.ops(store.compactRevision)
    })

    const sweep = (maxKeys: number): boolean => store.sweep(maxKeys)
    const requestCompaction = (revision: number, done: () => void): void =>
      compactor.request({ revision, state: snapshotSource, sweep, done })

    const moveFloor = (revision: number, index: number): void => {
      store.moveFloor(revision)
      hub.compacted(store.floor)
      const done = removals.get(index)
      removals.delete(index)
      requestCompaction(revision, done ?? (() => {}))
    }

    const commitOp = (bytes: Uint8Array, index: number): void => {
      const op = decodeOp(bytes)
      if (op.kind === "compaction") moveFloor(op.revision, index)
      else committed.apply(op, bytes)
      for (const listener of listeners) listener(op)
    }

    /** One committed entry: the committed view moves, then its events go to the watches. */
    const commitEntry = ({ index, records, revision }: Entry): void => {
      const op = records[records.length - 1]!.op
      const count = op === undefined ? records.length : records.length - 1
      if (count > 0) {
        const changes: Array<Change> = new Array(count)
        for (let i = 0; i < count; i++) {
          const record = records[i]!
          const before = record.prevRevision === 0 ? undefined : store.liveAt(keyString(record.key), revision - 1)
          changes[i] = { record, previous: before === undefined ? undefined : wholeKeyValue(before) }
        }
        store.commit(revision)
        hub.publish(revision, changes)
      }
      if (op !== undefined) commitOp(op, index)
    }

    const load = Effect.gen(function* () {
      const view = yield* local.view(Number.MAX_SAFE_INTEGER)
      const legacy = new LegacyFloor()
      let floor = local.opened.floor > 0 ? local.opened.floor : -1
      let revision = 0
      for (let done = false; !done;) {
        const page = yield* view.next(loadPageRecords, loadPageBytes)
        done = page.done
        for (const record of page.records) {
          if (record.revision > revision) revision = record.revision
          if (record.op === undefined) {
            legacy.add(record)
            store.load([record])
            continue
          }
          const op = decodeOp(record.op)
          if (op.kind === "compaction") floor = Math.max(floor, op.revision)
          else {
            applyOp(op)
            committed.apply(op, record.op)
          }
        }
      }
      yield* view.close
      store.loaded(revision, legacy.floor > 0 ? Math.max(floor, legacy.floor) : floor)
    })

    const machine: StateMachine = {
      load,
      floor: () => store.floor,
      active: (begun) => {
        // A crash may have come between the commit of a compaction and the dropping.
        if (store.floor > 0) requestCompaction(store.floor, () => {})
        hub.begin(store.committedRevision, store.floor)
        snapshotter.begin({ last: begun.snapshot, chunkBytes: begun.chunkBytes, source: snapshotSource })
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
    // Entries that still wait have the time of the stop for themselves, lest both add up.
    yield* Effect.addFinalizer(() =>
      replicator.commitIndex() === replicator.headIndex() ? snapshotter.takeAtStop : Effect.void
    )

    return ReplicatedState.of({
      store,
      leases,
      alarms: () => alarms,
      auth: () => auth,
      next: replicator.next,
      writeContext,
      append,
      whenReadable: replicator.whenReadable,
      whenHeadReadable: (waiter) => replicator.whenReadable(replicator.headIndex(), waiter),
      headIndex: replicator.headIndex,
      commitIndex: replicator.commitIndex,
      guarded,
      readCold,
      whenRemoved: (index, done) => removals.set(index, done),
      forgetRemoved: (index) => removals.delete(index),
      onCommittedOp: (listener) => listeners.push(listener),
      snapshotSource
    })
  })
)
