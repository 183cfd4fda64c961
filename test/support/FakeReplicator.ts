/**
 * A `Replicator` that a test leads by hand: it drives the state machine through roles, commits, roll-backs and restores as
 * the real one does, with a log in memory and on the given local store. Nothing happens by itself.
 */
import { Effect, Layer } from "effect"
import { assert } from "../../src/core/assert.ts"
import { noopEntry } from "../../src/core/log/entry.ts"
import type { Entry, LogRecord, Position } from "../../src/core/log/record.ts"
import { errors } from "../../src/core/wire/errors.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import type { PrimaryState } from "../../src/services/NodeStatus.ts"
import { Replicator, type StateMachine, type TakenOver, type Waiter } from "../../src/services/Replicator.ts"

export interface FakeRestore {
  /** A snapshot's records, operations first. */
  readonly records: ReadonlyArray<LogRecord>
  readonly end: Position
  readonly revision: number
  readonly floor: number
}

export class FakeReplicator {
  role: PrimaryState = "replica"
  term = 1
  /** Whether reads are answered at once; else they wait in `reads`. */
  mayAcknowledge = true
  readonly reads: Array<Waiter> = []
  /** Behind the commit index. */
  pending: Array<Entry> = []
  committed: Position = { index: 0, term: 0 }
  #machine: StateMachine | undefined
  #local: LocalStore["Service"] | undefined
  #waiters: Array<{ readonly index: number; readonly waiter: Waiter }> = []
  readonly #listeners: Array<(role: PrimaryState) => void> = []

  get machine(): StateMachine {
    assert(this.#machine !== undefined, "the replicator was not started")
    return this.#machine
  }

  get headIndex(): number {
    return this.committed.index + this.pending.length
  }

  get #disk(): LocalStore["Service"] {
    assert(this.#local !== undefined, "the replicator has no disk")
    return this.#local
  }

  readonly layer: Layer.Layer<Replicator, never, LocalStore> = Layer.effect(
    Replicator,
    Effect.map(LocalStore, (local) => {
      this.#local = local
      return Replicator.of({
        start: (machine) =>
          Effect.gen({ self: this }, function* () {
            this.#machine = machine
            const { commitIndex } = yield* local.bounds
            this.committed = { index: commitIndex, term: (yield* local.termAt(commitIndex)) ?? 0 }
            this.pending = [
              ...(yield* local.entries(commitIndex + 1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER))
            ]
            yield* machine.load(commitIndex)
          }),
        role: () => this.role,
        onRole: (listener) => this.#listeners.push(listener),
        primary: () => undefined,
        next: () =>
          this.role === "active"
            ? { index: this.headIndex + 1, term: this.term, leaderId: "node-1", createdAt: { seconds: 0, nanos: 0 } }
            : errors.noLeader,
        append: (entry, waiter) => {
          assert(entry.index === this.headIndex + 1, "an entry follows the head")
          this.pending.push(entry)
          this.#waiters.push({ index: entry.index, waiter })
        },
        whenReadable: (index, waiter) => {
          if (index > this.committed.index) this.#waiters.push({ index, waiter })
          else if (this.mayAcknowledge) waiter.done()
          else this.reads.push(waiter)
        },
        whenApplied: (index, waiter) =>
          index > this.committed.index ? this.#waiters.push({ index, waiter }) : waiter.done(),
        headIndex: () => this.headIndex,
        commitIndex: () => this.committed.index,
        storedIndex: () => 0,
        handOver: (_nodeId, waiter) => waiter.failed(errors.noLeader)
      })
    })
  )

  /** Replica: entries of a Primary elsewhere, committed up to the index. */
  follow(entries: ReadonlyArray<Entry>, commitIndex: number) {
    return Effect.gen({ self: this }, function* () {
      this.pending.push(...entries)
      yield* this.#disk.append(entries, this.committed.index)
      const passed = this.#pass(commitIndex)
      if (passed.length > 0) this.machine.replicate(passed)
      this.#answer()
    })
  }

  /** Uncommitted entries from the index on are gone. */
  truncateFrom(index: number) {
    return Effect.gen({ self: this }, function* () {
      this.pending = this.pending.filter((entry) => entry.index < index)
      yield* this.#disk.truncateFrom(index)
    })
  }

  /** The log becomes what the bucket has; `during` runs while the disk holds neither. */
  restore({ end, floor, records, revision }: FakeRestore, during: Effect.Effect<void> = Effect.void) {
    return Effect.gen({ self: this }, function* () {
      yield* this.#disk.clear
      yield* during
      yield* this.#disk.restore(records, undefined)
      yield* during
      yield* this.#disk.restore([], { position: end, revision, floor })
      this.pending = []
      this.committed = end
      yield* during
      yield* this.machine.load(end.index)
      this.#answer()
    })
  }

  /** Wins a term: what is pending and a no-op are at head, not committed yet. */
  takeOver(revision: number) {
    return Effect.gen({ self: this }, function* () {
      this.term++
      this.#turn("starting")
      const last = this.pending.at(-1)?.revision ?? revision
      const noop = noopEntry({
        index: this.headIndex + 1,
        term: this.term,
        revision: last,
        leaderId: "node-1",
        createdAt: undefined
      })
      yield* this.#disk.append([noop], this.committed.index)
      this.pending.push(noop)
      this.machine.adopt(this.pending)
    })
  }

  /** The no-op and everything before it are committed: the node is Active. */
  activate(begun: Partial<TakenOver> = {}): void {
    const passed = this.#pass(this.headIndex)
    this.machine.committed(passed)
    this.machine.active(
      {
        head: this.committed,
        revision: 0,
        floor: 0,
        snapshot: undefined,
        chunkBytes: 0,
        restored: false,
        ...begun
      },
      () => this.mayAcknowledge
    )
    this.#turn("active")
    this.#answer()
  }

  /** Primary: what was appended up to the index is on the disk and committed. Returns it. */
  commit(index: number) {
    return Effect.gen({ self: this }, function* () {
      const { last } = yield* this.#disk.bounds
      const fresh = this.pending.filter((entry) => entry.index > last.index && entry.index <= index)
      yield* this.#disk.append(fresh, this.committed.index)
      const passed = this.#pass(index)
      if (passed.length > 0) this.machine.committed(passed)
      this.#answer()
      return passed
    })
  }

  /** Whoever waits is told that its fate is unknown; what was appended stays in the log, uncommitted. */
  depose() {
    return Effect.gen({ self: this }, function* () {
      const { last } = yield* this.#disk.bounds
      yield* this.#disk.append(
        this.pending.filter((entry) => entry.index > last.index),
        this.committed.index
      )
      this.role = "replica"
      const waiters = [...this.#waiters.splice(0).map(({ waiter }) => waiter), ...this.reads.splice(0)]
      for (const waiter of waiters) waiter.failed(errors.requestTimedOut)
      this.machine.deposed()
      for (const listener of this.#listeners) listener(this.role)
    })
  }

  #turn(role: PrimaryState): void {
    this.role = role
    for (const listener of this.#listeners) listener(role)
  }

  #pass(index: number): Array<Entry> {
    const passed = this.pending.filter((entry) => entry.index <= index)
    this.pending = this.pending.slice(passed.length)
    const last = passed.at(-1)
    if (last !== undefined) this.committed = { index: last.index, term: last.term }
    return passed
  }

  #answer(): void {
    const done = this.#waiters.filter(({ index }) => index <= this.committed.index)
    this.#waiters = this.#waiters.filter(({ index }) => index > this.committed.index)
    for (const { waiter } of done) waiter.done()
  }
}
