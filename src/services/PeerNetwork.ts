/**
 * Calls between the nodes of a cluster, as bytes: unary ones and streams in both directions. Who calls is known by its
 * certificate (in plain text by what it says). What is called stands in `core/wire/peer/methods.ts`.
 */
import { Context, Schema } from "effect"

/** Where a node's peer port is, and whose it should be. */
export interface PeerAddress {
  readonly nodeId: string
  /** host:port */
  readonly address: string
}

/** No answer: the peer cannot be reached, the time was over, or the connection broke. Whether the call took effect is not known. */
export class PeerUnreachable extends Schema.TaggedError<PeerUnreachable>()("PeerUnreachable", {
  nodeId: Schema.String,
  method: Schema.String,
  reason: Schema.String,
  /** True: the request has certainly not been handed to the peer. */
  unsent: Schema.Boolean
}) {
  override get message() {
    return `${this.method} of ${this.nodeId}: ${this.reason}`
  }
}

/** The peer answered with an error; what it means is the method's. Codes are gRPC's. */
export class PeerRefused extends Schema.TaggedError<PeerRefused>()("PeerRefused", {
  nodeId: Schema.String,
  method: Schema.String,
  code: Schema.Number,
  reason: Schema.String
}) {
  override get message() {
    return `${this.method} of ${this.nodeId}: ${this.reason}`
  }
}

export type PeerError = PeerUnreachable | PeerRefused

/** Exactly one of the two is called, exactly once. Must not throw. */
export interface PeerReply {
  readonly succeed: (response: Uint8Array) => void
  readonly fail: (error: PeerError) => void
}

/** What the caller of a stream, or the one who was called, takes from it. Must not throw. */
export interface PeerStreamIn {
  readonly message: (bytes: Uint8Array) => void
  /** `send` may be called again after it returned false. */
  readonly drained: () => void
  /** The last call, exactly once: the stream is over, by whichever side. */
  readonly closed: (error: PeerError | undefined) => void
}

export interface PeerStreamOut {
  /** False: taken, but the buffer is full; wait for `drained`. After the stream is over it does nothing. */
  readonly send: (bytes: Uint8Array) => boolean
  /** Ends the stream; the callee may give a reason. */
  readonly close: (refusal?: { readonly code: number; readonly reason: string }) => void
}

/** How the callee answers. */
export interface PeerAnswer {
  readonly succeed: (response: Uint8Array) => void
  readonly fail: (code: number, reason: string) => void
  /** The caller has given up; at most one listener. */
  readonly onCancelled: (listener: () => void) => void
}

/** `from` is the caller's node id. Must not throw. */
export type PeerMethod = (request: Uint8Array, from: string, answer: PeerAnswer) => void
export type PeerStreamMethod = (from: string, out: PeerStreamOut) => PeerStreamIn

export class PeerNetwork extends Context.Service<
  PeerNetwork,
  {
    /** Returns how to give the call up: then neither `succeed` nor `fail` is called any more. */
    readonly call: (
      to: PeerAddress,
      method: string,
      request: Uint8Array,
      timeoutMillis: number,
      reply: PeerReply
    ) => () => void
    readonly open: (to: PeerAddress, method: string, sink: PeerStreamIn) => PeerStreamOut
    /** One handler a method; a method without one is refused as Unimplemented. Set before or after the port opens. */
    readonly handle: (method: string, handler: PeerMethod) => void
    readonly handleStream: (method: string, handler: PeerStreamMethod) => void
    /**
     * Does anything listen at the address? For the Elector, who has to know a dead peer port from a slow one: a refused
     * or unroutable connection is dead, silence is not known.
     */
    readonly probe: (
      to: PeerAddress,
      timeoutMillis: number,
      reply: (found: "listening" | "dead" | "silent") => void
    ) => void
  }
>()("netsy/services/PeerNetwork") {}
