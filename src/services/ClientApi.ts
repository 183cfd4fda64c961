/**
 * The etcd API without a transport: (method, request bytes) → response bytes, and a stream form. Every transport
 * (grpc-js now, JSON gateway and our own HTTP/2 later) hangs on this.
 */
import { Context } from "effect"
import type { EtcdError } from "../core/wire/errors.ts"

/** Whose verified certificate a connection has shown. */
export interface Caller {
  /** Name of the TLS identity (`netsy://{cluster}/client/{name}`); undefined in plain text and in `netsy etcd`. */
  readonly identity: string | undefined
  /** Common name of the certificate's subject; undefined where none was asked for. */
  readonly commonName: string | undefined
}

/** Who calls and with which metadata, as the transport found it. */
export interface CallContext extends Caller {
  readonly metadata: (name: string) => string | undefined
  /**
   * For unary calls that may wait long: the listener is called once when the call is over, answered or given up. At most
   * one listener. Absent where a transport cannot tell.
   */
  readonly onClosed?: (listener: () => void) => void
  /** Another node has sent it, for a client of its own. */
  readonly forwarded?: boolean
}

export interface UnaryReply {
  readonly succeed: (response: Uint8Array) => void
  readonly fail: (error: EtcdError) => void
}

/** What the transport offers to a stream's handler. */
export interface StreamOut {
  /** False: buffer full, wait for `StreamIn.drained`. */
  readonly send: (message: Uint8Array) => boolean
  /** Ends the stream with a status; undefined: OK. */
  readonly end: (error: EtcdError | undefined) => void
}

/** What a stream's handler takes from the transport. */
export interface StreamIn {
  readonly message: (bytes: Uint8Array) => void
  readonly drained: () => void
  /** The client closed its half. */
  readonly ended: () => void
  /** The stream is gone: free everything. */
  readonly closed: () => void
}

export type MethodKind = "unary" | "serverStream" | "bidi"

/** etcd's API as bytes in and bytes out, for a transport of one's own. */
export class ClientApi extends Context.Service<
  ClientApi,
  {
    /** Full gRPC paths, e.g. `/etcdserverpb.KV/Range`, with their kind. */
    readonly methods: ReadonlyMap<string, MethodKind>
    /** Unknown methods fail with Unimplemented. Malformed bytes fail with a clear InvalidArgument. */
    readonly unary: (method: string, request: Uint8Array, context: CallContext, reply: UnaryReply) => void
    /** Unknown methods end with Unimplemented, malformed bytes with InvalidArgument. */
    readonly stream: (method: string, context: CallContext, out: StreamOut) => StreamIn
  }
>()("netsy/services/ClientApi") {}
