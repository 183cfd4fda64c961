/**
 * The Primary's log between append and bucket (design 5): the open batch, what is on its way to the disk, to the replicas
 * and to the bucket, and how far each has come. No clock, no I/O: the Replicator's layer carries out what this decides.
 *
 * Order: entries are appended at head and closed into batches; batches go to the disk in order; chunks go to the bucket
 * in order but may be stored out of order, the stored index only moves over contiguous ones. Entries stay in memory until
 * they are committed, on the disk and in the bucket, and a while longer for replicas that are a little behind, once there
 * are any.
 */
import { assert } from "../assert.ts"
import { Deque } from "../mvcc/deque.ts"
import type { Entry, Position } from "./record.ts"

export interface PipelineLimits {
  /** A batch closes after the entry that passes this; a chunk too. */
  readonly batchBytesMax: number
  readonly batchEntriesMax: number
  readonly putsInFlightMax: number
  /** Above this many bytes between append and commit new writes are refused. */
  readonly inFlightBytesMax: number
  /** Entries that nobody waits for any more are kept for replicas up to so many bytes. */
  readonly tailBytesMax: number
}

export const defaultPipelineLimits: PipelineLimits = {
  batchBytesMax: 1024 * 1024,
  batchEntriesMax: 1024,
  putsInFlightMax: 4,
  inFlightBytesMax: 64 * 1024 * 1024,
  tailBytesMax: 32 * 1024 * 1024
}

/** Contiguous entries: of a batch, in one transaction on the disk and in one message to the replicas; or of a chunk. */
export interface Batch {
  readonly entries: ReadonlyArray<Entry>
  readonly first: number
  readonly last: number
  /** Term of the entry before `first`. */
  readonly prevTerm: number
  readonly bytes: number
}

export interface Chunk extends Batch {
  stored: boolean
}

/** Where the log stands when a term begins. */
export interface PipelineStart {
  readonly head: Position
  /** The last entry that is committed. */
  readonly committed: Position
  /** Entries above it, up to the head; they are on the disk. */
  readonly uncommitted: ReadonlyArray<Entry>
  /** Every index ≤ this is known to be in the bucket. */
  readonly storedIndex: number
}

export class Pipeline {
  readonly #limits: PipelineLimits
  readonly #sizeOf: (entry: Entry) => number
  /** Entries `#first` … head. */
  readonly #entries = new Deque<Entry>()
  readonly #sizes = new Deque<number>()
  #first: number
  /** Term of the entry before `#first`. */
  #baseTerm: number
  #tailBytes = 0
  #isFollowed = false
  #head: Position
  #openBytes = 0
  #closedIndex: number
  #persistedIndex: number
  /** Chunks on their way, ascending. */
  readonly #chunks: Array<Chunk> = []
  #sentIndex: number
  #storedIndex: number
  #commitIndex: number
  #inFlightBytes = 0
  #bufferedBytes = 0

  constructor(start: PipelineStart, sizeOf: (entry: Entry) => number, limits: PipelineLimits = defaultPipelineLimits) {
    const { committed, head, storedIndex, uncommitted } = start
    const commitIndex = committed.index
    assert(commitIndex + uncommitted.length === head.index, "the uncommitted entries end at the head")
    assert(storedIndex <= head.index, "the stored index is above the head")
    assert(storedIndex >= commitIndex, "what is committed when a term begins is in the bucket")
    this.#limits = limits
    this.#sizeOf = sizeOf
    this.#first = commitIndex + 1
    this.#baseTerm = committed.term
    this.#head = head
    for (const entry of uncommitted) this.#keep(entry, sizeOf(entry))
    this.#closedIndex = this.#persistedIndex = head.index
    this.#sentIndex = this.#storedIndex = storedIndex
    this.#commitIndex = commitIndex
  }

