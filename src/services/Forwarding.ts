/**
 * Where calls that only the Active Primary can answer are run: here when this node is it, else there. While nobody is,
 * they are held (design 6.6). What was sent and whose answer is lost is never sent again, unless it changes nothing.
 */
import { Context } from "effect"
import type { EtcdError } from "../core/wire/errors.ts"
import type { CallContext, UnaryReply } from "./ClientApi.ts"
import type { KeepAliveSink, KeepAliveStream } from "./Leases.ts"

export interface ForwardRules {
  /** It changes nothing: it is asked again when its answer is lost. */
  readonly repeatable: boolean
  /** Held until its caller gives up; others as long as etcd lets a request take. */
  readonly heldLong: boolean
  /** The answer may take longer than etcd lets a request take: waited for until the caller gives up. */
  readonly answersLate: boolean
  /** The answer when it was held in vain. */
  readonly withoutPrimary: EtcdError
}

export interface PrimaryCall {
  readonly rules: ForwardRules
  /** Full gRPC path. */
  readonly method: string
  readonly request: Uint8Array
  readonly context: CallContext
  /** For the answer of another node, and for every failure on the way. */
  readonly reply: UnaryReply
  /** What is wrong with the request whoever sends it: asked before it leaves this node. */
  readonly check: () => EtcdError | undefined
  /** Runs it on this node, the Active Primary; may be called again when it has failed because this node is that no more. */
  readonly here: (fail: UnaryReply["fail"]) => void
}

export class Forwarding extends Context.Service<
  Forwarding,
  {
    readonly run: (call: PrimaryCall) => void
    /** Who executes the calls that other nodes send to this one. Set once. */
    readonly serve: (
      execute: (method: string, request: Uint8Array, context: CallContext, reply: UnaryReply) => void
    ) => void
    /** A stream of keep-alives, which outlives changes of the Primary. Who may renew what has been asked before. */
    readonly keepAlives: (sink: KeepAliveSink) => KeepAliveStream
  }
>()("netsy/services/Forwarding") {}
