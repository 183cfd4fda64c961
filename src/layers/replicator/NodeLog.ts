/**
 * This node's log in either role: where it ends (handed to the disk, and on it), what is committed, which terms it has
 * promised away, and the entries above the commit index in memory. The disk serves requests in the order in which they
 * are made, so who appends through here needs no lock; one fiber at a time changes the log.
 */
import { Effect, Semaphore } from "effect"
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
  #fencedDurable: number
  #reigned: number
  readonly #promising = Semaphore.makeUnsafe(1)
  /** Entries above the commit index, contiguous up to `last`. */
  readonly #pending = new Deque<Entry>()

  constructor(local: LocalStore["Service"]) {
    const { opened } = local
    this.#local = local
    this.#last = this.#durable = opened.last
    this.#lastRevision = opened.lastRevision
    this.#firstIndex = opened.firstIndex
    this.#commitIndex = Math.max(opened.commitIndex, opened.firstIndex - 1)
    this.#fenced = this.#fencedDurable = opened.promises.fenced
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
  /** First index from which the log is complete on this disk, as it was when the disk was last asked. */
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
  /** `fenced` as it is on the disk: a receipt of a term leaves only after it. */
  get fencedDurable(): number {
    return this.#fencedDurable
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
      // Stored lazily: what is known here is never forgotten.
      this.#commitIndex = Math.max(this.#commitIndex, bounds.commitIndex, bounds.firstIndex - 1)
      assert(this.#commitIndex <= bounds.last.index, `the log ends at ${bounds.last.index}, below what is committed`)
      this.#pending.clear()
      for (let from = this.#commitIndex + 1; from <= this.#last.index;) {
        const page = yield* this.#local.entries(from, pageEntries, pageBytes)
        assert(page.length > 0, `the log ends at ${this.#last.index} but entry ${from} cannot be read`)
        for (const entry of page) this.#pending.push(entry)
        from += page.length
      }
    })
  )

  /** A compaction moves the log's beginning without a word to this one. */
  readonly refresh: Effect.Effect<void, LocalStoreFailed> = Effect.suspend(() =>
    Effect.map(this.#local.bounds, ({ firstIndex }) => {
      this.#firstIndex = firstIndex
    })
  )

  /** Appends behind the last one; on the disk when it succeeds. Takes effect here at once. */
  append(entries: ReadonlyArray<Entry>): Effect.Effect<void, LocalStoreFailed> {
    for (const entry of entries) this.took(entry)
    const last = this.#last
    return Effect.andThen(
      this.#local.append(entries, this.#commitIndex),
      Effect.sync(() => this.#wrote(last))
    )
  }

  /** For a Primary, whose entries are at head before they are handed to the disk: it is the log's now. */
  took(entry: Entry): void {
    assert(entry.index === this.#last.index + 1, `entry ${entry.index} does not follow ${this.#last.index}`)
    assert(entry.term >= this.#last.term, `entry ${entry.index} has a lower term than the one before it`)
    this.#pending.push(entry)
    this.#last = { index: entry.index, term: entry.term }
    this.#lastRevision = entry.revision
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
      const term = yield* this.termAt(index - 1)
      assert(term !== undefined, `entry ${index - 1} is not in the log, what follows it is not dropped`)
      // From here on nobody is told that this node has them: a fence may be answered before the disk has answered.
      if (this.#durable.index >= index) this.#durable = { index: index - 1, term }
      yield* this.#local.truncateFrom(index)
      yield* this.load
    })
  }

  /** Drops everything, known commits too: before a restore, which ends with `load`. */
  readonly clear: Effect.Effect<void, LocalStoreFailed> = Effect.suspend(() => {
    this.#last = this.#durable = positionZero
    this.#lastRevision = 0
    this.#firstIndex = 1
    this.#commitIndex = 0
    this.#pending.clear()
    return this.#local.clear
  })

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

  /** Nothing below the term is served any more; `promise` makes it durable. */
  raiseFence(term: number): void {
    assert(term >= this.#fenced, `fenced at ${this.#fenced}, which does not go back to ${term}`)
    this.#fenced = term
  }

  /** From the call on nothing below the term is served; durable when it succeeds. Asserts that it does not go back. */
  promise(promises: { readonly fenced: number; readonly reigned: number }): Effect.Effect<void, LocalStoreFailed> {
    assert(promises.fenced >= this.#fenced && promises.reigned >= this.#reigned, "a promise goes back")
    this.#fenced = promises.fenced
    this.#reigned = promises.reigned
    // One at a time, with what is promised by then: a fence and an election may come at the same time.
    return this.#promising.withPermits(1)(
      Effect.suspend(() => {
        const now = { fenced: this.#fenced, reigned: this.#reigned }
        return Effect.andThen(
          this.#local.promise(now),
          Effect.sync(() => {
            this.#fencedDurable = now.fenced
          })
        )
      })
    )
  }
}
