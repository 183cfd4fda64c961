/** From what a program asks for to etcd's requests, and from etcd's answers to what it is told. */
import {
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  SortOrder,
  SortTarget
} from "../wire/messages.ts"
import { Entry, entryOf } from "./Entry.ts"
import { type Keys, type KeySpan, spanOf } from "./keys.ts"
import { type Bytes, toBytes } from "./text.ts"

/** When, and by whom, a read is answered. */
export interface GetOptions {
  /** As it was at this revision; now, if absent. */
  readonly revision?: number | undefined
  /** Answered by this node from what it has, which may be a little old; needs no Primary. */
  readonly serializable?: boolean | undefined
}

/** What the entries of a range are sorted by. */
export type SortBy = "key" | "value" | "version" | "createRevision" | "modRevision"

/** Which entries of a range, in which order, and how much of each. The bounds of revisions include both ends. */
export interface RangeOptions extends GetOptions {
  /** At most so many entries; `more` says whether there were others. */
  readonly limit?: number | undefined
  /** Ascending by key if absent. */
  readonly sort?: { readonly by: SortBy; readonly order?: "ascending" | "descending" | undefined } | undefined
  /** Without values. */
  readonly keysOnly?: boolean | undefined
  /** Without entries: only how many there are. */
  readonly countOnly?: boolean | undefined
  readonly minModRevision?: number | undefined
  readonly maxModRevision?: number | undefined
  readonly minCreateRevision?: number | undefined
  readonly maxCreateRevision?: number | undefined
}

/** What a range has found. */
export interface RangeResult {
  /** Of the store when it answered. */
  readonly revision: number
  readonly entries: ReadonlyArray<Entry>
  /** How many keys there are, whatever the limit. */
  readonly count: number
  readonly more: boolean
}

/** What else a write does or tells. */
export interface PutOptions {
  /** The key ends with this lease. */
  readonly lease?: bigint | { readonly id: bigint } | undefined
  /** Tell what was there before. */
  readonly previous?: boolean | undefined
  /** Keep the value that is there; the given one must be empty. */
  readonly ignoreValue?: boolean | undefined
  /** Keep the lease that is there. */
  readonly ignoreLease?: boolean | undefined
}

/** What a write did. */
export interface PutResult {
  /** Of this write. */
  readonly revision: number
  /** Only when asked for; undefined: the key was new. */
  readonly previous: Entry | undefined
}

/** What else a deletion tells. */
export interface DeleteOptions {
  /** Tell what was deleted. */
  readonly previous?: boolean | undefined
}

/** What a deletion did; that no key was there is no error. */
export interface DeleteResult {
  /** Of this write, or of the store where nothing was deleted. */
  readonly revision: number
  readonly deleted: number
  /** Only when asked for. */
  readonly previous: ReadonlyArray<Entry>
}

const targets: Readonly<Record<SortBy, number>> = {
  key: SortTarget.Key,
  value: SortTarget.Value,
  version: SortTarget.Version,
  createRevision: SortTarget.Create,
  modRevision: SortTarget.Mod
}

export const rangeRequest = (span: KeySpan, options: RangeOptions = {}): RangeRequest => ({
  ...span,
  limit: options.limit ?? 0,
  revision: options.revision ?? 0,
  sortOrder:
    options.sort === undefined
      ? SortOrder.None
      : options.sort.order === "descending"
        ? SortOrder.Descend
        : SortOrder.Ascend,
  sortTarget: targets[options.sort?.by ?? "key"],
  serializable: options.serializable ?? false,
  keysOnly: options.keysOnly ?? false,
  countOnly: options.countOnly ?? false,
  minModRevision: options.minModRevision ?? 0,
  maxModRevision: options.maxModRevision ?? 0,
  minCreateRevision: options.minCreateRevision ?? 0,
  maxCreateRevision: options.maxCreateRevision ?? 0
})

export const rangeResult = (response: RangeResponse): RangeResult => ({
  revision: response.header?.revision ?? 0,
  entries: response.kvs.map((kv) => new Entry(kv)),
  count: response.count,
  more: response.more
})

const leaseId = (lease: PutOptions["lease"]): bigint =>
  lease === undefined ? 0n : typeof lease === "bigint" ? lease : lease.id

export const putRequest = (key: Bytes, value: Bytes, options: PutOptions = {}): PutRequest => ({
  key: toBytes(key),
  value: toBytes(value),
  lease: leaseId(options.lease),
  prevKv: options.previous ?? false,
  ignoreValue: options.ignoreValue ?? false,
  ignoreLease: options.ignoreLease ?? false
})

export const putResult = (response: PutResponse): PutResult => ({
  revision: response.header?.revision ?? 0,
  previous: entryOf(response.prevKv)
})

export const deleteRequest = (keys: Keys, options: DeleteOptions = {}): DeleteRangeRequest => ({
  ...spanOf(keys),
  prevKv: options.previous ?? false
})

export const deleteResult = (response: DeleteRangeResponse): DeleteResult => ({
  revision: response.header?.revision ?? 0,
  deleted: response.deleted,
  previous: response.prevKvs.map((kv) => new Entry(kv))
})
