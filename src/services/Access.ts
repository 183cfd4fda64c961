/** Who calls, and what that user may do (etcd-api.md 2.10). While authentication is off nothing is asked here. */
import { Context } from "effect"
import type { EtcdError } from "../core/wire/errors.ts"
import type {
  CompactionRequest,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
  WatchCreateRequest
} from "../core/wire/messages.ts"
import type { CallContext } from "./ClientApi.ts"

/** A user that was made out by token or certificate. */
export interface Caller {
  readonly user: string
  /** Of the auth store when the token was given. */
  readonly authRevision: number
}

/** Undefined: allowed. */
export type Refusal = EtcdError | undefined

export class Access extends Context.Service<
  Access,
  {
    /** Is authentication on? */
    readonly enabled: () => boolean
    /** Of the auth store; answers that were read under an older one are not given. */
    readonly revision: () => number
    /** Exactly one of the two is called, once; at once where the token is known here. Only asked while enabled. */
    readonly identify: (context: CallContext, use: (caller: Caller) => void, refuse: (error: EtcdError) => void) => void
    readonly range: (caller: Caller, request: RangeRequest) => Refusal
    readonly put: (caller: Caller, request: PutRequest) => Refusal
    readonly deleteRange: (caller: Caller, request: DeleteRangeRequest) => Refusal
    readonly txn: (caller: Caller, request: TxnRequest) => Refusal
    readonly compact: (caller: Caller, request: CompactionRequest) => Refusal
    readonly watch: (caller: Caller, request: WatchCreateRequest) => Refusal
    /** Write permission on every key that is attached to the lease (rule L10: revoke, keep-alive, put with a lease). */
    readonly writeLease: (caller: Caller, lease: bigint) => Refusal
    /** Read permission on every key that is attached to the lease. */
    readonly readLease: (caller: Caller, lease: bigint) => Refusal
    /** Any user whose token is still good. */
    readonly user: (caller: Caller) => Refusal
    /** Role root. */
    readonly root: (caller: Caller) => Refusal
  }
>()("netsy/services/Access") {}
