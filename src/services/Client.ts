/**
 * The store as a program uses it: etcd's API as effects and streams, on every node of a cluster. What only the Primary can
 * do is sent there; reads are linearizable unless they ask not to be. An interrupted call is given up: what was sent may
 * still be done, nothing is left waiting.
 */
import { Context, type Duration, type Effect, type Schema, type Scope, type Stream } from "effect"
import type { Entry } from "../core/client/Entry.ts"
import type { Keys } from "../core/client/keys.ts"
import type {
  DeleteOptions,
  DeleteResult,
  GetOptions,
  PutOptions,
  PutResult,
  RangeOptions,
  RangeResult
} from "../core/client/requests.ts"
import type { Bytes } from "../core/client/text.ts"
import type { Op, TxnResult, TxnSpec } from "../core/client/txn.ts"
import type { ClientError, LeaseLost } from "./ClientError.ts"

/** Which changes a watch tells, and how much of each. */
export interface WatchOptions {
  /** From this revision on, it included; from now on, if absent. */
  readonly revision?: number | undefined
  /** Each event also tells what was there before. */
  readonly previous?: boolean | undefined
  /** Only one kind of events. */
  readonly only?: "put" | "delete" | undefined
  /** Now and then an event that says up to which revision everything has been seen. */
  readonly progress?: boolean | undefined
}

/** A key was written or deleted. */
export interface ChangeEvent {
  readonly type: "put" | "delete"
  /** At which it happened; the events of one transaction have the same. */
  readonly revision: number
  /** What is there now; of a deleted key only the key. */
  readonly entry: Entry
  /** Only when asked for, and as far as it has not been compacted away. */
  readonly previous: Entry | undefined
}

/** Nothing changed, but the store has come this far. Only with `progress`. */
export interface ProgressEvent {
  readonly type: "progress"
  /** Everything up to it has been seen. */
  readonly revision: number
}

/** `ProgressEvent` is among them only when it was asked for. */
export type WatchEvent<O extends WatchOptions = WatchOptions> = O extends { readonly progress: true }
  ? ChangeEvent | ProgressEvent
  : ChangeEvent

/** A lease as the Primary knows it. */
export interface LeaseInfo {
  readonly id: bigint
  /** What is left; a Primary that has just begun counts anew. */
  readonly ttlSeconds: number
  readonly grantedTtlSeconds: number
  /** Of the keys that end with it. */
  readonly keys: ReadonlyArray<Uint8Array>
}

/** A lease that is kept alive as long as its scope is open. */
export interface Lease {
  readonly id: bigint
  /** As granted; at least `lease.minTtl`. */
  readonly ttlSeconds: number
  /** Never succeeds; fails as soon as the lease may be gone. */
  readonly lost: Effect.Effect<never, LeaseLost>
}

/** Of a lease that is kept alive: three times within its time to live. */
export interface LeaseOptions {
  /** How long it lives without being kept alive. Default 60 seconds, as in etcd's recipes. */
  readonly ttl?: Duration.Input | undefined
}

/** A lock that is held as long as its scope is open. */
export interface Lock extends Lease {
  /** It exists as long as the lock is held: compare it in a transaction (`Txn.present`) and nothing is done without it. */
  readonly key: Uint8Array
}

/** The leadership of an election, held as long as its scope is open. */
export interface Leadership extends Lock {
  /** Tells everybody who observes something new. */
  readonly proclaim: (value: Bytes) => Effect.Effect<void, ClientError>
}

/** What `etcdctl endpoint status` shows of one node. */
export interface NodeStatusInfo {
  /** Of etcd, whose API this is. */
  readonly version: string
  readonly memberId: bigint
  /** 0n: there is none. */
  readonly leaderId: bigint
  readonly isLeader: boolean
  readonly revision: number
  readonly term: number
  /** Last position of the log that this node knows, and the last one that is applied. */
  readonly index: number
  readonly appliedIndex: number
  readonly dbSizeBytes: number
  readonly dbSizeInUseBytes: number
  /** What is wrong, one sentence each. */
  readonly problems: ReadonlyArray<string>
}

/** An entry whose value was read by a schema. */
export interface TypedEntry<out A> {
  readonly key: string
  readonly value: A
  readonly entry: Entry
}

/** The same keys and values, the latter as JSON of one schema. */
export interface TypedClient<A, RD, RE> {
  /** One key; undefined: it is not there. */
  readonly get: (
    key: Bytes,
    options?: GetOptions
  ) => Effect.Effect<TypedEntry<A> | undefined, ClientError | Schema.SchemaError, RD>
  /** Many keys at one revision, in one answer; the first value that does not fit the schema fails all. */
  readonly entries: (
    keys: Keys,
    options?: RangeOptions
  ) => Effect.Effect<ReadonlyArray<TypedEntry<A>>, ClientError | Schema.SchemaError, RD>
  /** Writes one key. */
  readonly put: (
    key: Bytes,
    value: A,
    options?: PutOptions
  ) => Effect.Effect<PutResult, ClientError | Schema.SchemaError, RE>
  /** For a transaction. */
  readonly putOp: (key: Bytes, value: A, options?: PutOptions) => Effect.Effect<Op<PutResult>, Schema.SchemaError, RE>
  /** The value of an entry that came another way: from a watch, a transaction, a scan. */
  readonly decode: (entry: Entry) => Effect.Effect<A, Schema.SchemaError, RD>
}

