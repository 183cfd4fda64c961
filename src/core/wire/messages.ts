/**
 * The etcd messages of the hot path as plain values; the others are described in codec/*. Source: reference etcd-api.md 1.2 (proto/etcd/rpc.proto, kv.proto).
 * Revisions, versions, counts and limits are safe integers (`number`); lease, member and cluster ids are `bigint`.
 * A decoder fills every field: proto3 zero values where the wire has none.
 */

export interface KeyValue {
  readonly key: Uint8Array
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly value: Uint8Array
  readonly lease: bigint
}

export interface ResponseHeader {
  readonly clusterId: bigint
  readonly memberId: bigint
  readonly revision: number
  readonly raftTerm: number
}

/** `RangeRequest.SortOrder` */
export const SortOrder = { None: 0, Ascend: 1, Descend: 2 } as const
/** `RangeRequest.SortTarget` */
export const SortTarget = { Key: 0, Version: 1, Create: 2, Mod: 3, Value: 4 } as const
/** `Compare.CompareResult` */
export const CompareResult = { Equal: 0, Greater: 1, Less: 2, NotEqual: 3 } as const
/** `Compare.CompareTarget` */
export const CompareTarget = { Version: 0, Create: 1, Mod: 2, Value: 3, Lease: 4 } as const
/** `WatchCreateRequest.FilterType` */
export const WatchFilter = { NoPut: 0, NoDelete: 1 } as const
/** `mvccpb.Event.EventType` */
export const EventType = { Put: 0, Delete: 1 } as const

export interface RangeRequest {
  readonly key: Uint8Array
  readonly rangeEnd: Uint8Array
  readonly limit: number
  readonly revision: number
  readonly sortOrder: number
  readonly sortTarget: number
  readonly serializable: boolean
  readonly keysOnly: boolean
  readonly countOnly: boolean
  readonly minModRevision: number
  readonly maxModRevision: number
  readonly minCreateRevision: number
  readonly maxCreateRevision: number
}

export interface RangeResponse {
  readonly header: ResponseHeader | undefined
  readonly kvs: ReadonlyArray<KeyValue>
  readonly more: boolean
  readonly count: number
}

export interface PutRequest {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly lease: bigint
  readonly prevKv: boolean
  readonly ignoreValue: boolean
  readonly ignoreLease: boolean
}

export interface PutResponse {
  readonly header: ResponseHeader | undefined
  readonly prevKv: KeyValue | undefined
}

export interface DeleteRangeRequest {
  readonly key: Uint8Array
  readonly rangeEnd: Uint8Array
  readonly prevKv: boolean
}

export interface DeleteRangeResponse {
  readonly header: ResponseHeader | undefined
  readonly deleted: number
  readonly prevKvs: ReadonlyArray<KeyValue>
}

export type RequestOp =
  | { readonly kind: "range"; readonly range: RangeRequest }
  | { readonly kind: "put"; readonly put: PutRequest }
  | { readonly kind: "deleteRange"; readonly deleteRange: DeleteRangeRequest }
  | { readonly kind: "txn"; readonly txn: TxnRequest }
  /** The oneof is unset (rule T5). */
  | { readonly kind: "none" }

export type ResponseOp =
  | { readonly kind: "range"; readonly range: RangeResponse }
  | { readonly kind: "put"; readonly put: PutResponse }
  | { readonly kind: "deleteRange"; readonly deleteRange: DeleteRangeResponse }
  | { readonly kind: "txn"; readonly txn: TxnResponse }

export interface Compare {
  readonly result: number
  readonly target: number
  readonly key: Uint8Array
  readonly rangeEnd: Uint8Array
  /**
   * The `target_union` member that was set: version, create or mod revision as `number`, value as bytes, lease as
   * `bigint`; undefined when the oneof is unset (rule T2: compared with zero).
   */
  readonly targetUnion:
    | { readonly kind: "version" | "create" | "mod"; readonly number: number }
    | { readonly kind: "value"; readonly value: Uint8Array }
    | { readonly kind: "lease"; readonly lease: bigint }
    | undefined
}

export interface TxnRequest {
  readonly compare: ReadonlyArray<Compare>
  readonly success: ReadonlyArray<RequestOp>
  readonly failure: ReadonlyArray<RequestOp>
}

export interface TxnResponse {
  readonly header: ResponseHeader | undefined
  readonly succeeded: boolean
  readonly responses: ReadonlyArray<ResponseOp>
}

export interface CompactionRequest {
  readonly revision: number
  readonly physical: boolean
}

export interface Event {
  readonly type: number
  readonly kv: KeyValue
  readonly prevKv: KeyValue | undefined
}

export interface WatchCreateRequest {
  readonly key: Uint8Array
  readonly rangeEnd: Uint8Array
  readonly startRevision: number
  readonly progressNotify: boolean
  readonly filters: ReadonlyArray<number>
  readonly prevKv: boolean
  readonly watchId: bigint
  readonly fragment: boolean
}

export type WatchRequest =
  | { readonly kind: "create"; readonly create: WatchCreateRequest }
  | { readonly kind: "cancel"; readonly watchId: bigint }
  | { readonly kind: "progress" }
  | { readonly kind: "none" }

export interface WatchResponse {
  readonly header: ResponseHeader | undefined
  readonly watchId: bigint
  readonly created: boolean
  readonly canceled: boolean
  readonly compactRevision: number
  readonly cancelReason: string
  readonly fragment: boolean
  readonly events: ReadonlyArray<Event>
}

/** `AlarmRequest.AlarmAction` */
export const AlarmAction = { Get: 0, Activate: 1, Deactivate: 2 } as const
/** `AlarmType` */
export const AlarmType = { None: 0, NoSpace: 1, Corrupt: 2 } as const
/** `DowngradeRequest.DowngradeAction` */
export const DowngradeAction = { Validate: 0, Enable: 1, Cancel: 2 } as const
/** `HealthCheckResponse.ServingStatus` */
export const ServingStatus = { Unknown: 0, Serving: 1, NotServing: 2, ServiceUnknown: 3 } as const

/** Responses that hold nothing but a header: Compact, and others later. */
export interface HeaderResponse {
  readonly header: ResponseHeader | undefined
}
