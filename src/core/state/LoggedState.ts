/**
 * What the log makes, at head and committed: keys, leases, alarms, users. Pure; whoever drives it says in which role the
 * node is by what it calls: a Replica applies and commits each entry in one go, a Primary applies now and commits later,
 * and rolls back what it did not commit when it is deposed.
 */
import { type Alarms, noAlarms } from "../alarm/alarms.ts"
import { assert } from "../assert.ts"
import { type AuthState, noAuth } from "../auth/state.ts"
import { LeaseTable } from "../lease/LeaseTable.ts"
import { decodeOp, type Op } from "../log/op.ts"
import { type Entry, isInternal, type LogRecord, type Position, positionZero } from "../log/record.ts"
import { keyString } from "../mvcc/keys.ts"
import { LegacyFloor } from "../mvcc/legacyFloor.ts"
import { wholeKeyValue } from "../mvcc/range.ts"
import { MvccStore } from "../mvcc/store.ts"
import type { Change } from "../watch/types.ts"
import { CommittedOps } from "./CommittedOps.ts"
import { nextAlarms, nextAuth, nextLeases } from "./operations.ts"

/** What a committed entry changes for whoever looks on; called in the order of the entry. */
export interface CommitListener {
  readonly changed: (revision: number, changes: ReadonlyArray<Change>) => void
  /** The floor has moved; nothing is removed yet. */
  readonly compacted: (revision: number, index: number) => void
  readonly op: (op: Op) => void
}

/** The committed state at one moment. */
export interface StateSource extends Position {
  readonly revision: number
  readonly floor: number
  readonly ops: ReadonlyArray<Uint8Array>
}

export class LoggedState {
  readonly leases = new LeaseTable()
  readonly store = new MvccStore((key, from, to) => this.leases.moved(key, from, to))
  #alarms: Alarms = noAlarms
  #auth: AuthState = noAuth
  #ops = new CommittedOps()
  #legacy = new LegacyFloor()
  #committed: Position = positionZero
  readonly #onHeadOp: (op: Op) => void

  /** Told of each operation when it takes effect at head, by which way it got there. */
  constructor(onHeadOp: (op: Op) => void = () => {}) {
    this.#onHeadOp = onHeadOp
  }

  /** At head. */
  get alarms(): Alarms {
    return this.#alarms
  }

  /** At head. */
  get auth(): AuthState {
    return this.#auth
  }

  /** The last entry that is committed here. */
  get committed(): Position {
    return this.#committed
  }

  applyChanges(records: ReadonlyArray<LogRecord>): void {
    for (let i = 0; i < records.length; i++) this.store.apply(records[i]!)
  }

  applyOp(op: Op): void {
    if (op.kind === "compaction") this.store.scheduleCompact(op.revision)
    else if (op.kind === "alarm") this.#alarms = nextAlarms(this.#alarms, op)
    else if (op.kind === "auth") this.#auth = nextAuth(this.#auth, op)
    else nextLeases(this.leases, op)
    this.#onHeadOp(op)
  }

