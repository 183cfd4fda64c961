/** One stream through `MemoryPeers`: two ends, each of which knows the other. Order is kept, whatever the delays. */
import { Code } from "../../core/wire/errors.ts"
import {
  type PeerError,
  PeerRefused,
  type PeerStreamIn,
  type PeerStreamOut,
  PeerUnreachable
} from "../../services/PeerNetwork.ts"
import { bufferBytesLimit, bufferBytesMax, messageBytesMax, silentTicksMax, tickMillis } from "./bounds.ts"
import type { MemoryNode, MemoryPeers, Passing } from "./MemoryPeers.ts"

interface Refusal {
  readonly code: number
  readonly reason: string
}

type Item = { readonly open: true } | { readonly bytes: Uint8Array } | { readonly refusal: Refusal | undefined }

const nothing: PeerStreamIn = { message: () => {}, drained: () => {}, closed: () => {} }

export class End implements PeerStreamOut {
  readonly #hub: MemoryPeers
  readonly #node: MemoryNode
  readonly #method: string
  readonly #isCaller: boolean
  #other: End | undefined
  #sink: PeerStreamIn
  /** On their way to this end, in the order of sending. */
  readonly #coming: Array<Item> = []
  /** Sent from here and not delivered yet. */
  #waitingBytes = 0
  #full = false
  /** Something of what goes out was dropped: nothing behind it arrives. */
  #holed = false
  #over = false
  #silentTicks = 0
  #stopTicking: () => void = () => {}

  private constructor(hub: MemoryPeers, node: MemoryNode, method: string, isCaller: boolean, sink: PeerStreamIn) {
    this.#hub = hub
    this.#node = node
    this.#method = method
    this.#isCaller = isCaller
    this.#sink = sink
    node.ends.add(this)
    this.#tick()
  }

  static open(hub: MemoryPeers, from: MemoryNode, to: MemoryNode, method: string, sink: PeerStreamIn): PeerStreamOut {
    const caller = new End(hub, from, method, true, sink)
    const callee = new End(hub, to, method, false, nothing)
    caller.#other = callee
    callee.#other = caller
    caller.#push("open", { open: true })
    return caller
  }

  send(bytes: Uint8Array): boolean {
    if (this.#over) return true
    if (bytes.length > messageBytesMax) {
      this.#break(`a message of ${bytes.length} bytes is longer than ${messageBytesMax}`)
      return true
    }
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > bufferBytesLimit) {
      this.#break(`more than ${bufferBytesLimit} bytes wait to be sent`)
      return true
    }
    if (this.#waitingBytes > bufferBytesMax) this.#full = true
    this.#push("message", { bytes: new Uint8Array(bytes) })
    return !this.#full
  }

  close(refusal?: Refusal): void {
    if (this.#over) return
    this.#push("close", { refusal: this.#isCaller ? undefined : refusal })
    this.#later(undefined)
  }

  /** The process of this end is gone. */
  lost(): void {
    if (this.#over) return
    this.#over = true
    this.#stopTicking()
    const other = this.#other!
    this.#hub.pass(this.#node, other.#node, "close", this.#method, () =>
      other.#finish(other.#unreachable("the connection broke"))
    )
  }

  #push(kind: Passing, item: Item): void {
    if (this.#holed) return
    const other = this.#other!
    const fate = this.#hub.decide(this.#node.nodeId, other.#node.nodeId, kind, this.#method)
    if (fate === "cut") return this.#break("the connection is cut", kind === "open")
    if (fate === "drop") {
      this.#holed = true
      return
    }
    other.#coming.push(item)
    // One delivery for each item, and each takes the oldest: a short delay overtakes no longer one.
    other.#node.after(fate === "deliver" ? 0 : fate.delayMillis, () => other.#take())
  }

  #take(): void {
    const item = this.#coming.shift()
    if (item === undefined || this.#over || !this.#node.alive) return
    this.#silentTicks = 0
    if ("bytes" in item) {
      this.#other!.#delivered(item.bytes.length)
      this.#sink.message(item.bytes)
    } else if ("refusal" in item) {
      const { refusal } = item
      this.#finish(refusal === undefined ? undefined : this.#refused(refusal))
    } else {
      const handler = this.#node.streamHandlers.get(this.#method)
      if (handler === undefined) {
        this.close({ code: Code.Unimplemented, reason: `${this.#method} is not served here` })
      } else this.#sink = handler(this.#other!.#node.nodeId, this)
    }
  }

  #delivered(bytes: number): void {
    this.#waitingBytes -= bytes
    if (!this.#full || this.#waitingBytes > bufferBytesMax / 2) return
    this.#full = false
    this.#node.after(0, () => {
      if (!this.#over && this.#node.alive) this.#sink.drained()
    })
  }

  #tick(): void {
    this.#stopTicking = this.#node.after(tickMillis, () => {
      if (this.#over || !this.#node.alive) return
      if (++this.#silentTicks > silentTicksMax) {
        return this.#finish(this.#unreachable(`nothing heard for ${silentTicksMax * tickMillis} ms`))
      }
      const other = this.#other!
      const passed = this.#hub.pass(this.#node, other.#node, "ping", this.#method, () => {
        other.#silentTicks = 0
      })
      if (passed) this.#tick()
      else this.#break("the connection is cut")
    })
  }

  /** Both ends learn of it. */
  #break(reason: string, unsent = false): void {
    this.#later(this.#unreachable(reason, unsent))
    const other = this.#other!
    other.#later(other.#unreachable(reason))
  }

  /** Nothing more is taken from now on; the end of it is told outside the call. */
  #later(error: PeerError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#stopTicking()
    this.#node.ends.delete(this)
    this.#node.after(0, () => {
      if (this.#node.alive) this.#sink.closed(error)
    })
  }

  #finish(error: PeerError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#stopTicking()
    this.#node.ends.delete(this)
    this.#sink.closed(error)
  }

  #unreachable(reason: string, unsent = false): PeerUnreachable {
    return new PeerUnreachable({ nodeId: this.#other!.#node.nodeId, method: this.#method, reason, unsent })
  }

  #refused(refusal: Refusal): PeerRefused {
    return new PeerRefused({ nodeId: this.#other!.#node.nodeId, method: this.#method, ...refusal })
  }
}
