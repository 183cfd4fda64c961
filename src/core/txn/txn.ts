/**
 * A Txn as etcd runs it: compares of the whole tree first (T9), then the checks of the taken branch (T6), then the
 * operations in order, each seeing what the ones before wrote (T7). Response as in T8.
 */
import { assert } from "../assert.ts"
import type { LogRecord } from "../log/record.ts"
import { keyString } from "../mvcc/keys.ts"
import { fillCold, range, type RangeOutcome, rangeResponse } from "../mvcc/range.ts"
import type { MvccStore } from "../mvcc/store.ts"
import type { Version } from "../mvcc/version.ts"
import { type EtcdError, errors, isEtcdError } from "../wire/errors.ts"
import type {
  PutRequest,
  RangeRequest,
  RequestOp,
  ResponseHeader,
  ResponseOp,
  TxnRequest,
  TxnResponse
} from "../wire/messages.ts"
import { takenBranch, takenPath } from "./compare.ts"
import { deleteRange, previous, putRecord, refusePutInTxn, type WriteContext, type Written } from "./evaluate.ts"

/** A range inside a Txn whose response waits for cold values. */
interface Unfinished {
  readonly outcome: RangeOutcome
  readonly header: ResponseHeader
  readonly responses: Array<ResponseOp>
  readonly at: number
}

export interface TxnOutcome extends Written<TxnResponse> {
  /**
   * The state that was read (head for writes). An answer without records may only be given when this revision is
   * committed.
   */
  readonly readRevision: number
  /** Versions whose values must be read before the response is complete; most often none. */
  readonly cold: ReadonlyArray<Version>
  readonly unfinished: ReadonlyArray<Unfinished>
}

/** Rule T7: only ranges in both branches, nothing nested. Such a Txn is a read and takes the read path. */
export const isReadOnlyTxn = (request: TxnRequest): boolean =>
  request.success.every(isRange) && request.failure.every(isRange)

/** Of a read-only Txn: whether it may be answered from local, possibly stale state. */
export const isSerializableTxn = (request: TxnRequest): boolean =>
  request.success.every(isSerializable) && request.failure.every(isSerializable)

const isRange = (op: RequestOp): boolean => op.kind === "range"
const isSerializable = (op: RequestOp): boolean => op.kind === "range" && op.range.serializable

/** Against head. Nothing is written, and the store is unchanged, when it fails; the caller applies the records. */
export const evaluateTxn = (store: MvccStore, request: TxnRequest, context: WriteContext): TxnOutcome | EtcdError => {
  assert(
    context.revision === store.headRevision + 1,
    `evaluation for revision ${context.revision}, the store is at ${store.headRevision}`
  )
  return new Execution(store, store.headRevision, context).run(request)
}

/** A read-only Txn at `view`, the committed revision. */
export const readTxn = (store: MvccStore, request: TxnRequest, view: number): TxnOutcome | EtcdError => {
  assert(isReadOnlyTxn(request), "only reads are answered without taking a place in the log")
  return new Execution(store, view, undefined).run(request)
}

/** Completes the response in place with the values of `outcome.cold`, in that order; undefined: one was compacted. */
export const fillTxn = (
  outcome: TxnOutcome,
  values: ReadonlyArray<Uint8Array | undefined>
): TxnResponse | EtcdError => {
  let next = 0
  for (const { at, header, outcome: found, responses } of outcome.unfinished) {
    const filled = fillCold(found, values.slice(next, next + found.cold.length))
    if (isEtcdError(filled)) return filled
    next += found.cold.length
    responses[at] = { kind: "range", range: rangeResponse(filled, header) }
  }
  return outcome.response
}

const noRecords: ReadonlyArray<LogRecord> = []
const noVersions: ReadonlyArray<Version> = []
const nothingUnfinished: ReadonlyArray<Unfinished> = []

class Execution {
  readonly #store: MvccStore
  /** The revision that counts as current before the Txn. */
  readonly #begin: number
  readonly #context: WriteContext | undefined
  readonly #records: Array<LogRecord> = []
  /** How many of the records are applied to the store, for later operations to see; undone at the end. */
  #applied = 0
  #puts: Set<string> | undefined = undefined
  #deletes = false
  #unfinished: Array<Unfinished> | undefined = undefined
  #path: ReadonlyArray<boolean> = []
  #step = 0

  constructor(store: MvccStore, begin: number, context: WriteContext | undefined) {
    this.#store = store
    this.#begin = begin
    this.#context = context
  }

