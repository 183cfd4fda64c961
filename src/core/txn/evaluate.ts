/**
 * From a write request to the records it adds to the log, and its response. Evaluated against head; the store is the
 * same afterwards, whatever the outcome: the caller applies the records. Requests have passed `check.ts`.
 */
import { assert } from "../assert.ts"
import { emptyBytes, type LogRecord, type Timestamp } from "../log/record.ts"
import { interval, keyString } from "../mvcc/keys.ts"
import { wholeKeyValue } from "../mvcc/range.ts"
import type { MvccStore } from "../mvcc/store.ts"
import type { Version } from "../mvcc/version.ts"
import { type EtcdError, errors } from "../wire/errors.ts"
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  ResponseHeader
} from "../wire/messages.ts"

/** What the Primary knows about the entry that the records will be in. */
export interface WriteContext {
  /** The revision after it: head + 1. */
  readonly revision: number
  readonly index: number
  readonly term: number
  readonly leaderId: string
  readonly createdAt: Timestamp | undefined
  readonly leaseExists: (id: bigint) => boolean
}

export interface Written<Response> {
  /** In execution order, `sub` 0, 1, 2 …; empty: nothing changes and no revision is taken (rule H3). */
  readonly records: ReadonlyArray<LogRecord>
  /** Without its own header; nested ones are filled (rule H6). */
  readonly response: Response
}

export const evaluatePut = (
  store: MvccStore,
  request: PutRequest,
  context: WriteContext
): Written<PutResponse> | EtcdError => {
  const current = store.liveAt(keyString(request.key), store.headRevision)
  const refused = refusePut(request, current, context)
  if (refused !== undefined) return refused
  assertNext(store, context)
  return {
    records: [putRecord(request, current, 0, context)],
    response: { header: undefined, prevKv: previous(request.prevKv, current) }
  }
}

export const evaluateDeleteRange = (
  store: MvccStore,
  request: DeleteRangeRequest,
  context: WriteContext
): Written<DeleteRangeResponse> => {
  assertNext(store, context)
  const records: Array<LogRecord> = []
  return { records, response: deleteRange(store, request, context, records, undefined) }
}

const assertNext = (store: MvccStore, context: WriteContext): void =>
  assert(
    context.revision === store.headRevision + 1,
    `evaluation for revision ${context.revision}, the store is at ${store.headRevision}`
  )

/** Rules P1 and P2, the part that depends on the state. */
const leaseMissing = (request: PutRequest, context: Pick<WriteContext, "leaseExists">): EtcdError | undefined =>
  request.lease !== 0n && !context.leaseExists(request.lease) ? errors.leaseNotFound : undefined

const keyMissing = (request: PutRequest, current: Version | undefined): EtcdError | undefined =>
  (request.ignoreValue || request.ignoreLease) && current === undefined ? errors.keyNotFound : undefined

/** A plain put looks for the lease first. */
const refusePut = (
  request: PutRequest,
  current: Version | undefined,
  context: Pick<WriteContext, "leaseExists">
): EtcdError | undefined => leaseMissing(request, context) ?? keyMissing(request, current)

/** A put in a Txn looks for the key first. */
export const refusePutInTxn = (
  request: PutRequest,
  current: Version | undefined,
  context: Pick<WriteContext, "leaseExists">
): EtcdError | undefined => keyMissing(request, current) ?? leaseMissing(request, context)

export const previous = (wanted: boolean, current: Version | undefined): KeyValue | undefined =>
  wanted && current !== undefined ? wholeKeyValue(current) : undefined

/** Rules P3, P4 and P6. `current` is the live version before, undefined when there is none. */
export const putRecord = (
  request: PutRequest,
  current: Version | undefined,
  sub: number,
  context: WriteContext
): LogRecord => {
  let value = request.value
  let lease = request.lease
  if (request.ignoreValue) {
    assert(current?.value !== undefined, "the current value is in memory")
    value = current.value
  }
  if (request.ignoreLease) lease = current?.lease ?? 0n
  return {
    index: context.index,
    term: context.term,
    sub,
    revision: context.revision,
    key: request.key,
    created: current === undefined,
    deleted: false,
    createRevision: current?.createRevision ?? context.revision,
    prevRevision: current?.modRevision ?? 0,
    version: (current?.version ?? 0) + 1,
    lease,
    dek: 0,
    value,
    createdAt: context.createdAt,
    compactedAt: undefined,
    leaderId: context.leaderId,
    replicatedAt: undefined,
    op: undefined
  }
}

/** Rules D1 and D2. Appends the tombstones to `records`. */
export const deleteRange = (
  store: MvccStore,
  request: DeleteRangeRequest,
  context: WriteContext,
  records: Array<LogRecord>,
  header: ResponseHeader | undefined
): DeleteRangeResponse => {
  const found = store.scan(interval(request.key, request.rangeEnd), store.headRevision, Infinity)
  const prevKvs: Array<KeyValue> = []
  for (const version of found) {
    records.push(tombstone(version, records.length, context))
    if (request.prevKv) prevKvs.push(wholeKeyValue(version))
  }
  return { header, deleted: found.length, prevKvs }
}

/** As Netsy 1.x stores it: with the create revision of what was deleted. */
export const tombstone = (current: Version, sub: number, context: WriteContext): LogRecord => ({
  index: context.index,
  term: context.term,
  sub,
  revision: context.revision,
  key: current.key,
  created: false,
  deleted: true,
  createRevision: current.createRevision,
  prevRevision: current.modRevision,
  version: 0,
  lease: 0n,
  dek: 0,
  value: emptyBytes,
  createdAt: context.createdAt,
  compactedAt: undefined,
  leaderId: context.leaderId,
  replicatedAt: undefined,
  op: undefined
})
