/**
 * One term as Primary, once its log and the bucket's are one: positions, batches, receipts, reads, and the commit index.
 * Synchronous; the fibers around it (`primary.ts`) carry batches to the disk and chunks to the bucket.
 */
import { assert } from "../../core/assert.ts"
import type { NodeName } from "../../core/election/arbiter.ts"
import { entryBytes } from "../../core/log/entry.ts"
import { type Batch, type Chunk, Pipeline } from "../../core/log/pipeline.ts"
import { PutTimes } from "../../core/log/putTimes.ts"
import type { Entry, Position } from "../../core/log/record.ts"
import { WaiterQueue } from "../../core/log/waiters.ts"
import { Deque } from "../../core/mvcc/deque.ts"
import { ReadRounds } from "../../core/quorum/readRounds.ts"
import { Receipts } from "../../core/quorum/receipts.ts"
import type { CommitRule } from "../../core/quorum/rule.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import type { Hold } from "../../services/Reign.ts"
import type { Waiter } from "../../services/Replicator.ts"
import { AppliedWaiters } from "./AppliedWaiters.ts"
import { Buffered } from "./Buffered.ts"
import type { Follower } from "./Follower.ts"
import type { NodeLog } from "./NodeLog.ts"
import { requestTimeoutMillis } from "./parts.ts"

/** Linearizable reads that wait for a round. */
const readsMax = 100_000
/** Told reads that may stay in a round that nobody confirms, beside as many as wait. */
const roundReadsSpare = 1_000
const toldAlready: Waiter = { done: () => {}, failed: () => {} }
/** The open batch waits no longer than this for clients that were just answered. */
export const gatherMaxMillis = 10

/** A read in a round; the round itself knows no deadlines. */
interface TimedRead {
  readonly waiter: Waiter
  readonly deadlineMillis: number
  /** Its time was over: the round that it is in, or the next, has nothing to say to it. */
  told: boolean
}

export interface TermParts {
  readonly hold: Hold
  readonly log: NodeLog
  readonly self: NodeName
  readonly head: Position
  readonly committed: Position
  readonly storedIndex: number
  readonly nowMillis: () => number
  /** Entries are committed: the state machine follows. */
  readonly onCommitted: (entries: ReadonlyArray<Entry>) => void
  /** A batch went through: when it was closed. */
  readonly onBatch: (closedAtMillis: number, entries: number) => void
  readonly onStored: (index: number) => void
  /** There is something for the batcher or the writers. */
  readonly work: () => void
}

export class Term {
  readonly number: number
  readonly hold: Hold
  readonly pipeline: Pipeline
  readonly receipts: Receipts
  readonly rounds: ReadRounds<TimedRead>
  readonly followers = new Map<string, Follower>()
  readonly waiters = new WaiterQueue()
  /** Reads of what is committed already, which wait for the lease. */
  readonly readers = new WaiterQueue()
  readonly putTimes = new PutTimes(64)
  readonly buffered = new Buffered()
  /** Higher term with which somebody has refused this Primary; 0: nobody. */
  refusedTerm = 0
  lastRevision = 0
  lastChunkIndex = 0
  accepting = false
  /** The bucket lags too far behind: nothing is acknowledged. */
  overfull = false
  /** In mode quorum committed entries up to here go to the bucket now. */
  flushTo = 0
  /** Entries that were open at the last answer, and one for each answered: the open batch waits for so many. */
  expected = 0
  lastAckMillis = Number.NEGATIVE_INFINITY
  /** Reads whose round is confirmed and whose index is not committed yet. */
  readonly #later = new AppliedWaiters()
  /** A change of the commit rule is under way: nothing is committed. */
  #held = false
  #stopped = false
  #rounding = 0
  /** Reads that wait for a round, by their deadlines; told ones leave it from the front. */
  readonly #roundReads = new Deque<TimedRead>()
  readonly #closed = new Deque<{ readonly last: number; readonly at: number; readonly entries: number }>()
  readonly #parts: TermParts

  constructor(parts: TermParts) {
    const { committed, head, hold, log, self, storedIndex } = parts
    this.#parts = parts
    this.number = hold.term
    this.hold = hold
    this.receipts = new Receipts(self)
    this.rounds = new ReadRounds(self)
    this.pipeline = new Pipeline({ head, committed, uncommitted: log.pending(), storedIndex }, entryBytes)
    this.lastRevision = log.lastRevision
    this.lastChunkIndex = storedIndex
  }

