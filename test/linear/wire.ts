/** Between the requests and answers of a history and etcd's messages. */
import {
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest
} from "../../src/core/wire/codec/kv.ts"
import { decodeTxnResponse, encodeTxnRequest } from "../../src/core/wire/codec/txn.ts"
import {
  CompareResult,
  CompareTarget,
  EventType,
  type KeyValue,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type Compare as WireCompare,
  type WatchResponse as WireWatchResponse
} from "../../src/core/wire/messages.ts"
import type { Answer, Compare, Kv, Request, Result, Span, WatchEvent, WatchResponse } from "./history.ts"
import { rangeOf } from "../support/requests.ts"

const bytesOf = (text: string | undefined): Uint8Array => Buffer.from(text ?? "", "latin1")
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
const spanOf = (key: Uint8Array, rangeEnd: Uint8Array): Span =>
  rangeEnd.length === 0 ? { key: textOf(key) } : { key: textOf(key), end: textOf(rangeEnd) }

const targets = ["version", "create", "mod", "value"] as const
const signs = ["=", ">", "<", "!="] as const

const compareTo = (compare: Compare): WireCompare => ({
  result: {
    "=": CompareResult.Equal,
    ">": CompareResult.Greater,
    "<": CompareResult.Less,
    "!=": CompareResult.NotEqual
  }[compare.is],
  target: {
    version: CompareTarget.Version,
    create: CompareTarget.Create,
    mod: CompareTarget.Mod,
    value: CompareTarget.Value
  }[compare.target],
  key: bytesOf(compare.key),
  rangeEnd: bytesOf(compare.end),
  targetUnion:
    compare.target === "value"
      ? { kind: "value", value: bytesOf(String(compare.than)) }
      : { kind: compare.target, number: Number(compare.than) }
})

const compareFrom = (compare: WireCompare): Compare => {
  const target = targets[compare.target]
  const is = signs[compare.result]
  const { targetUnion } = compare
  if (target === undefined || is === undefined || targetUnion?.kind === "lease")
    throw new Error("a compare that histories do not know")
  const than =
    targetUnion === undefined ? 0 : targetUnion.kind === "value" ? textOf(targetUnion.value) : targetUnion.number
  return { ...spanOf(compare.key, compare.rangeEnd), target, is, than }
}

const toWire = (request: Request): RequestOp => {
  switch (request.kind) {
    case "put":
      return {
        kind: "put",
        put: {
          key: bytesOf(request.key),
          value: bytesOf(request.value),
          lease: 0n,
          prevKv: false,
          ignoreValue: false,
          ignoreLease: false
        }
      }
    case "delete":
      return {
        kind: "deleteRange",
        deleteRange: { key: bytesOf(request.key), rangeEnd: bytesOf(request.end), prevKv: false }
      }
    case "get":
      return {
        kind: "range",
        range: rangeOf(bytesOf(request.key), {
          rangeEnd: bytesOf(request.end),
          limit: request.limit ?? 0,
          revision: request.revision ?? 0,
          serializable: request.serializable ?? false
        })
      }
    case "txn":
      return { kind: "txn", txn: txnTo(request) }
  }
}

const txnTo = (request: Request & { readonly kind: "txn" }): TxnRequest => ({
  compare: request.compares.map(compareTo),
  success: request.success.map(toWire),
  failure: request.failure.map(toWire)
})

/** Without what a history cannot say: leases, sorting, filters, keys only. */
export const fromWire = (op: RequestOp): Request => {
  switch (op.kind) {
    case "put":
      return { kind: "put", key: textOf(op.put.key), value: textOf(op.put.value) }
    case "deleteRange":
      return { kind: "delete", ...spanOf(op.deleteRange.key, op.deleteRange.rangeEnd) }
    case "range": {
      const { key, limit, rangeEnd, revision, serializable } = op.range
      return { kind: "get", ...spanOf(key, rangeEnd), limit, revision, serializable }
    }
    case "txn":
      return {
        kind: "txn",
        compares: op.txn.compare.map(compareFrom),
        success: op.txn.success.map(fromWire),
        failure: op.txn.failure.map(fromWire)
      }
    case "none":
      throw new Error("a request without content")
  }
}

const kvOf = (kv: KeyValue): Kv => ({
  key: textOf(kv.key),
  value: textOf(kv.value),
  create: kv.createRevision,
  mod: kv.modRevision,
  version: kv.version
})

const resultOf = (op: ResponseOp): Result => {
  switch (op.kind) {
    case "put":
      return { kind: "put", previous: op.put.prevKv === undefined ? undefined : kvOf(op.put.prevKv) }
    case "deleteRange": {
      const { deleted, prevKvs } = op.deleteRange
      return { kind: "delete", deleted, previous: prevKvs.length === 0 ? undefined : prevKvs.map(kvOf) }
    }
    case "range":
      return { kind: "get", kvs: op.range.kvs.map(kvOf), count: op.range.count }
    case "txn":
      return { kind: "txn", succeeded: op.txn.succeeded, results: op.txn.responses.map(resultOf) }
  }
}

const headerOf = (op: ResponseOp) => {
  switch (op.kind) {
    case "put":
      return op.put.header
    case "deleteRange":
      return op.deleteRange.header
    case "range":
      return op.range.header
    case "txn":
      return op.txn.header
  }
}

export const answerOf = (op: ResponseOp): Answer => {
  const header = headerOf(op)
  if (header === undefined) throw new Error("an answer without a header")
  return { revision: header.revision, result: resultOf(op) }
}

/** A unary call of `etcdserverpb.KV`. */
export interface KvCall {
  readonly path: string
  readonly body: Uint8Array
  readonly decode: (body: Uint8Array) => Answer
}

export const callOf = (request: Request): KvCall => {
  const op = toWire(request)
  switch (op.kind) {
    case "put":
      return {
        path: "/etcdserverpb.KV/Put",
        body: encodePutRequest(op.put),
        decode: (body) => answerOf({ kind: "put", put: decodePutResponse(body) })
      }
    case "deleteRange":
      return {
        path: "/etcdserverpb.KV/DeleteRange",
        body: encodeDeleteRangeRequest(op.deleteRange),
        decode: (body) => answerOf({ kind: "deleteRange", deleteRange: decodeDeleteRangeResponse(body) })
      }
    case "range":
      return {
        path: "/etcdserverpb.KV/Range",
        body: encodeRangeRequest(op.range),
        decode: (body) => answerOf({ kind: "range", range: decodeRangeResponse(body) })
      }
    case "txn":
      return {
        path: "/etcdserverpb.KV/Txn",
        body: encodeTxnRequest(op.txn),
        decode: (body) => answerOf({ kind: "txn", txn: decodeTxnResponse(body) })
      }
    case "none":
      throw new Error("a request without content")
  }
}

/** Undefined for those that say nothing about the store: of creation and of the end. */
export const watchResponseOf = (response: WireWatchResponse): Omit<WatchResponse, "at"> | undefined => {
  if (response.created || response.canceled || response.header === undefined) return undefined
  return {
    revision: response.header.revision,
    fragment: response.fragment,
    events: response.events.map((event): WatchEvent => {
      const put = event.type === EventType.Put
      return {
        kind: put ? "put" : "delete",
        key: textOf(event.kv.key),
        revision: event.kv.modRevision,
        kv: put ? kvOf(event.kv) : undefined,
        previous: event.prevKv === undefined ? undefined : kvOf(event.prevKv)
      }
    })
  }
}
