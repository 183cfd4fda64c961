/**
 * This node's log in either role: where it ends (handed to the disk, and on it), what is committed, which terms it has
 * promised away, and the entries above the commit index in memory. The disk serves requests in the order in which they
 * are made, so who appends through here needs no lock; one fiber at a time changes the log.
 */
import { Effect } from "effect"
import { assert } from "../../core/assert.ts"
import { type Entry, type Position, positionZero } from "../../core/log/record.ts"
import { Deque } from "../../core/mvcc/deque.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"

const pageEntries = 1_024
const pageBytes = 4 * 1024 * 1024

export class NodeLog {
  readonly #local: LocalStore["Service"]
  #last: Position
  #lastRevision: number
  #durable: Position
  #firstIndex: number
  #commitIndex: number
  #storedIndex = 0
  #fenced: number
  #reigned: number
  /** Entries above the commit index, contiguous up to `last`. */
  readonly #pending = new Deque<Entry>()

  constructor(local: LocalStore["Service"]) {
    const { opened } = local
    this.#local = local
    this.#last = this.#durable = opened.last
    this.#lastRevision = opened.lastRevision
    this.#firstIndex = opened.firstIndex
    this.#commitIndex = Math.max(opened.commitIndex, opened.firstIndex - 1)
    this.#fenced = opened.promises.fenced
    this.#reigned = opened.promises.reigned
  }

  /** Last entry that was handed to the disk. */
  get last(): Position {
    return this.#last
  }
  get lastRevision(): number {
    return this.#lastRevision
  }
  /** Last entry that is on the disk. */
  get durable(): Position {
    return this.#durable
  }
  /** First index from which the log is complete on this disk. */
  get firstIndex(): number {
    return this.#firstIndex
  }
  get commitIndex(): number {
    return this.#commitIndex
  }
  /** Everything up to it is known to be in the bucket; what a Primary has said, or found. */
  get storedIndex(): number {
    return this.#storedIndex
  }
  /** Nothing below this term is served; counts from the moment it was asked for, not from when it is durable. */
  get fenced(): number {
    return this.#fenced
  }
  get reigned(): number {
    return this.#reigned
  }

  /** Where the log stands on the disk, and what lies above the commit index: once at start and after a restore. */
  readonly load: Effect.Effect<void, LocalStoreFailed> = Effect.suspend(() =>
    Effect.gen({ self: this }, function* () {
      const bounds = yield* this.#local.bounds
      this.#last = this.#durable = bounds.last
      this.#lastRevision = bounds.lastRevision
      this.#firstIndex = bounds.firstIndex
      this.#commitIndex = Math.max(bounds.commitIndex, bounds.firstIndex - 1)
      this.#pending.clear()
      for (let from = this.#commitIndex + 1; from <= this.#last.index; ) {
        const page = yield* this.#local.entries(from, pageEntries, pageBytes)
        assert(page.length > 0, `the log ends at ${this.#last.index} but entry ${from} cannot be read`)
        for (const entry of page) this.#pending.push(entry)
        from += page.length
      }
    })
  )

  /** Appends behind the last one; on the disk when it succeeds. Takes effect here at once. */
  append(entries: ReadonlyArray<Entry>): Effect.Effect<void, LocalStoreFailed> {
    this.took(entries)
    const last = this.#last
    return Effect.andThen(
      this.#local.append(entries, this.#commitIndex),
      Effect.sync(() => this.#wrote(last))
    )
  }

  /** For a Primary, whose entries are at head before they are handed to the disk: they are the log's now. */
  took(entries: ReadonlyArray<Entry>): void {
    for (const entry of entries) {
      assert(entry.index === this.#last.index + 1, `entry ${entry.index} does not follow ${this.#last.index}`)
      assert(entry.term >= this.#last.term, `entry ${entry.index} has a lower term than the one before it`)
      this.#pending.push(entry)
      this.#last = { index: entry.index, term: entry.term }
      this.#lastRevision = entry.revision
    }
  }

  /** Hands entries to the disk that `took` was told of before, in order. */
  persist(entries: ReadonlyArray<Entry>): Effect.Effect<void, LocalStoreFailed> {
    const entry = entries[entries.length - 1]!
    const last = { index: entry.index, term: entry.term }
    return Effect.andThen(
      this.#local.append(entries, this.#commitIndex),
      Effect.sync(() => this.#wrote(last))
    )
  }

  #wrote(last: Position): void {
    if (last.index > this.#durable.index) this.#durable = last
  }

  /** Drops uncommitted entries at and above the index. */
  truncateFrom(index: number): Effect.Effect<void, LocalStoreFailed> {
    return Effect.gen({ self: this }, function* () {
      assert(index > this.#commitIndex, `entry ${index} is committed (up to ${this.#commitIndex}) and is not dropped`)
      yield* this.#local.truncateFrom(index)
      yield* this.load
    })
  }

  /** Term of the entry at the index; undefined where this log does not hold it. */
  termAt(index: number): Effect.Effect<number | undefined, LocalStoreFailed> {
    if (index === 0) return Effect.succeed(positionZero.term)
    if (index > this.#last.index) return Effect.succeed(undefined)
    if (index === this.#last.index) return Effect.succeed(this.#last.term)
    const pending = index - this.#commitIndex - 1
    if (pending >= 0 && pending < this.#pending.length) return Effect.succeed(this.#pending.at(pending).term)
    return this.#local.termAt(index)
  }

  /** The commit index moves to at most `index`; returns what it passed, in order. */
  commit(index: number): ReadonlyArray<Entry> {
    assert(index <= this.#last.index, `commit of ${index}, the log ends at ${this.#last.index}`)
    const passed: Array<Entry> = []
    while (this.#commitIndex < index) {
      const entry = this.#pending.shift()
      this.#commitIndex++
      assert(entry.index === this.#commitIndex, `entry ${entry.index} is committed at ${this.#commitIndex}`)
      passed.push(entry)
    }
    return passed
  }

  /** Entries above the commit index. */
  pending(): ReadonlyArray<Entry> {
    const entries: Array<Entry> = []
    for (let i = 0; i < this.#pending.length; i++) entries.push(this.#pending.at(i))
    return entries
  }

  stored(index: number): void {
    if (index > this.#storedIndex) this.#storedIndex = index
  }

  /** From the call on nothing below the term is served; durable when it succeeds. Asserts that it does not go back. */
  promise(promises: { readonly fenced: number; readonly reigned: number }): Effect.Effect<void, LocalStoreFailed> {
    assert(promises.fenced >= this.#fenced && promises.reigned >= this.#reigned, "a promise goes back")
    this.#fenced = promises.fenced
    this.#reigned = promises.reigned
    return this.#local.promise(promises)
  }
}
