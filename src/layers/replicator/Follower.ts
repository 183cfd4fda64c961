/**
 * One replica's stream, seen from the Primary: finds where the two logs meet, sends what follows, and takes receipts.
 * Entered by messages, by commits and by the heartbeat; at most one read of the disk is under way.
 */
import type { NodeName } from "../../core/election/arbiter.ts"
import type { Batch, Pipeline } from "../../core/log/pipeline.ts"
import { emptyBytes, type Entry, type Position, positionZero } from "../../core/log/record.ts"
import { Deque } from "../../core/mvcc/deque.ts"
import { encodeAppend, encodeEntries, encodePrimaryMessage } from "../../core/wire/peer/codecs.ts"
import type { ReplicaMessage } from "../../core/wire/peer/messages.ts"
import type { PeerStreamOut } from "../../services/PeerNetwork.ts"

/** Sent and not on the replica's disk yet. */
const inFlightBytesMax = 8 * 1024 * 1024
const inFlightMessagesMax = 4_096
const diskEntries = 1_024
const diskBytes = 1024 * 1024

/** What all followers of a reign share. */
export interface FollowersParts {
  readonly term: number
  readonly pipeline: Pipeline
  readonly nowMillis: () => number
  /** First index from which the log is complete on this disk. */
  readonly firstIndex: () => number
  /** Reads of the log on the disk; the callback comes later. */
  readonly entriesFrom: (index: number, entries: number, bytes: number, use: (e: ReadonlyArray<Entry>) => void) => void
  readonly termOnDisk: (index: number, use: (term: number | undefined) => void) => void
  /** The same batch goes to several replicas: encoded once. */
  readonly encoded: (batch: Batch) => Uint8Array
  readonly onReceipt: (name: NodeName, match: number) => void
  readonly onConfirm: (name: NodeName, round: number) => void
  readonly onRefused: (by: NodeName, term: number) => void
}

export const makeEncoded = (): ((batch: Batch) => Uint8Array) => {
  const kept: Array<{ readonly first: number; readonly last: number; readonly bytes: Uint8Array }> = []
  let at = 0
  return ({ entries, first, last }) => {
    for (const known of kept) if (known.first === first && known.last === last) return known.bytes
    const bytes = encodeEntries(entries)
    kept[at++ % 4] = { first, last, bytes }
    return bytes
  }
}

export class Follower {
  readonly name: NodeName
  readonly #parts: FollowersParts
  readonly #out: PeerStreamOut
  readonly #sent = new Deque<{ readonly last: number; readonly bytes: number }>()
  #inFlightBytes = 0
  /** The replica's log agrees up to the entry before `next`. */
  #matched = false
  #next = 0
  #blocked = false
  #reading = false
  #over = false
  #commitSent = 0
  #lastAppendMillis = Number.NEGATIVE_INFINITY
  leaving = false

  constructor(name: NodeName, out: PeerStreamOut, parts: FollowersParts) {
    this.name = name
    this.#out = out
    this.#parts = parts
  }

  get over(): boolean {
    return this.#over
  }
  get matched(): boolean {
    return this.#matched
  }

  /** Its log ends here, it says: is this an entry of ours? */
  begin(last: Position): void {
    const { pipeline } = this.#parts
    pipeline.followed()
    const { head } = pipeline
    this.#ask(last.index <= head.index ? last : { index: head.index, term: 0 })
  }

