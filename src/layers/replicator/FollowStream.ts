/**
 * The synchronous half of following: one stream to the Primary. Decodes what comes, answers read rounds and lower terms
 * at once, and keeps Appends in order for the fiber that writes them (`replica.ts`). Bounded in bytes.
 */
import { Latch } from "effect"
import { offeredProblem } from "../../core/log/follow.ts"
import type { Entry, Position } from "../../core/log/record.ts"
import { Deque } from "../../core/mvcc/deque.ts"
import { decodePrimaryMessage, encodeReplicaMessage } from "../../core/wire/peer/codecs.ts"
import type { Append, Hello, PrimaryMessage, ReplicaMessage, TooFarBehind } from "../../core/wire/peer/messages.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import {
  type PeerAddress,
  type PeerError,
  type PeerNetwork,
  PeerRefused,
  type PeerStreamIn,
  type PeerStreamOut
} from "../../services/PeerNetwork.ts"

/** The Primary keeps below 8 MiB in flight, plus the message that passes it. */
const queueBytesMax = 16 * 1024 * 1024
const messageOverheadBytes = 64
/** Appends that go to the disk in one transaction. */
const runAppendsMax = 64
const runBytesMax = 8 * 1024 * 1024
/** gRPC's: InvalidArgument, ResourceExhausted. */
const invalid = 3
const exhausted = 8

/** Appends that follow each other, as one. */
export interface Run {
  readonly kind: "run"
  readonly term: number
  readonly prev: Position
  readonly entries: ReadonlyArray<Entry>
  readonly commitIndex: number
  readonly storedIndex: number
}

export interface FollowStreamParts {
  readonly fenced: () => number
  readonly nowMillis: () => number
  /** Something came of this term: the Primary is there. */
  readonly heard: (message: PrimaryMessage) => void
}

interface Queued {
  readonly message: Append | TooFarBehind
  readonly bytes: number
}

export class FollowStream implements PeerStreamIn {
  /** Opened when there is something to do: a message, the end, a fence. */
  readonly wake = Latch.makeUnsafe(false)
  /** Opened when the Primary lets this node go, or the stream is over. */
  readonly mayLeave = Latch.makeUnsafe(false)
  /** Why this side has given it up. */
  stopped: string | undefined
  lastHeardMillis: number
  #term: number
  #over = false
  #error: PeerError | undefined
  #out: PeerStreamOut | undefined
  #choked = false
  /** The newest receipt that the full buffer did not take. */
  #unsent: ReplicaMessage | undefined
  readonly #queue = new Deque<Queued>()
  #queueBytes = 0
  readonly #to: PeerAddress
  readonly #parts: FollowStreamParts

  constructor(to: PeerAddress, term: number, parts: FollowStreamParts) {
    this.#to = to
    this.#term = term
    this.#parts = parts
    this.lastHeardMillis = parts.nowMillis()
  }

  /** The highest term that was spoken on this stream, or that it was opened for. */
  get term(): number {
    return this.#term
  }
  /** Over, by whichever side; what was received before is still in the queue. */
  get over(): boolean {
    return this.#over
  }
  get error(): PeerError | undefined {
    return this.#error
  }

  open(peers: PeerNetwork["Service"], hello: Hello): void {
    this.#out = peers.open(this.#to, peerMethods.follow, this)
    if (this.#over) this.#out.close()
    else this.send(hello)
  }

  message(bytes: Uint8Array): void {
    if (this.#over) return
    let message: PrimaryMessage
    try {
      message = decodePrimaryMessage(bytes)
    } catch (error) {
      return this.#fail(invalid, error instanceof Error ? error.message : String(error))
    }
    this.lastHeardMillis = this.#parts.nowMillis()
    if (message.kind === "mayLeave") {
      this.mayLeave.openUnsafe()
      return
    }
    if (message.term < this.#parts.fenced()) return this.refuse()
    // From before the Primary's own last election, or it does not know of it yet.
    if (message.term < this.#term) return
    this.#term = message.term
    this.#parts.heard(message)
    if (message.kind === "round") return this.send({ kind: "confirm", term: message.term, round: message.round })
    if (message.kind === "append") {
      const problem = offeredProblem(message.term, message)
      if (problem !== undefined) return this.#fail(invalid, problem)
    }
    const size = bytes.length + messageOverheadBytes
    if (this.#queueBytes + size > queueBytesMax) {
      return this.#fail(exhausted, `more than ${queueBytesMax} bytes wait for the disk`)
    }
    this.#queueBytes += size
    this.#queue.push({ message, bytes: size })
    this.wake.openUnsafe()
  }

  drained(): void {
    this.#choked = false
    const unsent = this.#unsent
    this.#unsent = undefined
    if (unsent !== undefined) this.send(unsent)
  }

  closed(error: PeerError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#error = error
    this.wake.openUnsafe()
    this.mayLeave.openUnsafe()
  }

  /** What has to be done next, in the order of the wire; Appends that follow each other come as one. */
  next(): Run | TooFarBehind | undefined {
    while (this.#queue.length > 0) {
      const { message } = this.#shift()
      if (message.term < this.#term) continue
      if (message.kind === "tooFarBehind") return message
      return this.#gather(message)
    }
    return undefined
  }

  #shift(): Queued {
    const queued = this.#queue.shift()
    this.#queueBytes -= queued.bytes
    return queued
  }

  #gather(first: Append): Run {
    const { prev, term } = first
    let { commitIndex, storedIndex } = first
    const parts = [first.entries]
    let end: Position = first.entries[first.entries.length - 1] ?? prev
    for (let bytes = 0; this.#queue.length > 0 && parts.length < runAppendsMax && bytes < runBytesMax;) {
      const { message } = this.#queue.at(0)
      if (message.kind !== "append" || message.term !== term) break
      if (message.prev.index !== end.index || message.prev.term !== end.term) break
      bytes += this.#shift().bytes
      parts.push(message.entries)
      end = message.entries[message.entries.length - 1] ?? end
      commitIndex = Math.max(commitIndex, message.commitIndex)
      storedIndex = Math.max(storedIndex, message.storedIndex)
    }
    const entries = parts.length === 1 ? first.entries : parts.flat()
    return { kind: "run", term, prev, entries, commitIndex, storedIndex }
  }

  send(message: ReplicaMessage): void {
    if (this.#over || this.#out === undefined) return
    // A later receipt says all that an earlier one does.
    if (this.#choked && message.kind === "receipt") this.#unsent = message
    else if (!this.#out.send(encodeReplicaMessage(message))) this.#choked = true
  }

  refuse(): void {
    this.send({ kind: "refusal", term: this.#parts.fenced() })
  }

  /** This side is done with it. */
  stop(why: string): void {
    this.stopped ??= why
    this.wake.openUnsafe()
  }

  close(): void {
    if (this.#over) return
    this.#over = true
    this.#out?.close()
    this.wake.openUnsafe()
    this.mayLeave.openUnsafe()
  }

  #fail(code: number, reason: string): void {
    const { nodeId } = this.#to
    this.#queueClear()
    this.#out?.close({ code, reason })
    this.closed(new PeerRefused({ nodeId, method: peerMethods.follow, code, reason }))
  }

  #queueClear(): void {
    this.#queue.clear()
    this.#queueBytes = 0
  }
}
