/**
 * The requests that locks and elections are made of (etcd-api.md 2.12): whoever created the oldest key under a name
 * holds it; the others wait until every older key is gone.
 */
import { emptyBytes } from "../log/record.ts"
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type KeyValue,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
  type TxnResponse,
  type WatchCreateRequest
} from "../wire/messages.ts"

/** Of the lease that a call without one gets. */
export const sessionTtlSeconds = 60

const slash = 0x2f

/** Under which the keys of a name lie. */
export const prefixOf = (name: Uint8Array): Uint8Array => {
  const prefix = new Uint8Array(name.length + 1)
  prefix.set(name)
  prefix[name.length] = slash
  return prefix
}

/** Ends in the lease's id as hexadecimal digits. */
export const ownKey = (name: Uint8Array, lease: bigint): Uint8Array =>
  Buffer.concat([prefixOf(name), Buffer.from(lease.toString(16))])

/** First key behind those with the prefix, which ends in a slash. */
const endOf = (prefix: Uint8Array): Uint8Array => {
  const end = prefix.slice()
  end[end.length - 1] = slash + 1
  return end
}

const everyKey = {
  rangeEnd: emptyBytes,
  limit: 0,
  revision: 0,
  sortOrder: SortOrder.None,
  sortTarget: SortTarget.Key,
  serializable: false,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0
} satisfies Omit<RangeRequest, "key">

export const one = (key: Uint8Array): RangeRequest => ({ ...everyKey, key })

/** Whose turn it is. */
export const oldest = (prefix: Uint8Array): RangeRequest => ({
  ...everyKey,
  key: prefix,
  rangeEnd: endOf(prefix),
  limit: 1,
  sortOrder: SortOrder.Ascend,
  sortTarget: SortTarget.Create
})

/** Whoever comes right before the key that was created in `createRevision`. */
export const before = (prefix: Uint8Array, createRevision: number): RangeRequest => ({
  ...oldest(prefix),
  sortOrder: SortOrder.Descend,
  maxCreateRevision: createRevision - 1
})

const createdIn = (key: Uint8Array, createRevision: number): Compare => ({
  result: CompareResult.Equal,
  target: CompareTarget.Create,
  key,
  rangeEnd: emptyBytes,
  targetUnion: { kind: "create", number: createRevision }
})

const put = (key: Uint8Array, value: Uint8Array, lease: bigint): RequestOp => ({
  kind: "put",
  put: { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false }
})

const get = (range: RangeRequest): RequestOp => ({ kind: "range", range })

/** Stands in line: makes the key, or finds the one of an earlier call; `oldest` too, if asked for. */
export const standInLine = (
  key: Uint8Array,
  value: Uint8Array,
  lease: bigint,
  also: ReadonlyArray<RangeRequest>
): TxnRequest => ({
  compare: [createdIn(key, 0)],
  success: [put(key, value, lease), ...also.map(get)],
  failure: [get(one(key)), ...also.map(get)]
})

/** A new value for the key, if it still is the one that was created then. */
export const replace = (key: Uint8Array, createRevision: number, value: Uint8Array, lease: bigint): TxnRequest => ({
  compare: [createdIn(key, createRevision)],
  success: [put(key, value, lease)],
  failure: []
})

/** Deletes the key, if it still is the one that was created then. */
export const leave = (key: Uint8Array, createRevision: number): TxnRequest => ({
  compare: [createdIn(key, createRevision)],
  success: [{ kind: "deleteRange", deleteRange: { key, rangeEnd: emptyBytes, prevKv: false } }],
  failure: []
})

/** What the range at this place of the response found first. */
export const firstOf = (response: TxnResponse, at: number): KeyValue | undefined => {
  const found = response.responses[at]
  return found?.kind === "range" ? found.range.kvs[0] : undefined
}

const watchOf = (key: Uint8Array, rangeEnd: Uint8Array, startRevision: number): WatchCreateRequest => ({
  key,
  rangeEnd,
  startRevision,
  progressNotify: false,
  filters: [],
  prevKv: false,
  watchId: 0n,
  fragment: false
})

export const watchKey = (key: Uint8Array, startRevision: number): WatchCreateRequest =>
  watchOf(key, emptyBytes, startRevision)

export const watchPrefix = (prefix: Uint8Array, startRevision: number): WatchCreateRequest =>
  watchOf(prefix, endOf(prefix), startRevision)