  get rule(): CommitRule {
    return this.hold.arbiter()
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Commits wait for a change of the rule. */
  get holding(): boolean {
    return this.#held
  }

  mayAcknowledge(): boolean {
    return !this.#stopped && !this.overfull && this.hold.mayAcknowledge()
  }

  /** Up to where entries may go to the bucket now. */
  storeLimit(): number {
    return this.rule.mode === "store" ? this.pipeline.closedIndex : Math.min(this.flushTo, this.pipeline.commitIndex)
  }

  append(entry: Entry, waiter: Waiter): void {
    this.pipeline.append(entry)
    this.#parts.log.took(entry)
    this.lastRevision = entry.revision
    this.waiters.push(entry.index, this.#parts.nowMillis() + requestTimeoutMillis, waiter)
    this.#parts.work()
  }

  /** A no-op that nobody waits for: where a chunk's key is taken. */
  pad(entry: Entry): void {
    this.pipeline.append(entry)
    this.#parts.log.took(entry)
    this.#parts.work()
  }

  closeBatch(): Batch | undefined {
    const batch = this.pipeline.close()
    if (batch === undefined) return undefined
    this.expected = Math.max(0, this.expected - batch.entries.length)
    this.#closed.push({ last: batch.last, at: this.#parts.nowMillis(), entries: batch.entries.length })
    return batch
  }

  persisted(last: number): void {
    this.pipeline.persisted(last)
    this.advance()
  }

  stored(chunk: Chunk): void {
    const before = this.pipeline.storedIndex
    this.pipeline.stored(chunk)
    const { storedIndex } = this.pipeline
    if (storedIndex > before) {
      this.lastChunkIndex = storedIndex
      this.buffered.stored(storedIndex)
      this.#parts.onStored(storedIndex)
    }
    this.advance()
    this.#parts.work()
  }

  /** Nothing is committed from now on, until `release`. */
  holdBack(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
    // In mode store the lease decides about reads, in mode quorum a round.
    if (this.rule.mode === "store")
      for (const { waiter } of this.rounds.takeAll()) this.#readByLease(this.#take(waiter))
    else for (const waiter of this.readers.takeAll()) this.#readByRound(waiter)
    this.#forgetTold()
    this.advance()
    this.#parts.work()
  }

  /** The highest index that the rule of the mode allows to be committed now (design 5, commit rule). */
  #committable(): number {
    const { pipeline, rule } = this
    return rule.mode === "store"
      ? Math.min(pipeline.storedIndex, pipeline.persistedIndex)
      : this.receipts.committable(rule, pipeline.persistedIndex)
  }

  /** Moves the commit index as far as disk, bucket, replicas and lease allow, and tells everybody who waited for it. */
  advance(): void {
    if (!this.mayAcknowledge()) return
    const { pipeline } = this
    const top = this.#held ? 0 : this.#committable()
    // Entries of older terms are committed by what follows them only.
    if (top > pipeline.commitIndex && pipeline.termAt(top) === this.number) this.#commit(top)
    if (this.rule.mode === "store") this.readers.complete(pipeline.commitIndex)
    else this.#serveRound()
  }

  #commit(top: number): void {
    const { log, nowMillis, onBatch, onCommitted } = this.#parts
    const { pipeline } = this
    const now = nowMillis()
    pipeline.commit(top)
    if (top > pipeline.storedIndex) this.buffered.committed(top, now)
    onCommitted(log.commit(top))
    while (this.#closed.length > 0 && this.#closed.at(0).last <= top) {
      const batch = this.#closed.shift()
      onBatch(batch.at, batch.entries)
    }
    const missing = now - this.lastAckMillis <= gatherMaxMillis ? this.expected : 0
    this.lastAckMillis = now
    this.expected = Math.max(missing, pipeline.openEntries) + this.waiters.complete(top)
    this.#later.applied(top)
    for (const follower of this.followers.values()) follower.committed()
  }

