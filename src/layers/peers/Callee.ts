/** The answering side: takes connections of the peer port and serves calls and streams by the handlers there are. */
import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from "node:http2"
import type { Socket } from "node:net"
import { Code } from "../../core/wire/errors.ts"
import type { Log } from "../../services/Log.ts"
import {
  type PeerError,
  type PeerMethod,
  type PeerStreamIn,
  type PeerStreamMethod,
  PeerUnreachable
} from "../../services/PeerNetwork.ts"
import { callsMax } from "./bounds.ts"
import { frame, FrameReader } from "./frames.ts"
import { Sending } from "./Sending.ts"
import { brokenHeader, fromHeader, nodePath, sessionOptions, SilenceWatch, toHeader, widen } from "./session.ts"

const ignore = (): void => {}

const ok: OutgoingHttpHeaders = Object.freeze({ ":status": 200, "content-type": "application/grpc" })
const success: OutgoingHttpHeaders = Object.freeze({ "grpc-status": "0" })
const withTrailers = Object.freeze({ waitForTrailers: true })
const withoutBody = Object.freeze({ endStream: true })

const statusHeaders = (code: number, reason: string): OutgoingHttpHeaders => ({
  "grpc-status": String(code),
  "grpc-message": encodeURIComponent(reason)
})

export interface CalleeOptions {
  readonly clusterId: string
  readonly nodeId: string
  readonly log: Log["Service"]
  readonly handlers: ReadonlyMap<string, PeerMethod>
  readonly streamHandlers: ReadonlyMap<string, PeerStreamMethod>
}

export class Callee {
  readonly #options: CalleeOptions
  readonly #own: string
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #streams = new Set<ServerHttp2Stream>()
  /** How to break the streams (not the calls) that are served. */
  readonly #breakers = new Set<() => void>()
  #stopping = false

  constructor(options: CalleeOptions) {
    this.#options = options
    this.#own = nodePath(options.clusterId, options.nodeId)
  }

  get isQuiet(): boolean {
    return this.#streams.size === 0
  }

