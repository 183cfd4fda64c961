/**
 * Calls on their way to the Primary: held in order while there is none, sent, and answered when this node has applied
 * what the answer shows. Owns their bounds and their deadlines.
 */
import type { CallContext } from "../../services/ClientApi.ts"
import type { PrimaryCall } from "../../services/Forwarding.ts"
import type { PeerError } from "../../services/PeerNetwork.ts"
import type { Replicator } from "../../services/Replicator.ts"
import { type Code, type EtcdError, errors, etcdError } from "../../core/wire/errors.ts"
import { decodeForwardAnswer, encodeForwardRequest } from "../../core/wire/peer/forward.ts"
import type { ForwardAnswer, NodeInfo } from "../../core/wire/peer/messages.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import { MalformedMessage } from "../../core/wire/protobuf.ts"
import { withMemberId } from "../../core/wire/responseHeader.ts"
import { addressOf, answerMillis, Avoided, isUntouched, requestMillis, type Surroundings } from "./surroundings.ts"

/** The longest time a timer can be set to: 24 days. */
const lateMillis = 0x7fffffff

/** What of a caller's metadata the Primary looks at. */
const metadataNames = ["token", "authorization"] as const

export interface CallRelayOptions extends Surroundings {
  readonly whenApplied: Replicator["Service"]["whenApplied"]
  /** Of this node. */
  readonly memberId: () => bigint
  readonly callsMax: number
  readonly bytesMax: number
}

interface Pending {
  readonly call: PrimaryCall
  /** In the order of arrival. */
  readonly nth: number
  readonly sinceMillis: number
  state: "held" | "sent" | "applying" | "over"
  /** How often it was sent: what an earlier time brings is not listened to. */
  sent: number
  /** Where it was sent to, and how to give that up. */
  to: string
  cancel: (() => void) | undefined
  /** Its caller has gone; `listens`: that will be told. */
  abandoned: boolean
  listens: boolean
  applyUntilMillis: number
}

const isOver = (pending: Pending): boolean => pending.state === "over"

const metadataOf = (context: CallContext): ReadonlyArray<readonly [string, string]> =>
  metadataNames.flatMap((name) => {
    const value = context.metadata(name)
    return value === undefined ? [] : [[name, value] as const]
  })

export class CallRelay {
  readonly #options: CallRelayOptions
  readonly #avoided = new Avoided()
  #nth = 0
  /** Everything that is not answered. */
  readonly #all = new Set<Pending>()
  #bytes = 0
  #held = new Set<Pending>()
  /** Some were put back: the order has to be made again. */
  #mixed = false
  /** In the order of their deadlines. */
  readonly #applying = new Set<Pending>()
  #going = false

  constructor(options: CallRelayOptions) {
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#all.size === 0
  }

  run(call: PrimaryCall): void {
    // From another node, which has asked whether this one is the Primary.
    if (call.context.forwarded === true) call.here(call.reply.fail)
    else if (this.#options.isActive() && this.#held.size === 0) this.#here(call)
    else this.#admit(call)
  }

  #here(call: PrimaryCall): void {
    call.here((error) => {
      // Nothing has happened: it ceased to be the Primary before it came to it.
      if (error === errors.noLeader && !this.#options.isActive()) this.#admit(call)
      else call.reply.fail(error)
    })
  }

  #admit(call: PrimaryCall): void {
    const { bytesMax, callsMax, now, wake } = this.#options
    const refused = call.check()
    if (refused !== undefined) return call.reply.fail(refused)
    if (this.#all.size >= callsMax || this.#bytes + call.request.length > bytesMax) {
      return call.reply.fail(errors.tooManyRequests)
    }
    const pending: Pending = {
      call,
      nth: this.#nth++,
      sinceMillis: now(),
      state: "held",
      sent: 0,
      to: "",
      cancel: undefined,
      abandoned: false,
      listens: false,
      applyUntilMillis: 0
    }
    this.#all.add(pending)
    this.#bytes += call.request.length
    this.#held.add(pending)
    wake()
    this.#go()
    if (isOver(pending)) return
    // Whoever has gone does not write any more: what waits for a Primary is dropped with its caller.
    if (pending.state === "held" || call.rules.heldLong || call.rules.answersLate) this.#listen(pending)
  }

  /** Role or view have changed. */
  changed(): void {
    this.#avoided.clear()
    const { isActive, primary } = this.#options
    const now = isActive() ? "" : primary()?.name.nodeId
    if (now !== undefined) {
      for (const pending of this.#all) {
        if (pending.state !== "sent" || pending.to === now || !pending.call.rules.repeatable) continue
        pending.cancel?.()
        this.#putBack(pending)
      }
    }
    this.#go()
  }

