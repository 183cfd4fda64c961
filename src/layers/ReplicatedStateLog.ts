/**
 * `ReplicatedState` over the replicated log, in either role: a Replica lets the state follow what is committed; a Primary
 * appends what was evaluated at head and commits later. Entered synchronously; the only fiber of its own is the one that
 * reads superseded values from the disk.
 */
import { Effect, Layer } from "effect"
import { assert } from "../core/assert.ts"
import { entryBytes, opRecord } from "../core/log/entry.ts"
import { encodeOp, type Op } from "../core/log/op.ts"
import type { Entry, LogRecord } from "../core/log/record.ts"
import type { Version } from "../core/mvcc/version.ts"
import { type CommitListener, LoggedState } from "../core/state/LoggedState.ts"
import { StoredRevision } from "../core/state/StoredRevision.ts"
import type { WriteContext } from "../core/txn/evaluate.ts"
import { type EtcdError, errors, isEtcdError } from "../core/wire/errors.ts"
import { Compactor } from "../services/Compactor.ts"
import type { Reply } from "../services/Kv.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"
import {
  type NextPosition,
  Replicator,
  type StartError,
  type StateMachine,
  type Waiter
} from "../services/Replicator.ts"
import { Snapshotter } from "../services/Snapshotter.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { WatchHub } from "../services/WatchHub.ts"
import { type ColdJob, coldReads } from "./replicatedstate/ColdReads.ts"
import { loadState } from "./replicatedstate/loadState.ts"

/**
 * Without a compaction, operations leave the disk after so many of them, but for this node's newest entries, from which
 * others go on: who is further behind takes them from the bucket.
 */
const operationsMax = 65_536
const entriesKept = 32_768

export const layer: Layer.Layer<
  ReplicatedState,
  StartError,
  Replicator | LocalStore | WatchHub | Compactor | Snapshotter | Supervisor