  get head(): Position {
    return this.#head
  }
  get headIndex(): number {
    return this.#head.index
  }
  get closedIndex(): number {
    return this.#closedIndex
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
  /** Bytes between append and commit. */
  get inFlightBytes(): number {
    return this.#inFlightBytes
  }
  /** Bytes that are committed and not known to be in the bucket. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }
  get putsInFlight(): number {
    return this.#chunks.length
  }
  get openEntries(): number {
    return this.#head.index - this.#closedIndex
  }
  /** First index that is in memory; entries below are on the disk only. */
  get firstInMemory(): number {
    return this.#first
  }

  /** True: one more entry of any legal size may be appended. */
  hasRoom(): boolean {
    return this.#inFlightBytes < this.#limits.inFlightBytesMax
  }

  append(entry: Entry): void {
    assert(entry.index === this.#head.index + 1, `entry ${entry.index} does not follow head ${this.#head.index}`)
    assert(entry.term >= this.#head.term, `entry ${entry.index} has a lower term than the one before it`)
    const bytes = this.#sizeOf(entry)
    this.#head = { index: entry.index, term: entry.term }
    this.#openBytes += bytes
    this.#keep(entry, bytes)
  }

  #keep(entry: Entry, bytes: number): void {
    this.#entries.push(entry)
    this.#sizes.push(bytes)
    this.#inFlightBytes += bytes
    this.#tailBytes += bytes
  }

  /** The open batch has reached its size and gains nothing by staying open. */
  isFull(): boolean {
    return this.#openBytes >= this.#limits.batchBytesMax || this.openEntries >= this.#limits.batchEntriesMax
  }

  hasPutFree(): boolean {
    return this.#chunks.length < this.#limits.putsInFlightMax
  }

  /** Closes a batch of at most the limits' size; the rest stays open for the next one. Undefined: nothing is open. */
  close(): Batch | undefined {
    if (this.openEntries === 0) return undefined
    const batch = this.#cut(this.#closedIndex + 1, this.#head.index)
    this.#closedIndex = batch.last
    this.#openBytes -= batch.bytes
    return batch
  }

  /** Entries from `first` to at most `last`, as many as the limits allow; they must be in memory. */
  #cut(first: number, last: number): Batch {
    let index = first
    let bytes = 0
    const entries: Array<Entry> = []
    while (index <= last && entries.length < this.#limits.batchEntriesMax && bytes < this.#limits.batchBytesMax) {
      const at = index - this.#first
      entries.push(this.#entries.at(at))
      bytes += this.#sizes.at(at)
      index++
    }
    return { entries, first, last: index - 1, prevTerm: this.termAt(first - 1)!, bytes }
  }

  /** The entries that follow `index` in a message to a replica: closed ones, in memory; undefined: none, or not in memory. */
  after(index: number): Batch | undefined {
    return index >= this.#closedIndex || index + 1 < this.#first ? undefined : this.#cut(index + 1, this.#closedIndex)
  }

  /** Term of an entry in memory, or of the one before the first; undefined elsewhere. */
  termAt(index: number): number | undefined {
    if (index === this.#head.index) return this.#head.term
    if (index === this.#first - 1) return this.#baseTerm
    if (index < this.#first || index > this.#head.index) return undefined
    return this.#entries.at(index - this.#first).term
  }

  persisted(last: number): void {
    assert(last > this.#persistedIndex && last <= this.#closedIndex, "persisted out of order")
    this.#persistedIndex = last
    this.#trim()
  }

  /** The next chunk for the bucket, of entries up to `limit`; undefined: none, or no PUT is free. */
  nextChunk(limit: number): Chunk | undefined {
    const last = Math.min(limit, this.#closedIndex)
    if (this.#sentIndex >= last || !this.hasPutFree()) return undefined
    const chunk: Chunk = { ...this.#cut(this.#sentIndex + 1, last), stored: false }
    this.#sentIndex = chunk.last
    this.#chunks.push(chunk)
    return chunk
  }

  /** The entries of this chunk are known to be in the bucket. */
  stored(chunk: Chunk): void {
    assert(this.#chunks.includes(chunk) && !chunk.stored, `chunk ${chunk.first}..${chunk.last} was stored already`)
    chunk.stored = true
    while (this.#chunks.length > 0 && this.#chunks[0]!.stored) {
      const done = this.#chunks.shift()!
      assert(done.first === this.#storedIndex + 1, "the bucket would have a hole")
      this.#moveStored(done.last)
    }
    this.#trim()
  }

  #moveStored(index: number): void {
    for (let i = this.#storedIndex + 1; i <= Math.min(index, this.#commitIndex); i++) {
      this.#bufferedBytes -= this.#sizes.at(i - this.#first)
    }
    this.#storedIndex = index
  }

  /** Every entry from `first` to the head: what goes into a chunk that has to end somewhere else. */
  entriesFrom(first: number, last: number): ReadonlyArray<Entry> {
    const entries: Array<Entry> = []
    for (let index = first; index <= last; index++) entries.push(this.#entries.at(index - this.#first))
    return entries
  }

  /** Moves the commit index. */
  commit(upTo: number): void {
    assert(
      upTo >= this.#commitIndex && upTo <= this.#persistedIndex,
      "committed out of order, or before it is on the disk"
    )
    for (let i = this.#commitIndex + 1; i <= upTo; i++) {
      const bytes = this.#sizes.at(i - this.#first)
      this.#inFlightBytes -= bytes
      if (i > this.#storedIndex) this.#bufferedBytes += bytes
    }
    this.#commitIndex = upTo
    this.#trim()
  }

  /** Somebody follows: from here on a tail is kept. */
  followed(): void {
    this.#isFollowed = true
  }

  /** Lets go of what everybody has. */
  #trim(): void {
    const tailBytesMax = this.#isFollowed ? this.#limits.tailBytesMax : 0
    const needed = Math.min(this.#storedIndex, this.#commitIndex, this.#persistedIndex)
    while (this.#first <= needed && this.#tailBytes > tailBytesMax) {
      this.#baseTerm = this.#entries.shift().term
      this.#tailBytes -= this.#sizes.shift()
      this.#first++
    }
  }
}
