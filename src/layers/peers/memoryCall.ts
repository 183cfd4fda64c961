/** One unary call through `MemoryPeers`, both ends of it. */
import { Code } from "../../core/wire/errors.ts"
import { type PeerAnswer, PeerRefused, type PeerReply, PeerUnreachable } from "../../services/PeerNetwork.ts"
import type { MemoryNode, MemoryPeers } from "./MemoryPeers.ts"

type Outcome =
  | { readonly response: Uint8Array }
  | { readonly code: number; readonly reason: string }
  | { readonly unreachable: string; readonly unsent: boolean }

export class MemoryCall {
  readonly #hub: MemoryPeers
  readonly #from: MemoryNode
  readonly #to: MemoryNode
  readonly #method: string
  readonly #reply: PeerReply
  readonly #stopTimer: () => void
  #over = false
  #arrived = false
  #answered = false
  #cancelled: (() => void) | undefined

  constructor(
    hub: MemoryPeers,
    from: MemoryNode,
    to: MemoryNode,
    method: string,
    request: Uint8Array,
    timeoutMillis: number,
    reply: PeerReply
  ) {
    this.#hub = hub
    this.#from = from
    this.#to = to
    this.#method = method
    this.#reply = reply
    this.#stopTimer = from.after(timeoutMillis, () => {
      this.#finish({ unreachable: `no answer within ${timeoutMillis} ms`, unsent: false })
      this.#cancel()
    })
    from.calls.add(this)
    to.calls.add(this)
    // Not `slice`, which for a Buffer copies nothing.
    const bytes = new Uint8Array(request)
    if (!hub.pass(from, to, "request", method, () => this.#arrive(bytes))) {
      this.#later({ unreachable: "the connection is cut", unsent: true })
    }
  }

  giveUp(): void {
    if (this.#over) return
    this.#end()
    this.#cancel()
  }

  /** The process of one of the two is gone. */
  lost(node: MemoryNode): void {
    if (node === this.#from) {
      this.#end()
      this.#cancel()
    } else {
      this.#hub.pass(this.#to, this.#from, "close", this.#method, () =>
        this.#finish({ unreachable: "the connection broke", unsent: !this.#arrived })
      )
    }
  }

  #arrive(request: Uint8Array): void {
    if (this.#over) return
    this.#arrived = true
    const handler = this.#to.handlers.get(this.#method)
    if (handler === undefined) {
      return this.#answer({ code: Code.Unimplemented, reason: `${this.#method} is not served here` })
    }
    const answer: PeerAnswer = {
      succeed: (response) => this.#answer({ response: new Uint8Array(response) }),
      fail: (code, reason) => this.#answer({ code, reason }),
      onCancelled: (listener) => {
        this.#cancelled = listener
      }
    }
    handler(request, this.#from.nodeId, answer)
  }

  #answer(outcome: Outcome): void {
    if (this.#answered || !this.#to.alive) return
    this.#answered = true
    this.#to.calls.delete(this)
    if (this.#over) return
    if (!this.#hub.pass(this.#to, this.#from, "answer", this.#method, () => this.#finish(outcome))) {
      this.#later({ unreachable: "the connection was cut", unsent: false })
    }
  }

  #later(outcome: Outcome): void {
    this.#from.after(0, () => {
      if (this.#from.alive) this.#finish(outcome)
    })
  }

  #finish(outcome: Outcome): void {
    if (this.#over) return
    this.#end()
    const common = { nodeId: this.#to.nodeId, method: this.#method }
    if ("response" in outcome) this.#reply.succeed(outcome.response)
    else if ("code" in outcome) this.#reply.fail(new PeerRefused({ ...common, ...outcome }))
    else {
      this.#reply.fail(new PeerUnreachable({ ...common, reason: outcome.unreachable, unsent: outcome.unsent }))
    }
  }

  #end(): void {
    this.#over = true
    this.#stopTimer()
    this.#from.calls.delete(this)
    if (!this.#arrived) this.#to.calls.delete(this)
  }

  /** Tells the callee that nobody waits any more. */
  #cancel(): void {
    this.#hub.pass(this.#from, this.#to, "cancel", this.#method, () => {
      this.#to.calls.delete(this)
      if (this.#answered) return
      this.#answered = true
      this.#cancelled?.()
    })
  }
}
