/**
 * The Primary's log between append and commit (design 5): the open batch, batches on their way to the disk and to the
 * bucket, and how far each has come. No clock, no I/O: the Replicator's layer carries out what this decides.
 *
 * Order: entries are appended at head, closed into batches in order; batches may be stored out of order, but the stored
 * and the persisted index only move over contiguous ones; the commit index follows both and never moves back.
 */
import { assert } from "../assert.ts"
import type { Entry } from "./record.ts"

export interface PipelineLimits {
  /** A batch closes after the entry that passes this. */
  readonly batchBytesMax: number
  readonly batchEntriesMax: number
  readonly putsInFlightMax: number
  /** Above this many bytes between append and commit new writes are refused. */
  readonly inFlightBytesMax: number
}

export const defaultPipelineLimits: PipelineLimits = {
  batchBytesMax: 1024 * 1024,
  batchEntriesMax: 1024,
  putsInFlightMax: 4,
  inFlightBytesMax: 64 * 1024 * 1024
}

/** A closed batch: contiguous entries that go to the disk in one transaction and to the bucket in one chunk. */
export interface Batch {
  readonly entries: ReadonlyArray<Entry>
  readonly first: number
  readonly last: number
  /** Term of the entry before `first`. */
  readonly prevTerm: number
  readonly bytes: number
}

interface InFlight {
  readonly batch: Batch
  stored: boolean
}

/** Where the log stands when a term begins. */
export interface PipelineStart {
  readonly headIndex: number
  readonly headTerm: number
  readonly commitIndex: number
  /** Every index ≤ this is known to be in the bucket. */
  readonly storedIndex: number
}

export class Pipeline {
  readonly #limits: PipelineLimits
  #open: Array<Entry> = []
  #openBytes = 0
  /** Batches closed and not yet committed, in log order. */
  #closed: Array<InFlight> = []
  #inFlightBytes = 0
  #puts = 0
  #headIndex: number
  #headTerm: number
  #closedIndex: number
  #closedTerm: number
  #storedIndex: number
  #persistedIndex: number
  #commitIndex: number

  constructor(start: PipelineStart, limits: PipelineLimits = defaultPipelineLimits) {
    assert(start.commitIndex <= start.headIndex, "the commit index is above the head")
    assert(start.storedIndex <= start.headIndex, "the stored index is above the head")
    this.#limits = limits
    this.#headIndex = this.#closedIndex = this.#persistedIndex = start.headIndex
    this.#headTerm = this.#closedTerm = start.headTerm
    this.#storedIndex = start.storedIndex
    this.#commitIndex = start.commitIndex
  }

  get headIndex(): number {
    return this.#headIndex
  }
  get headTerm(): number {
    return this.#headTerm
  }
  get storedIndex(): number {
    return this.#storedIndex
  }
  get persistedIndex(): number {
    return this.#persistedIndex
  }
  get commitIndex(): number {
    return this.#commitIndex
  }
  get inFlightBytes(): number {
    return this.#inFlightBytes
  }
  get putsInFlight(): number {
    return this.#puts
  }
  get openEntries(): number {
    return this.#open.length
  }

  /** True: one more entry of any legal size may be appended. */
  hasRoom(): boolean {
    return this.#inFlightBytes < this.#limits.inFlightBytesMax
  }

  append(entry: Entry, bytes: number): void {
    assert(entry.index === this.#headIndex + 1, `entry ${entry.index} does not follow head ${this.#headIndex}`)
    assert(entry.term >= this.#headTerm, `entry ${entry.index} has a lower term than the one before it`)
    this.#headIndex = entry.index
    this.#headTerm = entry.term
    this.#open.push(entry)
    this.#openBytes += bytes
    this.#inFlightBytes += bytes
  }

  /** The open batch has reached its size and gains nothing by staying open. */
  isFull(): boolean {
    return this.#openBytes >= this.#limits.batchBytesMax || this.#open.length >= this.#limits.batchEntriesMax
  }

  canClose(): boolean {
    return this.#open.length > 0 && this.#puts < this.#limits.putsInFlightMax
  }

  /** Closes a batch of at most the limits' size; the rest stays open for the next one. */
  close(sizeOf: (entry: Entry) => number): Batch {
    assert(this.canClose(), "no batch to close or no PUT free")
    let count = 0
    let bytes = 0
    while (count < this.#open.length && count < this.#limits.batchEntriesMax && bytes < this.#limits.batchBytesMax) {
      bytes += sizeOf(this.#open[count]!)
      count++
    }
    const entries = count === this.#open.length ? this.#open : this.#open.slice(0, count)
    this.#open = count === this.#open.length ? [] : this.#open.slice(count)
    this.#openBytes -= bytes
    const last = entries[entries.length - 1]!
    const batch: Batch = { entries, first: entries[0]!.index, last: last.index, prevTerm: this.#closedTerm, bytes }
    assert(batch.first === this.#closedIndex + 1, "batches must be contiguous")
    this.#closedIndex = last.index
    this.#closedTerm = last.term
    this.#closed.push({ batch, stored: false })
    this.#puts++
    return batch
  }

  /** The chunk of this batch is known to be stored. */
  stored(batch: Batch): void {
    const found = this.#closed.find((b) => b.batch === batch)
    assert(found !== undefined && !found.stored, `batch ${batch.first}..${batch.last} was stored already`)
    found.stored = true
    this.#puts--
    for (const b of this.#closed) {
      if (!b.stored) break
      if (b.batch.last > this.#storedIndex) {
        assert(b.batch.first <= this.#storedIndex + 1, "the bucket would have a hole")
        this.#storedIndex = b.batch.last
      }
    }
  }

  /** Every entry from `first` (in flight) to the head: what goes into a chunk that has to end somewhere else. */
  entriesFrom(first: number): ReadonlyArray<Entry> {
    const entries: Array<Entry> = []
    for (const b of this.#closed) for (const entry of b.batch.entries) if (entry.index >= first) entries.push(entry)
    for (const entry of this.#open) entries.push(entry)
    assert(entries.length > 0 && entries[0]!.index === first, `entry ${first} is not in flight any more`)
    return entries
  }

  persisted(batch: Batch): void {
    assert(batch.first === this.#persistedIndex + 1, "persisted out of order")
    this.#persistedIndex = batch.last
  }

  /**
   * Up to where entries may be committed in mode store, when the lease allows (asked by the caller). Waits for the disk
   * too: what goes cold at commit is read from there. Entries of older terms only count under one of this term.
   */
  committable(term: number): number {
    const top = Math.min(this.#storedIndex, this.#persistedIndex)
    return top > this.#commitIndex && this.termOf(top) === term ? top : this.#commitIndex
  }

  /** Term of an entry in flight; the head's term where it is not in flight any more. */
  private termOf(index: number): number {
    for (const b of this.#closed) {
      if (index >= b.batch.first && index <= b.batch.last) return b.batch.entries[index - b.batch.first]!.term
    }
    return this.#headTerm
  }

  /** Moves the commit index to `upTo`, always the end of a batch, and hands over the batches that it covers. */
  commit(upTo: number): ReadonlyArray<Batch> {
    assert(upTo >= this.#commitIndex, "the commit index never moves back")
    assert(upTo <= this.#storedIndex && upTo <= this.#persistedIndex, "committed before it was stored and persisted")
    this.#commitIndex = upTo
    let count = 0
    while (count < this.#closed.length && this.#closed[count]!.batch.last <= upTo) count++
    const done = this.#closed.splice(0, count).map((b) => b.batch)
    for (const batch of done) this.#inFlightBytes -= batch.bytes
    return done
  }
}