  /** The next entry at head, made elsewhere or in an earlier life. */
  apply({ records }: Entry): void {
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!
      this.store.apply(record)
      if (record.op !== undefined) this.applyOp(decodeOp(record.op))
    }
  }

  /** The entry is at head and the next to be committed: the committed view moves. */
  commit({ index, records, revision, term }: Entry, listener: CommitListener): void {
    const { store } = this
    assert(index === this.#committed.index + 1, `entry ${index} is committed after entry ${this.#committed.index}`)
    assert(
      term >= this.#committed.term,
      `entry ${index} of term ${term} is committed after term ${this.#committed.term}`
    )
    const op = records[records.length - 1]!.op
    const count = op === undefined ? records.length : records.length - 1
    if (count > 0 && isInternal(records[0]!)) store.commit(revision)
    else if (count > 0) {
      // An empty store is at revision 1 as well, where early versions of Netsy 1.x put a client's first write.
      const isShown = revision === 1 && this.#committed.index === 0
      assert(
        isShown || revision === store.committedRevision + 1,
        `revision ${revision} after revision ${store.committedRevision}`
      )
      const changes: Array<Change> = new Array(count)
      for (let i = 0; i < count; i++) {
        const record = records[i]!
        const before = record.prevRevision === 0 ? undefined : store.liveAt(keyString(record.key), revision - 1)
        changes[i] = { record, previous: before === undefined ? undefined : wholeKeyValue(before) }
      }
      store.commit(revision)
      this.#committed = { index, term }
      if (!isShown) listener.changed(revision, changes)
      for (let i = 0; i < count; i++) this.#legacy.add(records[i]!)
      if (this.#legacy.floor > store.floor) this.#moveFloor(this.#legacy.floor, index, listener)
    }
    this.#committed = { index, term }
    if (op !== undefined) this.#commitOp(op, index, listener)
  }

  #commitOp(bytes: Uint8Array, index: number, listener: CommitListener): void {
    const op = decodeOp(bytes)
    if (op.kind === "compaction") this.#moveFloor(op.revision, index, listener)
    else this.#ops.apply(op, bytes)
    listener.op(op)
  }

  #moveFloor(revision: number, index: number, listener: CommitListener): void {
    this.store.moveFloor(revision)
    listener.compacted(revision, index)
  }

  /** Everything that is not committed is taken back. */
  rollBack(): void {
    // First the leases: keys that are given back find theirs again.
    this.leases.reset(this.#ops.leases())
    this.store.rollbackTo(this.store.committedRevision)
    this.#alarms = this.#ops.alarms
    this.#auth = this.#ops.auth
  }

  /** Takes over what `loaded` holds; who refers to the store or the leases sees it from here on. */
  become(loaded: LoadedState): void {
    const { floor, position, revision } = loaded
    const { store } = this
    assert(revision >= store.committedRevision, `loaded revision ${revision} after ${store.committedRevision}`)
    assert(floor >= store.compactRevision, `the floor goes back from ${store.compactRevision} to ${floor}`)
    store.become(loaded.store)
    this.leases.become(loaded.leases)
    this.#ops = loaded.ops
    this.#legacy = loaded.legacy
    this.#alarms = loaded.ops.alarms
    this.#auth = loaded.ops.auth
    this.#committed = position
  }

  source(): StateSource {
    const { committedRevision: revision, compactRevision, floor } = this.store
    return { ...this.#committed, revision, floor, ops: this.#ops.ops(compactRevision) }
  }
}

/** A committed state in the making, from the records of a view in their order. */
export class LoadedState {
  readonly leases = new LeaseTable()
  readonly store = new MvccStore((key, from, to) => this.leases.moved(key, from, to))
  readonly ops = new CommittedOps()
  readonly legacy = new LegacyFloor()
  #revision = 0
  #floor: number
  #position = positionZero

  /** The floor that the disk knows, 0 for none. */
  constructor(floor: number) {
    this.#floor = floor > 0 ? floor : -1
  }

  get position(): Position {
    return this.#position
  }

  get revision(): number {
    return this.store.committedRevision
  }

  get floor(): number {
    return this.store.compactRevision
  }

  add(records: ReadonlyArray<LogRecord>): void {
    for (const record of records) {
      if (record.revision > this.#revision) this.#revision = record.revision
      if (record.op === undefined) {
        this.legacy.add(record)
        this.store.load([record])
        continue
      }
      const op = decodeOp(record.op)
      if (op.kind === "compaction") this.#floor = Math.max(this.#floor, op.revision)
      else {
        nextLeases(this.leases, op)
        this.ops.apply(op, record.op)
      }
    }
  }

  /** Nothing more comes: it is the state at the position. */
  end(position: Position): void {
    const { floor } = this.legacy
    this.store.loaded(this.#revision, floor > 0 ? Math.max(this.#floor, floor) : this.#floor)
    this.#position = position
  }
}
