/** A unary call as the caller sees it: from the wait for a connection to the answer. */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2"
import { clearTimeout, setTimeout } from "node:timers"
import { Code } from "../../core/wire/errors.ts"
import { type PeerAddress, PeerRefused, type PeerReply, PeerUnreachable } from "../../services/PeerNetwork.ts"
import { frame, FrameReader } from "./frames.ts"
import type { Use } from "./Link.ts"
import { type Caller, errorOf, isUnsent, request, type Status, statusOf } from "./outgoing.ts"

const ignore = (): void => {}

export class OutgoingCall implements Use {
  readonly #to: PeerAddress
  readonly #method: string
  readonly #caller: Caller
  readonly #timeoutMillis: number
  readonly #reply: PeerReply
  readonly #timer: NodeJS.Timeout
  #request: Buffer | undefined
  #stream: ClientHttp2Stream | undefined
  #response: Uint8Array | undefined
  #status: Status | undefined
  #over = false
  /** Takes it off the connection; set after the call was given to one. */
  release: () => void = ignore

  constructor(
    to: PeerAddress,
    method: string,
    bytes: Uint8Array,
    timeoutMillis: number,
    caller: Caller,
    reply: PeerReply
  ) {
    this.#to = to
    this.#method = method
    this.#request = frame(bytes)
    this.#timeoutMillis = timeoutMillis
    this.#caller = caller
    this.#reply = reply
    this.#timer = setTimeout(() => {
      const unsent = isUnsent(this.#stream, Number.MAX_SAFE_INTEGER)
      this.#unreachable(`no answer within ${timeoutMillis} ms`, unsent)
      this.#reset()
    }, timeoutMillis)
  }

  start(session: ClientHttp2Session): void {
    const stream = request(session, this.#method, this.#to, this.#caller, this.#timeoutMillis)
    this.#stream = stream
    const reader = new FrameReader()
    const take = (bytes: Uint8Array): void => {
      this.#response ??= bytes
    }
    stream.on("error", ignore)
    stream.on("response", (headers) => {
      this.#status = statusOf(headers)
    })
    stream.on("data", (piece: Uint8Array) => {
      if (this.#over) return
      const wrong = reader.push(piece, take)
      if (wrong === undefined) return
      this.#refused(Code.ResourceExhausted, wrong)
      this.#reset()
    })
    stream.on("trailers", (headers) => {
      this.#status = statusOf(headers)
      if (this.#response !== undefined) this.#conclude()
    })
    stream.on("end", () => {
      if (this.#status !== undefined) this.#conclude()
    })
    stream.on("close", () => this.#conclude())
    stream.end(this.#request)
    this.#request = undefined
  }

  broke(reason: string, goaway: number): void {
    this.#unreachable(reason, isUnsent(this.#stream, goaway))
  }

  giveUp(): void {
    if (!this.#finish()) return
    this.#reset()
  }

  #conclude(): void {
    const status = this.#status
    if (status === undefined) {
      return this.#unreachable("the call was broken off", isUnsent(this.#stream, Number.MAX_SAFE_INTEGER))
    }
    if (!this.#finish()) return
    if (status.code !== Code.Ok) this.#reply.fail(errorOf(status, this.#to, this.#method))
    else if (this.#response !== undefined) this.#reply.succeed(this.#response)
    else this.#reply.fail(this.#refusal(Code.Internal, "an answer without a message"))
  }

  #refusal(code: number, reason: string): PeerRefused {
    return new PeerRefused({ nodeId: this.#to.nodeId, method: this.#method, code, reason })
  }

  #refused(code: number, reason: string): void {
    if (this.#finish()) this.#reply.fail(this.#refusal(code, reason))
  }

  #unreachable(reason: string, unsent: boolean): void {
    if (!this.#finish()) return
    this.#reply.fail(new PeerUnreachable({ nodeId: this.#to.nodeId, method: this.#method, reason, unsent }))
  }

  #finish(): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.release()
    return true
  }

  #reset(): void {
    if (this.#stream !== undefined && !this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL)
  }
}
