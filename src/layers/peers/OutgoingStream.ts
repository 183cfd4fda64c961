/** A stream as the caller sees it. Messages sent before there is a connection wait for it. */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2"
import { clearTimeout, setTimeout } from "node:timers"
import { Code } from "../../core/wire/errors.ts"
import {
  type PeerAddress,
  type PeerError,
  PeerRefused,
  type PeerStreamIn,
  type PeerStreamOut,
  PeerUnreachable
} from "../../services/PeerNetwork.ts"
import { FrameReader } from "./frames.ts"
import type { Use } from "./Link.ts"
import { type Caller, errorOf, isUnsent, request, type Status, statusOf } from "./outgoing.ts"
import { Sending } from "./Sending.ts"

/** A stream that was closed here gets so long until the other side has closed it too. */
const closeMillis = 2_000

const ignore = (): void => {}

export class OutgoingStream implements Use, PeerStreamOut {
  readonly #to: PeerAddress
  readonly #method: string
  readonly #caller: Caller
  readonly #sink: PeerStreamIn
  readonly #sending: Sending
  #stream: ClientHttp2Stream | undefined
  #status: Status | undefined
  #over = false
  /** Takes it off the connection; set after the stream was given to one. */
  release: () => void = ignore

  constructor(to: PeerAddress, method: string, caller: Caller, sink: PeerStreamIn) {
    this.#to = to
    this.#method = method
    this.#caller = caller
    this.#sink = sink
    this.#sending = new Sending(
      () => {
        if (!this.#over) sink.drained()
      },
      (reason) => {
        this.#reset()
        this.#later(this.#unreachable(reason, false))
      }
    )
  }

  start(session: ClientHttp2Session): void {
    const stream = request(session, this.#method, this.#to, this.#caller)
    this.#stream = stream
    const reader = new FrameReader()
    const take = (bytes: Uint8Array): void => {
      if (!this.#over) this.#sink.message(bytes)
    }
    stream.on("error", ignore)
    stream.on("response", (headers) => {
      this.#status = statusOf(headers)
    })
    stream.on("data", (piece: Uint8Array) => {
      if (this.#over) return
      const wrong = reader.push(piece, take)
      if (wrong === undefined) return
      this.#finish(new PeerRefused({ ...this.#names(), code: Code.ResourceExhausted, reason: wrong }))
      this.#reset()
    })
    stream.on("trailers", (headers) => {
      this.#status = statusOf(headers)
    })
    stream.on("end", () => {
      if (this.#status !== undefined) this.#conclude()
    })
    stream.on("close", () => {
      this.#conclude()
      this.release()
    })
    this.#sending.start(stream)
  }

  broke(reason: string, goaway: number): void {
    this.#finish(this.#unreachable(reason, isUnsent(this.#stream, goaway)))
  }

  send(bytes: Uint8Array): boolean {
    return this.#over || this.#sending.send(bytes)
  }

  close(): void {
    if (this.#over) return
    this.#later(undefined)
    const stream = this.#stream
    if (stream === undefined) return this.release()
    stream.end()
    const timer = setTimeout(() => this.#reset(), closeMillis)
    stream.once("close", () => clearTimeout(timer))
  }

  #conclude(): void {
    const status = this.#status
    if (status === undefined) {
      this.#finish(this.#unreachable("the stream was broken off", isUnsent(this.#stream, Number.MAX_SAFE_INTEGER)))
    } else {
      this.#finish(status.code === Code.Ok ? undefined : errorOf(status, this.#to, this.#method))
      // What is still on its way to the peer has no reader any more.
      this.#reset()
    }
  }

  #names(): { readonly nodeId: string; readonly method: string } {
    return { nodeId: this.#to.nodeId, method: this.#method }
  }

  #unreachable(reason: string, unsent: boolean): PeerUnreachable {
    return new PeerUnreachable({ ...this.#names(), reason, unsent })
  }

  /** The end is told outside the call that brought it about. */
  #later(error: PeerError | undefined): void {
    if (this.#over) return
    this.#over = true
    queueMicrotask(() => this.#sink.closed(error))
  }

  #finish(error: PeerError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#sink.closed(error)
  }

  #reset(): void {
    if (this.#stream !== undefined && !this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL)
  }
}
