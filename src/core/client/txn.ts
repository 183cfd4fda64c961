/**
 * Transactions: comparisons, and operations that know the type of their answer. `Txn.put("a", "1")` says what to do,
 * `client.txn({ if, then, else })` does it, all or nothing.
 */
import {
  type Compare as WireCompare,
  CompareResult,
  CompareTarget,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse
} from "../wire/messages.ts"
import { type Entry, entryOf } from "./Entry.ts"
import { type Keys, spanOf } from "./keys.ts"
import {
  type DeleteOptions,
  type DeleteResult,
  deleteRequest,
  deleteResult,
  type GetOptions,
  type PutOptions,
  putRequest,
  type PutResult,
  putResult,
  type RangeOptions,
  rangeRequest,
  type RangeResult,
  rangeResult
} from "./requests.ts"
import { type Bytes, toBytes } from "./text.ts"

/** What must hold of one key, or of each of several. */
export interface Comparison {
  /** @internal As etcd's message. */
  readonly wire: WireCompare
}

/** How a key compares with what is given, the key on the left. */
export type Relation = "=" | "!=" | "<" | ">"

/** One step of a transaction, with what it answers. */
export interface Op<out A> {
  /** @internal As etcd's message. */
  readonly wire: RequestOp
  /** @internal From etcd's message. */
  readonly read: (response: ResponseOp) => A
}

/** Steps, done in their order. */
type Ops = ReadonlyArray<Op<unknown>>

/** What each operation answers, in their order. */
export type Answers<O extends Ops> = { readonly [I in keyof O]: O[I] extends Op<infer A> ? A : never }

/** If all comparisons hold, the steps of `then`, else those of `else`. A key may be written once in each. */
export interface TxnSpec<Then extends Ops, Else extends Ops> {
  /** All of them must hold; none: they do. */
  readonly if?: ReadonlyArray<Comparison> | undefined
  readonly then?: Then | undefined
  readonly else?: Else | undefined
}

/** `succeeded` tells which of the two lists was done. */
export type TxnResult<Then extends Ops, Else extends Ops> =
  | { readonly succeeded: true; readonly revision: number; readonly answers: Answers<Then> }
  | { readonly succeeded: false; readonly revision: number; readonly answers: Answers<Else> }

const relations: Readonly<Record<Relation, number>> = {
  "=": CompareResult.Equal,
  "!=": CompareResult.NotEqual,
  "<": CompareResult.Less,
  ">": CompareResult.Greater
}

const compare = (
  keys: Keys,
  relation: Relation,
  target: number,
  targetUnion: WireCompare["targetUnion"]
): Comparison => ({ wire: { ...spanOf(keys), result: relations[relation], target, targetUnion } })

/** How often the key was written; 0: it is not there. */
export const version = (keys: Keys, relation: Relation, number: number): Comparison =>
  compare(keys, relation, CompareTarget.Version, { kind: "version", number })

/** Revision at which the key came into being; 0: it is not there. */
export const createRevision = (keys: Keys, relation: Relation, number: number): Comparison =>
  compare(keys, relation, CompareTarget.Create, { kind: "create", number })

/** Revision of the key's value; 0: it is not there. */
export const modRevision = (keys: Keys, relation: Relation, number: number): Comparison =>
  compare(keys, relation, CompareTarget.Mod, { kind: "mod", number })

/** A key that is not there has no value: nothing holds of it. */
export const value = (keys: Keys, relation: Relation, bytes: Bytes): Comparison =>
  compare(keys, relation, CompareTarget.Value, { kind: "value", value: toBytes(bytes) })

/** The lease that the key ends with; 0n: none, or the key is not there. */
export const lease = (keys: Keys, relation: Relation, id: bigint): Comparison =>
  compare(keys, relation, CompareTarget.Lease, { kind: "lease", lease: id })

/** The key is not there. */
export const absent = (key: Bytes): Comparison => createRevision(key, "=", 0)
/** The key is there. */
export const present = (key: Bytes): Comparison => createRevision(key, ">", 0)
/** Nobody has written the key since this entry was read. */
export const unchanged = (entry: Entry): Comparison => modRevision(entry.keyBytes, "=", entry.modRevision)

const mismatch = (wanted: string, got: string): never => {
  throw new Error(`a ${wanted} was answered as ${got}`)
}

/** Answers the entry; undefined: the key is not there. */
export const get = (key: Bytes, options: GetOptions = {}): Op<Entry | undefined> => ({
  wire: { kind: "range", range: rangeRequest(spanOf(key), options) },
  read: (response) => (response.kind === "range" ? entryOf(response.range.kvs[0]) : mismatch("get", response.kind))
})

/** Answers many entries, within the transaction's own writes so far. */
export const range = (keys: Keys, options: RangeOptions = {}): Op<RangeResult> => ({
  wire: { kind: "range", range: rangeRequest(spanOf(keys), options) },
  read: (response) => (response.kind === "range" ? rangeResult(response.range) : mismatch("range", response.kind))
})

/** Writes one key. */
export const put = (key: Bytes, bytes: Bytes, options: PutOptions = {}): Op<PutResult> => ({
  wire: { kind: "put", put: putRequest(key, bytes, options) },
  read: (response) => (response.kind === "put" ? putResult(response.put) : mismatch("put", response.kind))
})

/** Deletes one key or many. */
const remove = (keys: Keys, options: DeleteOptions = {}): Op<DeleteResult> => ({
  wire: { kind: "deleteRange", deleteRange: deleteRequest(keys, options) },
  read: (response) =>
    response.kind === "deleteRange" ? deleteResult(response.deleteRange) : mismatch("delete", response.kind)
})
export { remove as delete }

/** A transaction inside of a transaction. */
export const txn = <const Then extends Ops = [], const Else extends Ops = []>(
  spec: TxnSpec<Then, Else>
): Op<TxnResult<Then, Else>> => ({
  wire: { kind: "txn", txn: txnRequest(spec) },
  read: (response) => (response.kind === "txn" ? txnResult(spec, response.txn) : mismatch("txn", response.kind))
})

/** @internal As etcd's message. */
export const txnRequest = (spec: TxnSpec<Ops, Ops>): TxnRequest => ({
  compare: (spec.if ?? []).map(({ wire }) => wire),
  success: (spec.then ?? []).map(({ wire }) => wire),
  failure: (spec.else ?? []).map(({ wire }) => wire)
})

const answersOf = <O extends Ops>(ops: O | undefined, responses: ReadonlyArray<ResponseOp>): Answers<O> =>
  (ops ?? []).map((op, i) => op.read(responses[i]!)) as unknown as Answers<O>

/** @internal From etcd's message. */
export const txnResult = <Then extends Ops, Else extends Ops>(
  spec: TxnSpec<Then, Else>,
  { header, responses, succeeded }: TxnResponse
): TxnResult<Then, Else> => {
  const revision = header?.revision ?? 0
  return succeeded
    ? { succeeded, revision, answers: answersOf(spec.then, responses) }
    : { succeeded, revision, answers: answersOf(spec.else, responses) }
}
