/**
 * A disk in memory that outlives the layers over it, as a disk outlives processes. What was written is seen at once, but
 * only what was synced survives `crash`. Tests hold and release syncs, crash with some of the unsynced writes kept (always
 * the oldest ones: a log is written in order), put an older state back, and let writes fail.
 */
import { InvariantViolation } from "../../core/assert.ts"
import { Table } from "../../core/localstore/table.ts"
import type { LogRecord } from "../../core/log/record.ts"
import type { Promises } from "../../services/LocalStore.ts"

/** Everything a database holds. */
export class Contents {
  incarnation: string
  starts = 0
  promises: Promises = { fenced: 0, reigned: 0 }
  table = new Table()
  facts = new Map<string, Uint8Array>()

  constructor(incarnation: string) {
    this.incarnation = incarnation
  }

  clone(): Contents {
    const copy = new Contents(this.incarnation)
    copy.starts = this.starts
    copy.promises = this.promises
    copy.table = this.table.clone()
    copy.facts = new Map(this.facts)
    return copy
  }
}

type Write = (contents: Contents) => void

/** A disk that survives its node: several layers, one after another, may be built on it, and it can be made to fail. */
export class MemoryDisk {
  /** Called when everything up to this count of writes is durable, or with a reason when it never will be. */
  private waiting: Array<{ readonly writes: number; readonly done: (failure: string | undefined) => void }> = []
  private durable: Contents | undefined
  private visible: Contents | undefined
  private unsynced: Array<Write> = []
  private written = 0
  private held = false
  private writeFailure: string | undefined
  private damage: string | undefined
  private openedBy: object | undefined
  private imported: ReadonlyArray<LogRecord> | undefined
  private readonly setAside: Array<{ readonly path: string; readonly reason: string }> = []

  /** Writes that would be lost in a crash now. */
  get unsyncedCount(): number {
    return this.unsynced.length
  }

  /** Databases that were set aside so far. */
  get aside(): ReadonlyArray<{ readonly path: string; readonly reason: string }> {
    return this.setAside
  }

  /** From now on writes are seen but not durable, and their effects do not succeed, until `releaseSyncs` or a crash. */
  holdSyncs(): void {
    this.held = true
  }

  /** What was held back is durable now. */
  releaseSyncs(): void {
    this.held = false
    this.sync()
  }

  /** The process dies: unsynced writes are lost but for the oldest `keepUnsynced`, and the lock is free again. */
  crash(keepUnsynced = 0): void {
    if (this.durable !== undefined) for (const write of this.unsynced.slice(0, keepUnsynced)) write(this.durable)
    this.unsynced = []
    this.visible = this.durable?.clone()
    this.openedBy = undefined
    this.held = false
    const waiting = this.waiting
    this.waiting = []
    for (const one of waiting) one.done("the node has crashed")
  }

  /** The durable contents now, for `putBack`. */
  snapshot(): Contents | undefined {
    return this.durable?.clone()
  }

  /** The machine comes back with an older disk: what was durable since is forgotten. The node must not be running. */
  putBack(snapshot: Contents | undefined): void {
    if (this.openedBy !== undefined) throw new InvariantViolation("a disk is not exchanged while its node is running")
    this.durable = snapshot?.clone()
    this.visible = snapshot?.clone()
  }

  /** Every write fails with this reason, until called without one. */
  failWrites(reason: string | undefined): void {
    this.writeFailure = reason
  }

  /** The next open finds the database damaged, sets it aside and begins afresh. */
  corrupt(reason: string): void {
    this.damage = reason
  }

  /** A Netsy 1.x database with these rows lies on the disk and waits to be imported. */
  offerImport(rows: ReadonlyArray<LogRecord> | undefined): void {
    this.imported = rows
  }

  get importable(): ReadonlyArray<LogRecord> | undefined {
    return this.imported
  }

  /** Takes the lock for `owner`; false when another holds it. */
  lock(owner: object): boolean {
    if (this.openedBy !== undefined) return false
    this.openedBy = owner
    return true
  }

  /** Nothing happens when another one holds the lock. */
  unlock(owner: object): void {
    if (this.openedBy === owner) this.openedBy = undefined
  }

  /** False also when the process that took the lock has crashed since. */
  isLockedBy(owner: object): boolean {
    return this.openedBy === owner
  }

  /** What a process sees, made or replaced as an open would. */
  open(
    incarnation: string,
    path: string,
    stamp: string
  ): { readonly reason: string; readonly path: string } | undefined {
    let aside: { readonly reason: string; readonly path: string } | undefined
    if (this.durable !== undefined && this.damage !== undefined) {
      aside = { path: `${path}.damaged-${stamp}`, reason: this.damage }
      this.setAside.push(aside)
      this.durable = undefined
    }
    this.damage = undefined
    this.durable ??= new Contents(incarnation)
    if (this.durable.table.log.restoring) this.durable.table.clear()
    this.durable.starts++
    this.visible = this.durable.clone()
    return aside
  }

  get contents(): Contents {
    if (this.visible === undefined) throw new InvariantViolation("the disk has not been opened")
    return this.visible
  }

  /** Applies a write to what is seen. `done` is called when it is durable. */
  write(write: Write, done: (failure: string | undefined) => void): void {
    if (this.writeFailure !== undefined) return done(this.writeFailure)
    write(this.contents)
    this.unsynced.push(write)
    this.written++
    this.waiting.push({ writes: this.written, done })
  }

  /** An fsync: everything written so far is durable, unless syncs are held. */
  sync(): void {
    if (this.held) return
    const durable = this.durable
    if (durable !== undefined) for (const write of this.unsynced) write(durable)
    this.unsynced = []
    const waiting = this.waiting
    this.waiting = []
    for (const one of waiting) one.done(undefined)
  }
}
