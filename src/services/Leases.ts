/**
 * Leases as a client sees them: etcd's Lease service without a transport (etcd-api.md 2.7). Calls are entered
 * synchronously, as those of `Kv`.
 */
import { Context } from "effect"
import type {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse
} from "../core/wire/codec/lease.ts"
import type { EtcdError } from "../core/wire/errors.ts"
import type { Reply } from "./Kv.ts"

/** Where a stream's answers go, in the order of its requests. */
export interface KeepAliveSink {
  /** False: taken, but the receiver's buffer is full; nothing more comes before `KeepAliveStream.drained`. */
  readonly send: (response: LeaseKeepAliveResponse) => boolean
  /** The last call; undefined: `end` was called and everything before it is answered. */
  readonly ended: (error: EtcdError | undefined) => void
}

/** One stream of keep-alives. */
export interface KeepAliveStream {
  /** False: not taken, because too many requests wait for their answers. */
  readonly renew: (id: bigint) => boolean
  /** The receiver takes answers again. */
  readonly drained: () => void
  /** No more requests: with an error for the receiver, or without. */
  readonly end: (error: EtcdError | undefined) => void
  /** The receiver is gone. */
  readonly close: () => void
}

/** Leases without a transport; `Client` is the comfortable way to them. */
export class Leases extends Context.Service<
  Leases,
  {
    /** Answered once the lease is committed. */
    readonly grant: (request: LeaseGrantRequest, reply: Reply<LeaseGrantResponse>) => void
    /** Answered once the lease and its keys are gone. */
    readonly revoke: (request: LeaseRevokeRequest, reply: Reply<LeaseRevokeResponse>) => void
    /** A stream of renewals, answered in their order. */
    readonly keepAlives: (sink: KeepAliveSink) => KeepAliveStream
    /** Whole seconds; -1: there is no such lease. */
    readonly timeToLive: (request: LeaseTimeToLiveRequest, reply: Reply<LeaseTimeToLiveResponse>) => void
    /** The next to run out first. */
    readonly list: (reply: Reply<LeaseLeasesResponse>) => void
    /** At head, in no order: for who has to ask about each of them. */
    readonly ids: () => Iterable<bigint>
  }
>()("netsy/services/Leases") {}