  run(request: TxnRequest): TxnOutcome | EtcdError {
    this.#path = takenPath(this.#store, request, this.#begin, [])
    const refused = this.#check(request)
    if (refused !== undefined) return refused
    this.#step = 0
    const response = this.#execute(request, undefined)
    if (this.#applied > 0) this.#store.undoTo(this.#begin)
    if (isEtcdError(response)) return response
    const unfinished = this.#unfinished
    return {
      records: this.#records.length === 0 ? noRecords : this.#records,
      response,
      readRevision: this.#begin,
      cold: unfinished === undefined ? noVersions : unfinished.flatMap(({ outcome }) => outcome.cold),
      unfinished: unfinished ?? nothingUnfinished
    }
  }

  #branch(request: TxnRequest): ReadonlyArray<RequestOp> {
    return takenBranch(request, this.#path[this.#step++]!)
  }

  /** Rule T6, in the order of the operations. */
  #check(request: TxnRequest): EtcdError | undefined {
    for (const op of this.#branch(request)) {
      let refused: EtcdError | undefined
      if (op.kind === "range") refused = this.#checkRange(op.range)
      else if (op.kind === "put") refused = this.#checkPut(op.put)
      else if (op.kind === "txn") refused = this.#check(op.txn)
      if (refused !== undefined) return refused
    }
    return undefined
  }

  /** Unlike in a plain Range, a revision below zero is a revision. */
  #checkRange(request: RangeRequest): EtcdError | undefined {
    const floor = this.#context === undefined ? this.#store.compactRevision : this.#store.headCompactRevision
    if (request.revision === 0) return undefined
    if (request.revision > this.#begin) return errors.futureRevision
    return request.revision < floor ? errors.compacted : undefined
  }

  #checkPut(request: PutRequest): EtcdError | undefined {
    assert(this.#context !== undefined, "a read-only Txn puts nothing")
    const needed = request.ignoreValue || request.ignoreLease
    const current = needed ? this.#store.liveAt(keyString(request.key), this.#begin) : undefined
    return refusePutInTxn(request, current, this.#context)
  }

  #execute(request: TxnRequest, header: ResponseHeader | undefined): TxnResponse | EtcdError {
    const succeeded = this.#path[this.#step]!
    const ops = this.#branch(request)
    const responses: Array<ResponseOp> = []
    for (const op of ops) {
      const response = this.#executeOp(op, responses)
      if (isEtcdError(response)) return response
      responses.push(response)
    }
    return { header, succeeded, responses }
  }

  #executeOp(op: RequestOp, responses: Array<ResponseOp>): ResponseOp | EtcdError {
    switch (op.kind) {
      case "range":
        return this.#range(op.range, responses)
      case "put":
        return this.#put(op.put)
      case "deleteRange": {
        assert(this.#context !== undefined, "a read-only Txn deletes nothing")
        this.#flush()
        const response = deleteRange(this.#store, op.deleteRange, this.#context, this.#records, undefined)
        if (response.deleted > 0) this.#deletes = true
        return { kind: "deleteRange", deleteRange: { ...response, header: this.#header() } }
      }
      case "txn": {
        const response = this.#execute(op.txn, emptyHeader)
        return isEtcdError(response) ? response : { kind: "txn", txn: response }
      }
      case "none":
        return errors.keyNotFound
    }
  }

  #range(request: RangeRequest, responses: Array<ResponseOp>): ResponseOp | EtcdError {
    this.#flush()
    const header = this.#header()
    const outcome = range(this.#store, request, header.revision)
    if (isEtcdError(outcome)) return outcome
    if (outcome.cold.length === 0) return { kind: "range", range: rangeResponse(outcome, header) }
    this.#unfinished ??= []
    this.#unfinished.push({ outcome, header, responses, at: responses.length })
    return { kind: "range", range: { header, kvs: [], more: outcome.more, count: outcome.count } }
  }

  #put(request: PutRequest): ResponseOp | EtcdError {
    const context = this.#context
    assert(context !== undefined, "a read-only Txn puts nothing")
    const key = keyString(request.key)
    // A key is put once a path (rule T4), so that puts alone need not see each other.
    if (this.#deletes || this.#puts?.has(key) === true) this.#flush()
    const current = this.#store.liveAt(key, this.#store.headRevision)
    // Only what rule T4 lets through, a delete of this key before, can make this fail after the check.
    const refused = refusePutInTxn(request, current, context)
    if (refused !== undefined) return refused
    this.#records.push(putRecord(request, current, this.#records.length, context))
    this.#puts ??= new Set()
    this.#puts.add(key)
    return { kind: "put", put: { header: this.#header(), prevKv: previous(request.prevKv, current) } }
  }

  /** Lets later operations see the records so far. */
  #flush(): void {
    while (this.#applied < this.#records.length) this.#store.apply(this.#records[this.#applied++]!)
  }

  /** Rule H6: the revision in progress. */
  #header(): ResponseHeader {
    const revision = this.#records.length > 0 ? this.#begin + 1 : this.#begin
    return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 }
  }
}

/** A nested Txn's header is present and empty. */
const emptyHeader: ResponseHeader = { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 }