  message(message: ReplicaMessage): void {
    const { term } = this.#parts
    switch (message.kind) {
      case "hello":
        return
      case "leaving":
        this.leaving = true
        return
      case "refusal":
        this.#parts.onRefused(this.name, message.term)
        return
      case "confirm":
        if (message.term === term) this.#parts.onConfirm(this.name, message.round)
        return
      case "mismatch":
        if (message.term === term && !this.#matched && !this.#reading) this.#ask(message.at)
        return
      case "receipt":
        if (message.term === term) this.#receipt(message.match)
    }
  }

  #receipt(match: number): void {
    if (!this.#matched) {
      // The answer to the question whether the position before `next` fits.
      if (match !== this.#next - 1) return
      this.#matched = true
    }
    while (this.#sent.length > 0 && this.#sent.at(0).last <= match) this.#inFlightBytes -= this.#sent.shift().bytes
    this.#parts.onReceipt(this.name, match)
    this.pump()
  }

  /** Asks whether the entry at the position, or ours at its index, is where both logs meet. */
  #ask(at: Position): void {
    if (at.index === 0) return this.#question(positionZero)
    this.#termAt(at.index, (term) => {
      if (term === undefined) return this.#tooFarBehind()
      this.#question({ index: at.index, term })
    })
  }

  #question(prev: Position): void {
    if (prev.index + 1 < this.#parts.firstIndex() && prev.index + 1 < this.#parts.pipeline.firstInMemory) {
      return this.#tooFarBehind()
    }
    this.#next = prev.index + 1
    this.#send(encodeAppend({ ...this.#head(), prev }, emptyBytes))
  }

  #tooFarBehind(): void {
    const { term } = this.#parts
    this.#send(encodePrimaryMessage({ kind: "tooFarBehind", term, firstIndex: this.#parts.firstIndex() }))
    this.#out.close()
    this.#over = true
  }

  #termAt(index: number, use: (term: number | undefined) => void): void {
    const term = this.#parts.pipeline.termAt(index)
    if (term !== undefined) return use(term)
    this.#reading = true
    this.#parts.termOnDisk(index, (found) => {
      this.#reading = false
      if (!this.#over) use(found)
    })
  }

  /** What every Append begins with; the replica answers each with a receipt, which says that it is there. */
  #head(): { term: number; commitIndex: number; storedIndex: number } {
    const { pipeline, term } = this.#parts
    this.#commitSent = pipeline.commitIndex
    this.#lastAppendMillis = this.#parts.nowMillis()
    return { term, commitIndex: pipeline.commitIndex, storedIndex: pipeline.storedIndex }
  }

  #send(bytes: Uint8Array): void {
    if (this.#over) return
    if (!this.#out.send(bytes)) this.#blocked = true
  }

  /** Sends what it lacks, as far as the window allows. */
  pump(): void {
    const { pipeline } = this.#parts
    while (
      this.#matched &&
      !this.#over &&
      !this.#blocked &&
      !this.#reading &&
      this.#inFlightBytes < inFlightBytesMax &&
      this.#sent.length < inFlightMessagesMax &&
      this.#next <= pipeline.closedIndex
    ) {
      const batch = pipeline.after(this.#next - 1)
      if (batch === undefined) return this.#fromDisk()
      this.#batch({ index: this.#next - 1, term: batch.prevTerm }, batch.last, this.#parts.encoded(batch))
    }
  }

  #batch(prev: Position, last: number, entries: Uint8Array): void {
    this.#next = last + 1
    this.#sent.push({ last, bytes: entries.length })
    this.#inFlightBytes += entries.length
    this.#send(encodeAppend({ ...this.#head(), prev }, entries))
  }

  #fromDisk(): void {
    const from = this.#next
    if (from < this.#parts.firstIndex()) return this.#tooFarBehind()
    this.#termAt(from - 1, (term) => {
      if (term === undefined) return this.#tooFarBehind()
      this.#reading = true
      this.#parts.entriesFrom(from, diskEntries, diskBytes, (entries) => {
        this.#reading = false
        if (this.#over) return
        // A compaction has come between.
        if (entries.length === 0) return this.#tooFarBehind()
        this.#batch({ index: from - 1, term }, entries[entries.length - 1]!.index, encodeEntries(entries))
        this.pump()
      })
    })
  }

  drained(): void {
    this.#blocked = false
    this.pump()
    this.committed()
  }

  /** The commit index has moved: whoever has nothing else to hear is told. */
  committed(): void {
    const { commitIndex } = this.#parts.pipeline
    if (!this.#matched || this.#blocked || this.#reading || this.#commitSent >= commitIndex) return
    this.#heartbeat()
  }

  /** Nothing was said for so long: says that this node reigns, and up to where is committed. */
  tick(intervalMillis: number): void {
    if (this.#over || this.#blocked || this.#parts.nowMillis() - this.#lastAppendMillis < intervalMillis) return
    if (this.#matched && this.#parts.pipeline.termAt(this.#next - 1) !== undefined) this.#heartbeat()
    // The logs have not met yet, or the disk is asked: it hears that this node is there, for a round that is none.
    else this.round(0)
  }

  #heartbeat(): void {
    const index = this.#next - 1
    const term = this.#parts.pipeline.termAt(index)
    // A replica that is so far behind hears it with the next entries.
    if (term !== undefined) this.#send(encodeAppend({ ...this.#head(), prev: { index, term } }, emptyBytes))
  }

  /** Asks it to confirm the term. */
  round(round: number): void {
    if (!this.#over) this.#send(encodePrimaryMessage({ kind: "round", term: this.#parts.term, round }))
  }

  mayLeave(): void {
    this.#send(encodePrimaryMessage({ kind: "mayLeave" }))
  }

  /** The stream is over, from either side. */
  close(refusal?: { readonly code: number; readonly reason: string }): void {
    if (this.#over) return
    this.#over = true
    this.#out.close(refusal)
  }
}