> = Layer.effect(
  ReplicatedState,
  Effect.gen(function* () {
    const replicator = yield* Replicator
    const local = yield* LocalStore
    const hub = yield* WatchHub
    const compactor = yield* Compactor
    const snapshotter = yield* Snapshotter
    const supervisor = yield* Supervisor

    const headListeners: Array<(op: Op) => void> = []
    const committedListeners: Array<(op: Op) => void> = []
    const reloadListeners: Array<() => void> = []
    const state = new LoggedState((op) => {
      for (const listener of headListeners) listener(op)
    })
    const { leases, store } = state
    const inBucket = new StoredRevision()
    /** Committed compactions that somebody waits for until everything is removed. */
    const removals = new Map<number, () => void>()
    let isLoaded = false
    let isActive = false
    /** Reigns of this node that are over. */
    let reigns = 0
    /** Committed since operations were last removed from the disk. */
    let operations = 0

    /** An invariant that breaks on the way ends the process: what was evaluated can no longer be trusted. */
    const guarded = <A>(reply: Reply<A>, body: () => void): void => {
      try {
        body()
      } catch (cause) {
        supervisor.fail("kv", cause)
        reply.fail(errors.serverStopped)
      }
    }

    const cold = yield* coldReads(local, store)
    const readCold = <A>(reply: Reply<A>, versions: ReadonlyArray<Version>, resume: ColdJob["resume"]): boolean => {
      const accepted = cold.offer({ versions, resume: (values) => guarded(reply, () => resume(values)) })
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

    const append = (
      next: NextPosition,
      changes: ReadonlyArray<LogRecord>,
      op: Op | undefined,
      waiter: Waiter
    ): number => {
      state.applyChanges(changes)
      const revision = store.headRevision
      let records = changes
      if (op !== undefined) {
        state.applyOp(op)
        records = [...changes, opRecord({ ...next, revision }, encodeOp(op), changes.length)]
      }
      assert(records.length > 0, "an entry holds at least one record")
      replicator.append({ index: next.index, term: next.term, revision, records }, waiter)
      return revision
    }

    const source = () => state.source()
    const sweep = (maxKeys: number): boolean => store.sweep(maxKeys)

    const requestCompaction = (revision: number, index: number, forgetUpTo: number, done: () => void): void => {
      operations = 0
      compactor.request({ revision, index, forgetUpTo, state: source, sweep, done })
    }

    const listener: CommitListener = {
      changed: hub.publish,
      compacted: (revision, index) => {
        hub.compacted(store.floor)
        const done = removals.get(index)
        removals.delete(index)
        requestCompaction(revision, index, 0, done ?? (() => {}))
      },
      op: (op) => {
        operations++
        for (const told of committedListeners) told(op)
      }
    }

    const forgetOperations = (): void => {
      const { index } = state.committed
      if (operations < operationsMax) return
      requestCompaction(store.floor, index - entriesKept, index - entriesKept, () => {})
    }

    /** A log that was left shorter than what is shown here catches up first. */
    const isShown = (entry: Entry): boolean => entry.index <= state.committed.index

    const commitAll = (entries: ReadonlyArray<Entry>): void => {
      for (let i = 0; i < entries.length; i++) if (!isShown(entries[i]!)) state.commit(entries[i]!, listener)
      inBucket.committed(state.committed.index, store.committedRevision)
      forgetOperations()
    }

    const load = (upToIndex: number) =>
      Effect.gen(function* () {
        if (isLoaded && upToIndex < state.committed.index) return
        const loaded = yield* loadState(local, upToIndex)
        state.become(loaded)
        if (isLoaded) hub.jumped(store.committedRevision, store.floor)
        else hub.begin(store.committedRevision, store.floor)
        isLoaded = true
        inBucket.committed(upToIndex, store.committedRevision)
        for (const told of reloadListeners) told()
        // A crash may have come between the commit of a compaction and the dropping.
        if (store.floor > 0) requestCompaction(store.floor, upToIndex, 0, () => {})
      })

    const machine: StateMachine = {
      load,
      floor: () => store.floor,
      committedRevision: () => store.committedRevision,
      lastSnapshotIndex: snapshotter.lastIndex,
      replicate: (entries) => {
        for (let i = 0; i < entries.length; i++) {
          const entry = entries[i]!
          if (isShown(entry)) continue
          state.apply(entry)
          state.commit(entry, listener)
        }
        inBucket.committed(state.committed.index, store.committedRevision)
        forgetOperations()
      },
      adopt: (entries) => {
        for (let i = 0; i < entries.length; i++) if (!isShown(entries[i]!)) state.apply(entries[i]!)
      },
      committed: (entries) => {
        commitAll(entries)
        if (!isActive) return
        let bytes = 0
        for (let i = 0; i < entries.length; i++) bytes += entryBytes(entries[i]!)
        snapshotter.committed(state.committed.index, bytes)
      },
      active: (begun, mayAcknowledge) => {
        isActive = true
        const { chunkBytes, snapshot } = begun
        snapshotter.begin({ last: snapshot, chunkBytes, source, mayDelete: mayAcknowledge })
      },
      deposed: () => {
        isActive = false
        reigns++
        snapshotter.rest()
        state.rollBack()
        removals.clear()
      },
      stored: (index) => {
        inBucket.stored(index)
        compactor.stored(index)
      }
    }

    const whenHeadReadable = (waiter: Waiter): void =>
      replicator.whenReadable(replicator.role() === "replica" ? 0 : replicator.headIndex(), waiter)

    const tell = <A>(reply: Reply<A>, answer: A | EtcdError): void =>
      isEtcdError(answer) ? reply.fail(answer) : reply.succeed(answer)

    /** A Primary's head may not be shown before it is committed; what a Replica has may be old before it has asked. */
    const readHead = <A>(reply: Reply<A>, read: () => A | EtcdError): void =>
      guarded(reply, () => {
        if (isActive) {
          const answer = read()
          const reign = reigns
          // Another Primary's word is for what is here then, not for what was evaluated in a reign that is over.
          const confirmed = (): void => (reign === reigns ? tell(reply, answer) : readHead(reply, read))
          return whenHeadReadable({ done: confirmed, failed: reply.fail })
        }
        const done = (): void => {
          if (replicator.role() === "replica") guarded(reply, () => tell(reply, read()))
          else readHead(reply, read)
        }
        whenHeadReadable({ done, failed: reply.fail })
      })

    yield* supervisor.spawn("cold-reader", cold.run)
    yield* replicator.start(machine)
    // Entries that still wait have the time of the stop for themselves, lest both add up.
    yield* Effect.addFinalizer(() =>
      isActive && replicator.commitIndex() === replicator.headIndex() ? snapshotter.takeAtStop : Effect.void
    )

    return ReplicatedState.of({
      store,
      leases,
      alarms: () => state.alarms,
      auth: () => state.auth,
      next: replicator.next,
      writeContext,
      append,
      whenReadable: replicator.whenReadable,
      whenHeadReadable,
      readHead,
      headIndex: replicator.headIndex,
      commitIndex: replicator.commitIndex,
      guarded,
      readCold,
      whenRemoved: (index, done) => removals.set(index, done),
      forgetRemoved: (index) => removals.delete(index),
      onHeadOp: (told) => headListeners.push(told),
      onCommittedOp: (told) => committedListeners.push(told),
      onReloaded: (told) => reloadListeners.push(told),
      storedRevision: () => inBucket.revision,
      snapshotSource: source
    })
  })
)