/** Every call of the client. All may fail with any `ClientError`; `EtcdUnavailable` says: try again. */
export interface ClientShape {
  /** One key; undefined: it is not there. */
  readonly get: (key: Bytes, options?: GetOptions) => Effect.Effect<Entry | undefined, ClientError>
  /** Many keys at one revision, in one answer: for those that are not too many. */
  readonly range: (keys: Keys, options?: RangeOptions) => Effect.Effect<RangeResult, ClientError>
  /** How many keys there are. */
  readonly count: (keys: Keys, options?: GetOptions) => Effect.Effect<number, ClientError>
  /** However many keys at one revision, in the order of their bytes, page by page. */
  readonly scan: (
    keys: Keys,
    options?: GetOptions & { readonly keysOnly?: boolean | undefined; readonly pageSize?: number | undefined }
  ) => Stream.Stream<Entry, ClientError>
  /** Writes one key, at most 1.5 MiB unless the node's limits say otherwise. */
  readonly put: (key: Bytes, value: Bytes, options?: PutOptions) => Effect.Effect<PutResult, ClientError>
  /** Deletes one key or many; that none was there is no error. */
  readonly delete: (keys: Keys, options?: DeleteOptions) => Effect.Effect<DeleteResult, ClientError>
  /** All or nothing: `Txn` has the comparisons and the operations. */
  readonly txn: <
    const Then extends ReadonlyArray<Op<unknown>> = [],
    const Else extends ReadonlyArray<Op<unknown>> = []
  >(
    spec: TxnSpec<Then, Else>
  ) => Effect.Effect<TxnResult<Then, Else>, ClientError>
  /**
   * Every change, in order, none left out; begins when the stream is run. What is not read waits in the store's history, not
   * in memory. Fails with `EtcdCompacted` when that history is gone.
   */
  readonly watch: <const O extends WatchOptions>(keys: Keys, options?: O) => Stream.Stream<WatchEvent<O>, ClientError>
  /** A lease that nobody keeps alive; `id` 0n or absent: a new one. */
  readonly grant: (
    ttl: Duration.Input,
    options?: { readonly id?: bigint | undefined }
  ) => Effect.Effect<{ readonly id: bigint; readonly ttlSeconds: number }, ClientError>
  /** Renews once; the seconds that it now has. */
  readonly keepAlive: (id: bigint) => Effect.Effect<number, ClientError | LeaseLost>
  /** Ends the lease, and every key with it. */
  readonly revoke: (id: bigint) => Effect.Effect<void, ClientError>
  /** Undefined: there is no such lease. */
  readonly timeToLive: (id: bigint) => Effect.Effect<LeaseInfo | undefined, ClientError>
  readonly leases: Effect.Effect<ReadonlyArray<bigint>, ClientError>
  /** Kept alive until the scope closes, then revoked. */
  readonly lease: (options?: LeaseOptions) => Effect.Effect<Lease, ClientError, Scope.Scope>
  /** Runs the effect with a lease; when the lease is lost, the effect is interrupted and this fails. */
  readonly withLease: <A, E, R>(
    options: LeaseOptions,
    use: (lease: Lease) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ClientError | LeaseLost, Exclude<R, Scope.Scope>>
  /** Waits for its turn; the lock is given back when the scope closes. The same locks as those of `etcdctl lock`. */
  readonly lock: (name: Bytes, options?: LeaseOptions) => Effect.Effect<Lock, ClientError | LeaseLost, Scope.Scope>
  /** Runs the effect under the lock; when the lock is lost, the effect is interrupted and this fails. */
  readonly withLock: <A, E, R>(
    name: Bytes,
    use: (lock: Lock) => Effect.Effect<A, E, R>,
    options?: LeaseOptions
  ) => Effect.Effect<A, E | ClientError | LeaseLost, Exclude<R, Scope.Scope>>
  /** Waits until it leads; resigns when the scope closes. The same elections as those of `etcdctl elect`. */
  readonly campaign: (
    name: Bytes,
    value: Bytes,
    options?: LeaseOptions
  ) => Effect.Effect<Leadership, ClientError | LeaseLost, Scope.Scope>
  /** Who leads, with what they said last; undefined: nobody. */
  readonly leader: (name: Bytes) => Effect.Effect<Entry | undefined, ClientError>
  /** Every leader, and everything they say. */
  readonly observe: (name: Bytes) => Stream.Stream<Entry, ClientError>
  /** Forgets what was before this revision; `physical`: and waits until it is gone from the disk. */
  readonly compact: (
    revision: number,
    options?: { readonly physical?: boolean | undefined }
  ) => Effect.Effect<void, ClientError>
  /** Of the node that this client belongs to. */
  readonly status: Effect.Effect<NodeStatusInfo, ClientError>
  /** For values that are JSON: `client.json(Schema.Struct({ … }))`. */
  readonly json: <A, I, RD, RE>(schema: Schema.Codec<A, I, RD, RE>) => TypedClient<A, RD, RE>
  /** The same client as a user, while authentication is on; logs in again when its token has run out. */
  readonly login: (name: string, password: string) => Effect.Effect<ClientShape, ClientError>
}

/** The client of the node that the program has: `yield* Client`. */
export class Client extends Context.Service<Client, ClientShape>()("netsy/services/Client") {}