  whenReadable(index: number, waiter: Waiter): void {
    if (!this.accepting) return waiter.failed(errors.noLeader)
    if (this.rule.mode === "quorum") return this.#readByRound(this.#after(index, waiter))
    if (index > this.pipeline.commitIndex) {
      return this.waiters.push(index, this.#parts.nowMillis() + requestTimeoutMillis, this.#byCommit(waiter))
    }
    this.#readByLease(waiter)
  }

  /**
   * In mode store a commit is decided within the lease, after this call. A change to mode quorum may have landed before
   * the call without being known yet: then receipts that are older than the read commit, and it takes a round of its own.
   */
  #byCommit(waiter: Waiter): Waiter {
    return {
      done: () => (this.rule.mode === "store" ? waiter.done() : this.#readByRound(waiter)),
      failed: waiter.failed
    }
  }

  /**
   * Receipts that make the index committed may be older than the read, and another Primary may have acknowledged more
   * since: so the round comes first, and the index after it.
   */
  #after(index: number, waiter: Waiter): Waiter {
    if (index <= this.pipeline.commitIndex) return waiter
    const deadlineMillis = this.#parts.nowMillis() + requestTimeoutMillis
    return {
      done: () => {
        if (index <= this.pipeline.commitIndex) waiter.done()
        else this.#later.push(index, deadlineMillis, waiter)
      },
      failed: waiter.failed
    }
  }

  #readByRound(waiter: Waiter): void {
    if (this.rounds.waiting >= readsMax) return waiter.failed(errors.tooManyRequests)
    const read: TimedRead = { waiter, deadlineMillis: this.#parts.nowMillis() + requestTimeoutMillis, told: false }
    this.#roundReads.push(read)
    this.rounds.join(read, this.pipeline.commitIndex)
    this.#startRound()
  }

  #readByLease(waiter: Waiter): void {
    if (this.mayAcknowledge() && this.rule.mode === "store") return waiter.done()
    this.readers.push(this.pipeline.commitIndex, this.#parts.nowMillis() + requestTimeoutMillis, waiter)
  }

  #startRound(): void {
    if (this.rounds.startable()) this.#sendRound(this.rounds.start())
  }

  #sendRound(id: number): void {
    this.#rounding = id
    for (const follower of this.followers.values()) follower.round(id)
  }

  /** A voter has come, or an answer may be lost: the round that is out is asked again. */
  repeatRound(): void {
    const id = this.rounds.restart()
    if (id !== undefined) this.#sendRound(id)
  }

  confirmed(name: NodeName, round: number): void {
    assert(round <= this.#rounding, `round ${round} was never sent`)
    this.rounds.confirm(name, round)
    this.#serveRound()
  }

  #serveRound(): void {
    if (!this.rounds.outstanding || !this.mayAcknowledge() || this.rule.mode !== "quorum") return
    const reads = this.rounds.done(this.rule)
    if (reads === undefined) return
    for (const { waiter } of reads) if (!waiter.told) this.#take(waiter).done()
    this.#forgetTold()
    this.#startRound()
  }

  /** Whoever holds it now tells it. */
  #take(read: TimedRead): Waiter {
    if (read.told) return toldAlready
    read.told = true
    return read.waiter
  }

  #forgetTold(): void {
    while (this.#roundReads.length > 0 && this.#roundReads.at(0).told) this.#roundReads.shift()
  }

  /** Fails whoever has waited too long; how many those were. */
  expire(nowMillis: number): number {
    this.#later.expire(nowMillis)
    return (
      this.waiters.expire(nowMillis, errors.requestTimedOut) +
      this.readers.expire(nowMillis, errors.requestTimedOut) +
      this.#expireRounds(nowMillis)
    )
  }

  /** A round that nobody confirms does not hold its reads for ever, nor the place of those that are gone. */
  #expireRounds(nowMillis: number): number {
    const reads = this.#roundReads
    let expired = 0
    while (reads.length > 0 && (reads.at(0).told || reads.at(0).deadlineMillis <= nowMillis)) {
      const read = reads.shift()
      if (read.told) continue
      this.#take(read).failed(errors.requestTimedOut)
      expired++
    }
    if (this.rounds.waiting > 2 * reads.length + roundReadsSpare) {
      for (const { index, waiter } of this.rounds.takeAll()) if (!waiter.told) this.rounds.join(waiter, index)
      this.#startRound()
    }
    return expired
  }

  /** When the oldest batch that is not committed was closed; undefined: there is none. */
  oldestMillis(): number | undefined {
    return this.#closed.length === 0 ? undefined : this.#closed.at(0).at
  }

  /** Nothing more will be committed by this process in this term. */
  stop(error: EtcdError): void {
    this.accepting = false
    this.#stopped = true
    this.waiters.failAll(error)
    this.readers.failAll(error)
    this.#later.failAll(error)
    for (const read of this.rounds.failAll()) this.#take(read).failed(error)
    this.#roundReads.clear()
    for (const follower of this.followers.values())
      follower.close({ code: 9, reason: "this node is not the Primary any more" })
    this.followers.clear()
  }
}