  tick(): void {
    const now = this.#options.now()
    for (const pending of this.#held) {
      const { heldLong, withoutPrimary } = pending.call.rules
      if (heldLong || now - pending.sinceMillis < requestMillis) continue
      this.#fail(pending, withoutPrimary)
    }
    for (const pending of this.#applying) {
      if (pending.applyUntilMillis > now) break
      this.#fail(pending, errors.requestTimedOut)
    }
    this.#go()
  }

  /** The node stops: what was not sent has not happened. */
  stop(): void {
    for (const pending of [...this.#all]) {
      pending.cancel?.()
      this.#fail(pending, pending.state === "held" ? errors.serverStopped : errors.requestTimedOut)
    }
  }

  /** Runs or sends what is held, in order, as long as there is a Primary. */
  #go(): void {
    if (this.#going) return
    this.#going = true
    const { isActive, now, primary } = this.#options
    if (this.#mixed) {
      this.#held = new Set([...this.#held].sort((a, b) => a.nth - b.nth))
      this.#mixed = false
    }
    for (const pending of this.#held) {
      if (isActive()) {
        this.#finish(pending)
        this.#here(pending.call)
        continue
      }
      const to = primary()
      if (to === undefined || this.#avoided.has(to.name.nodeId, now())) break
      this.#held.delete(pending)
      this.#send(pending, to)
    }
    this.#going = false
  }

  #send(pending: Pending, to: NodeInfo): void {
    const { method, request, context, rules } = pending.call
    const { commonName, identity } = context
    const nth = ++pending.sent
    const live = (): boolean => pending.state === "sent" && pending.sent === nth
    pending.state = "sent"
    pending.to = to.name.nodeId
    const cancel = this.#options.network.call(
      addressOf(to),
      peerMethods.forward,
      encodeForwardRequest({ method, request, identity, commonName, metadata: metadataOf(context) }),
      rules.answersLate ? lateMillis : answerMillis,
      {
        succeed: (bytes) => {
          if (live()) this.#answered(pending, bytes)
        },
        fail: (error) => {
          if (live()) this.#lost(pending, error)
        }
      }
    )
    if (live()) pending.cancel = cancel
  }

  #lost(pending: Pending, error: PeerError): void {
    const { heldLong, repeatable } = pending.call.rules
    const now = this.#options.now()
    const late = !heldLong && now - pending.sinceMillis >= requestMillis
    if (!isUntouched(error) && (!repeatable || late)) return this.#fail(pending, errors.requestTimedOut)
    this.#avoided.add(pending.to, now)
    this.#putBack(pending)
    this.#go()
  }

  #putBack(pending: Pending): void {
    if (pending.abandoned) return this.#fail(pending, errors.requestCanceled)
    pending.state = "held"
    pending.cancel = undefined
    this.#listen(pending)
    if (isOver(pending)) return
    this.#held.add(pending)
    this.#mixed = true
  }

  #answered(pending: Pending, bytes: Uint8Array): void {
    const answer = this.#decoded(bytes)
    if (answer === undefined) return this.#fail(pending, errors.requestTimedOut)
    pending.state = "applying"
    pending.cancel = undefined
    pending.applyUntilMillis = this.#options.now() + requestMillis
    this.#applying.add(pending)
    this.#options.whenApplied(answer.index, {
      done: () => {
        if (!isOver(pending)) this.#tell(pending, answer)
      },
      // It has happened, whatever kept this node from seeing it.
      failed: () => this.#fail(pending, errors.requestTimedOut)
    })
  }

  /** With this node's member id; undefined: an answer that nobody understands, its request may have been executed. */
  #decoded(bytes: Uint8Array): ForwardAnswer | undefined {
    try {
      const answer = decodeForwardAnswer(bytes)
      const { response } = answer
      return response === undefined ? answer : { ...answer, response: withMemberId(response, this.#options.memberId()) }
    } catch (error) {
      if (error instanceof MalformedMessage) return undefined
      throw error
    }
  }

  #tell(pending: Pending, { code, message, response }: ForwardAnswer): void {
    if (response === undefined) return this.#fail(pending, etcdError(code as Code, message))
    this.#finish(pending)
    pending.call.reply.succeed(response)
  }

  #fail(pending: Pending, error: EtcdError): void {
    if (isOver(pending)) return
    this.#finish(pending)
    pending.call.reply.fail(error)
  }

  #listen(pending: Pending): void {
    if (pending.listens) return
    pending.listens = true
    pending.call.context.onClosed?.(() => this.#gone(pending))
  }

  /** Its caller has gone. What was sent may happen, and whoever has to take it back needs the answer. */
  #gone(pending: Pending): void {
    if (isOver(pending)) return
    pending.abandoned = true
    if (pending.state !== "held" && !pending.call.rules.answersLate) return
    pending.cancel?.()
    this.#fail(pending, errors.requestCanceled)
  }

  #finish(pending: Pending): void {
    pending.state = "over"
    this.#held.delete(pending)
    this.#applying.delete(pending)
    if (this.#all.delete(pending)) this.#bytes -= pending.call.request.length
  }
}
