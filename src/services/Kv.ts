/**
 * The revisioned key-value store as a client sees it: etcd's KV service without a transport. Calls are plain and
 * synchronous to enter; the reply comes once, later or at once, when the answer may be shown (design 5 and 6.3).
 */
import { Context } from "effect"
import type { EtcdError } from "../core/wire/errors.ts"
import type {
  CompactionRequest,
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  ResponseHeader,
  TxnRequest,
  TxnResponse
} from "../core/wire/messages.ts"

/** Exactly one of the two is called, exactly once. Must not throw. */
export interface Reply<A> {
  readonly succeed: (answer: A) => void
  readonly fail: (error: EtcdError) => void
}

/** A range that is read slice by slice (rule R12), pinned at its revision. */
export interface RangeReader {
  /** With the revision that was current when the reading began. */
  readonly header: ResponseHeader
  /** Keys in the range, whatever the limit. */
  readonly count: number
  readonly more: boolean
  /** The next keys, at most so many; the last slice says that it is. Not to be called before the reply to the last call. */
  readonly next: (
    maxKeys: number,
    reply: Reply<{ readonly kvs: ReadonlyArray<KeyValue>; readonly done: boolean }>
  ) => void
}

/** Keys and values without a transport; `Client` is the comfortable way to them. */
export class Kv extends Context.Service<
  Kv,
  {
    /** Linearizable unless the request says `serializable`. */
    readonly range: (request: RangeRequest, reply: Reply<RangeResponse>) => void
    /** Sorting and filters are for `range` only: the keys come in their order. */
    readonly openRange: (request: RangeRequest, reply: Reply<RangeReader>) => void
    /** Answered once the write is committed: as safe as the node's settings make it. */
    readonly put: (request: PutRequest, reply: Reply<PutResponse>) => void
    /** Answered as `put`. */
    readonly deleteRange: (request: DeleteRangeRequest, reply: Reply<DeleteRangeResponse>) => void
    /** Answered as `put`; one that only reads, as `range`. */
    readonly txn: (request: TxnRequest, reply: Reply<TxnResponse>) => void
    /** Answered when the floor has moved; `physical`: when the disk has followed. */
    readonly compact: (request: CompactionRequest, reply: Reply<{ readonly header: ResponseHeader }>) => void
    /** Calls back when everything acknowledged so far may be read here (a linearizable read of nothing). */
    readonly barrier: (reply: Reply<{ readonly revision: number }>) => void
    /** Newest revision that may be shown. */
    readonly revision: () => number
    /** Newest revision assigned, committed or not. */
    readonly headRevision: () => number
    /** Compaction revision, 0 when never compacted. */
    readonly floor: () => number
    /** Log positions, for Status: last assigned and last committed. */
    readonly head: () => number
    /** Last position that is committed. */
    readonly commitIndex: () => number
  }
>()("netsy/services/Kv") {}
