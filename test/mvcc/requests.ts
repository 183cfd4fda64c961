/** Short ways to write requests, records and keys in the tests of the store and the Txn evaluator. */
import { emptyBytes, type LogRecord } from "../../src/core/log/record.ts"
import type { MvccStore } from "../../src/core/mvcc/store.ts"
import { evaluateDeleteRange, evaluatePut, type WriteContext, type Written } from "../../src/core/txn/evaluate.ts"
import { evaluateTxn } from "../../src/core/txn/txn.ts"
import { isEtcdError } from "../../src/core/wire/errors.ts"
import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest
} from "../../src/core/wire/messages.ts"
import { rangeOf } from "../support/requests.ts"

/** Bytes of a latin1 string, so that binary keys can be written as text. */
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))
export const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? emptyBytes).toString("latin1")

export const rangeRequest = (key: string, rangeEnd = "", more: Partial<RangeRequest> = {}): RangeRequest =>
  rangeOf(bytes(key), { rangeEnd: bytes(rangeEnd), ...more })

export const putRequest = (key: string, value = "", more: Partial<PutRequest> = {}): PutRequest => ({
  key: bytes(key),
  value: bytes(value),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
  ...more
})

export const deleteRequest = (key: string, rangeEnd = "", prevKv = false): DeleteRangeRequest => ({
  key: bytes(key),
  rangeEnd: bytes(rangeEnd),
  prevKv
})

export const range = (...args: Parameters<typeof rangeRequest>): RequestOp => ({
  kind: "range",
  range: rangeRequest(...args)
})
export const put = (...args: Parameters<typeof putRequest>): RequestOp => ({ kind: "put", put: putRequest(...args) })
export const del = (...args: Parameters<typeof deleteRequest>): RequestOp => ({
  kind: "deleteRange",
  deleteRange: deleteRequest(...args)
})
export const nested = (...args: Parameters<typeof txnRequest>): RequestOp => ({ kind: "txn", txn: txnRequest(...args) })

export const txnRequest = (
  compare: ReadonlyArray<Compare>,
  success: ReadonlyArray<RequestOp> = [],
  failure: ReadonlyArray<RequestOp> = []
): TxnRequest => ({ compare, success, failure })

export const compare = (
  key: string,
  target: number,
  result: number,
  targetUnion: Compare["targetUnion"],
  rangeEnd = ""
): Compare => ({ key: bytes(key), rangeEnd: bytes(rangeEnd), target, result, targetUnion })

export const contextOf = (store: MvccStore, leases: ReadonlyArray<bigint> = []): WriteContext => ({
  revision: store.headRevision + 1,
  index: store.headRevision + 1,
  term: 1,
  leaderId: "node-1",
  createdAt: { seconds: 1, nanos: 0 },
  leaseExists: (id) => leases.includes(id)
})

/** Evaluates a write, which must succeed, applies it, and returns its response. */
const applied = <A>(store: MvccStore, written: Written<A> | { readonly _tag: "EtcdError" }): A => {
  if (isEtcdError(written)) throw new Error(written.message)
  const { records, response } = written as Written<A>
  for (const record of records) store.apply(record)
  return response
}

export const doPut = (store: MvccStore, ...args: Parameters<typeof putRequest>) =>
  applied(store, evaluatePut(store, putRequest(...args), contextOf(store, [1n, 2n, 7n])))
export const doDelete = (store: MvccStore, ...args: Parameters<typeof deleteRequest>) =>
  applied(store, evaluateDeleteRange(store, deleteRequest(...args), contextOf(store)))
export const doTxn = (store: MvccStore, ...args: Parameters<typeof txnRequest>) =>
  applied(store, evaluateTxn(store, txnRequest(...args), contextOf(store, [1n, 2n, 7n])))
export const commitAll = (store: MvccStore): void => store.commit(store.headRevision)

export const record = (revision: number, key: string, more: Partial<LogRecord> = {}): LogRecord => ({
  index: revision,
  term: 1,
  sub: 0,
  revision,
  key: bytes(key),
  created: false,
  deleted: false,
  createRevision: revision,
  prevRevision: 0,
  version: 1,
  lease: 0n,
  dek: 0,
  value: bytes(`${key}@${revision}`),
  createdAt: undefined,
  compactedAt: undefined,
  leaderId: "node-1",
  replicatedAt: undefined,
  op: undefined,
  ...more
})