  /** `certified`: the node that a certificate has named. */
  take(socket: Socket, certified: string | undefined): void {
    if (this.#stopping) return void socket.destroy()
    const session = performServerHandshake(socket, sessionOptions)
    this.#sessions.add(session)
    let open = 0
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    const watch = new SilenceWatch(session, socket, (reason) => {
      this.#options.log.warn("peer_unreachable", { component: "peer", peer, node: certified, reason })
      session.destroy()
      socket.destroy()
    })
    session.on("error", (error) =>
      this.#options.log.debug("connection_error", { component: "peer", error: error.message })
    )
    session.once("close", () => {
      watch.stop()
      this.#sessions.delete(session)
    })
    // HTTP/2 would leave the other half open.
    socket.once("end", () => socket.destroy())
    widen(session)
    session.on("stream", (stream, headers) => {
      this.#streams.add(stream)
      if (++open === 1) watch.start()
      stream.on("error", ignore)
      stream.once("close", () => {
        this.#streams.delete(stream)
        if (--open === 0) watch.rest()
      })
      this.#serve(stream, headers, certified)
    })
  }

  stop(): void {
    this.#stopping = true
    // Calls get their time to be answered; streams would never end.
    for (const end of Array.from(this.#breakers)) end()
    for (const session of this.#sessions) session.close()
  }

  /** Whatever is still under way is broken off. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy()
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, certified: string | undefined): void {
    const method = headers[":path"] ?? ""
    const refuse = (code: number, reason: string, unsent: boolean): void => {
      const broken = unsent ? { [brokenHeader]: "unsent" } : {}
      stream.respond({ ...ok, ...statusHeaders(code, reason), ...broken }, withoutBody)
      // What else it sends is of no use any more.
      stream.resume()
    }
    // What is not gRPC is answered over HTTP/1 alone; a client that has chosen HTTP/2 in TLS asks there again.
    if (headers[":method"] === "GET") return stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED)
    if (headers["content-type"]?.startsWith("application/grpc") !== true) {
      return stream.respond({ ":status": 404 }, withoutBody)
    }
    if (this.#stopping) return refuse(Code.Unavailable, `node ${this.#options.nodeId} stops`, true)
    const wanted = headers[toHeader]
    if (wanted !== undefined && wanted !== this.#own) {
      return refuse(Code.FailedPrecondition, `this is ${this.#own}, not ${String(wanted)}`, true)
    }
    const said = headers[fromHeader]
    const from = certified ?? (typeof said === "string" && said !== "" ? said : undefined)
    if (from === undefined) return refuse(Code.Unauthenticated, `a peer says who it is in ${fromHeader}`, true)
    if (this.#streams.size > 2 * callsMax) {
      return refuse(Code.ResourceExhausted, `node ${this.#options.nodeId} has more than ${2 * callsMax} calls`, true)
    }
    const unary = this.#options.handlers.get(method)
    if (unary !== undefined) return serveCall(stream, from, method, unary)
    const streaming = this.#options.streamHandlers.get(method)
    if (streaming !== undefined) {
      const end = serveStream(stream, from, method, streaming)
      // The handler may have stopped the node.
      if (this.#stopping) return end()
      this.#breakers.add(end)
      stream.once("close", () => this.#breakers.delete(end))
      return
    }
    refuse(Code.Unimplemented, `${method} is not served here`, false)
  }
}

const serveCall = (stream: ServerHttp2Stream, from: string, method: string, handler: PeerMethod): void => {
  const reader = new FrameReader()
  let called = false
  let over = false
  let cancelled: (() => void) | undefined
  const fail = (code: number, reason: string): void => {
    if (over) return
    over = true
    if (!stream.destroyed && !stream.closed) stream.respond({ ...ok, ...statusHeaders(code, reason) }, withoutBody)
  }
  const succeed = (response: Uint8Array): void => {
    if (over) return
    over = true
    if (stream.destroyed || stream.closed) return
    stream.respond(ok, withTrailers)
    stream.once("wantTrailers", () => stream.sendTrailers(success))
    stream.end(frame(response))
  }
  const onCancelled = (listener: () => void): void => {
    cancelled = listener
  }
  // The call is made when the message is whole: the end of the request says nothing more.
  const take = (request: Uint8Array): void => {
    if (called || over) return
    called = true
    handler(request, from, { succeed, fail, onCancelled })
  }
  stream.on("data", (piece: Uint8Array) => {
    if (over) return
    const wrong = reader.push(piece, take)
    if (wrong !== undefined) fail(Code.ResourceExhausted, wrong)
  })
  stream.on("end", () => {
    if (!called) fail(Code.InvalidArgument, `no request message for ${method}`)
  })
  stream.once("close", () => {
    if (over) return
    over = true
    cancelled?.()
  })
}

/** Returns how to break it because this node stops. */
const serveStream = (
  stream: ServerHttp2Stream,
  from: string,
  method: string,
  handler: PeerStreamMethod
): (() => void) => {
  const reader = new FrameReader()
  let over = false
  const finish = (error: PeerError | undefined): void => {
    if (over) return
    over = true
    sink.closed(error)
  }
  const later = (error: PeerError | undefined): void => {
    if (over) return
    over = true
    queueMicrotask(() => sink.closed(error))
  }
  const unreachable = (reason: string): PeerUnreachable =>
    new PeerUnreachable({ nodeId: from, method, reason, unsent: false })
  let trailers = success
  stream.respond(ok, withTrailers)
  stream.once("wantTrailers", () => stream.sendTrailers(trailers))
  const sending = new Sending(
    () => {
      if (!over) sink.drained()
    },
    (reason) => {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      later(unreachable(reason))
    }
  )
  sending.start(stream)
  const sink: PeerStreamIn = handler(from, {
    send: (bytes) => over || sending.send(bytes),
    close: (refusal) => {
      if (over) return
      if (refusal !== undefined) trailers = statusHeaders(refusal.code, refusal.reason)
      later(undefined)
      stream.end()
    }
  })
  const take = (bytes: Uint8Array): void => {
    if (!over) sink.message(bytes)
  }
  stream.on("data", (piece: Uint8Array) => {
    if (over) return
    const wrong = reader.push(piece, take)
    if (wrong === undefined) return
    trailers = statusHeaders(Code.ResourceExhausted, wrong)
    finish(unreachable(wrong))
    stream.end()
  })
  stream.on("end", () => {
    if (stream.aborted || reader.isPartial) return
    finish(undefined)
    stream.end()
  })
  stream.once("close", () => finish(unreachable("the stream was broken off")))
  return () => {
    if (over) return
    trailers = { ...statusHeaders(Code.Unavailable, "the node stops"), [brokenHeader]: "unknown" }
    finish(unreachable("this node stops"))
    stream.end()
  }
}
