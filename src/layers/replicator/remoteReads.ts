/**
 * Linearizable reads on a Replica (design 6.6): the Primary is asked for its commit index, in one call for all who came
 * before it was sent; a read may be asked again as often as its time allows, since asking changes nothing.
 */
import { errors } from "../../core/wire/errors.ts"
import { emptyBytes } from "../../core/log/record.ts"
import { decodeReadIndexAnswer } from "../../core/wire/peer/codecs.ts"
import type { NodeInfo } from "../../core/wire/peer/messages.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { PeerNetwork } from "../../services/PeerNetwork.ts"
import type { Waiter } from "../../services/Replicator.ts"
import { requestTimeoutMillis } from "./parts.ts"

const readsMax = 100_000
const callTimeoutMillis = 3_000

interface Read {
  readonly deadlineMillis: number
  readonly waiter: Waiter
}

export interface RemoteReadsParts {
  readonly peers: PeerNetwork["Service"]
  readonly nowMillis: () => number
  /** Undefined: nobody is known to reign. */
  readonly primary: () => NodeInfo | undefined
  readonly whenApplied: (index: number, deadlineMillis: number, waiter: Waiter) => void
}

/** Undefined: what came is no answer. */
const indexOf = (bytes: Uint8Array): number | undefined => {
  try {
    return decodeReadIndexAnswer(bytes).index
  } catch {
    return undefined
  }
}

export class RemoteReads {
  readonly #parts: RemoteReadsParts
  #waiting: Array<Read> = []
  #asking = false
  #stopped = false

  constructor(parts: RemoteReadsParts) {
    this.#parts = parts
  }

  read(waiter: Waiter): void {
    if (this.#stopped) return waiter.failed(errors.serverStopped)
    if (this.#waiting.length >= readsMax) return waiter.failed(errors.tooManyRequests)
    this.#waiting.push({ deadlineMillis: this.#parts.nowMillis() + requestTimeoutMillis, waiter })
    this.#ask()
  }

  /** A Primary is known, or some time has passed. */
  tick(): void {
    this.#expire()
    this.#ask()
  }

  /** This node reigns itself now: everybody who waits asks here. */
  takeAll(): ReadonlyArray<Waiter> {
    const all = this.#waiting
    this.#waiting = []
    return all.map((read) => read.waiter)
  }

  #ask(): void {
    const primary = this.#parts.primary()
    if (this.#asking || this.#waiting.length === 0 || primary === undefined) return
    const asked = this.#waiting
    this.#waiting = []
    this.#asking = true
    const to = { nodeId: primary.name.nodeId, address: primary.peerAddress }
    // Nobody waits longer than its own time because a call is under way.
    const left = Math.max(1, asked[0]!.deadlineMillis - this.#parts.nowMillis())
    this.#parts.peers.call(to, peerMethods.readIndex, emptyBytes, Math.min(callTimeoutMillis, left), {
      succeed: (bytes) => {
        const index = indexOf(bytes)
        if (index === undefined || this.#stopped) return this.#again(asked)
        this.#asking = false
        for (const { deadlineMillis, waiter } of asked) this.#parts.whenApplied(index, deadlineMillis, waiter)
        this.#ask()
      },
      fail: () => this.#again(asked)
    })
  }

  /** Asked again with the next tick, or when a Primary is known. */
  #again(asked: ReadonlyArray<Read>): void {
    this.#asking = false
    this.#waiting = asked.concat(this.#waiting)
    if (this.#stopped) this.stop()
    else this.#expire()
  }

  /** Nobody is told anything else from now on. */
  stop(): void {
    this.#stopped = true
    for (const waiter of this.takeAll()) waiter.failed(errors.serverStopped)
  }

  #expire(): void {
    const now = this.#parts.nowMillis()
    if (this.#waiting.length === 0 || this.#waiting[0]!.deadlineMillis > now) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const read of waiting) {
      if (read.deadlineMillis <= now) read.waiter.failed(errors.requestTimedOut)
      else this.#waiting.push(read)
    }
  }
}
