/** `etcdserverpb.KV/Txn`: compares, operations, and Txns inside Txns (depth bounded by the Reader). */
import { emptyBytes } from "../../log/record.ts"
import type { Compare, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse } from "../messages.ts"
import { type Reader, WireType, type Writer } from "../protobuf.ts"
import { decodeMessage, encodeMessage, nested, readHeader, writeHeader, writeNested } from "./common.ts"
import {
  readDeleteRangeRequest,
  readDeleteRangeResponse,
  readPutRequest,
  readPutResponse,
  readRangeRequest,
  readRangeResponse,
  writeDeleteRangeRequest,
  writeDeleteRangeResponse,
  writePutRequest,
  writePutResponse,
  writeRangeRequest,
  writeRangeResponse
} from "./kv.ts"

const unionField = { version: 4, create: 5, mod: 6, value: 7, lease: 8 } as const

const writeCompare = (writer: Writer, compare: Compare): void => {
  writer.int64Field(1, compare.result)
  writer.int64Field(2, compare.target)
  writer.bytesField(3, compare.key)
  const union = compare.targetUnion
  // A member of a oneof is written even when it is zero.
  if (union !== undefined) {
    writer.tag(unionField[union.kind], union.kind === "value" ? WireType.Bytes : WireType.Varint)
    if (union.kind === "value") writer.bytes(union.value)
    else if (union.kind === "lease") writer.varint64(union.lease)
    else writer.varint(union.number)
  }
  writer.bytesField(64, compare.rangeEnd)
}

const readCompare = (reader: Reader): Compare => {
  let result = 0
  let target = 0
  let key = emptyBytes
  let rangeEnd = emptyBytes
  let targetUnion: Compare["targetUnion"]
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 8:
        result = reader.int32()
        break
      case 16:
        target = reader.int32()
        break
      case 26:
        key = reader.bytes()
        break
      case 32:
        targetUnion = { kind: "version", number: reader.int64Clamped() }
        break
      case 40:
        targetUnion = { kind: "create", number: reader.int64Clamped() }
        break
      case 48:
        targetUnion = { kind: "mod", number: reader.int64Clamped() }
        break
      case 58:
        targetUnion = { kind: "value", value: reader.bytes() }
        break
      case 64:
        targetUnion = { kind: "lease", lease: reader.int64() }
        break
      case 514:
        rangeEnd = reader.bytes()
        break
      default:
        if (Math.floor(tag / 8) === 64) reader.unknown(tag, 64)
        reader.unknown(tag, 8)
    }
  }
  return { result, target, key, rangeEnd, targetUnion }
}

const writeRequestOp = (writer: Writer, op: RequestOp): void => {
  switch (op.kind) {
    case "range":
      return writeNested(writer, 1, op.range, writeRangeRequest)
    case "put":
      return writeNested(writer, 2, op.put, writePutRequest)
    case "deleteRange":
      return writeNested(writer, 3, op.deleteRange, writeDeleteRangeRequest)
    case "txn":
      return writeNested(writer, 4, op.txn, writeTxnRequest)
    case "none":
  }
}

const readRequestOp = (reader: Reader): RequestOp => {
  let op: RequestOp = { kind: "none" }
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        op = { kind: "range", range: nested(reader, readRangeRequest) }
        break
      case 18:
        op = { kind: "put", put: nested(reader, readPutRequest) }
        break
      case 26:
        op = { kind: "deleteRange", deleteRange: nested(reader, readDeleteRangeRequest) }
        break
      case 34:
        op = { kind: "txn", txn: nested(reader, readTxnRequest) }
        break
      default:
        reader.unknown(tag, 4)
    }
  }
  return op
}

const writeTxnRequest = (writer: Writer, request: TxnRequest): void => {
  for (const compare of request.compare) writeNested(writer, 1, compare, writeCompare)
  for (const op of request.success) writeNested(writer, 2, op, writeRequestOp)
  for (const op of request.failure) writeNested(writer, 3, op, writeRequestOp)
}

const readTxnRequest = (reader: Reader): TxnRequest => {
  const compare: Array<Compare> = []
  const success: Array<RequestOp> = []
  const failure: Array<RequestOp> = []
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) compare.push(nested(reader, readCompare))
    else if (tag === 18) success.push(nested(reader, readRequestOp))
    else if (tag === 26) failure.push(nested(reader, readRequestOp))
    else reader.unknown(tag, 3)
  }
  return { compare, success, failure }
}

const writeResponseOp = (writer: Writer, op: ResponseOp): void => {
  switch (op.kind) {
    case "range":
      return writeNested(writer, 1, op.range, writeRangeResponse)
    case "put":
      return writeNested(writer, 2, op.put, writePutResponse)
    case "deleteRange":
      return writeNested(writer, 3, op.deleteRange, writeDeleteRangeResponse)
    case "txn":
      return writeNested(writer, 4, op.txn, writeTxnResponse)
  }
}

const readResponseOp = (reader: Reader): ResponseOp => {
  let op: ResponseOp | undefined
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        op = { kind: "range", range: nested(reader, readRangeResponse) }
        break
      case 18:
        op = { kind: "put", put: nested(reader, readPutResponse) }
        break
      case 26:
        op = { kind: "deleteRange", deleteRange: nested(reader, readDeleteRangeResponse) }
        break
      case 34:
        op = { kind: "txn", txn: nested(reader, readTxnResponse) }
        break
      default:
        reader.unknown(tag, 4)
    }
  }
  return op ?? reader.fail("a ResponseOp without a response")
}

const writeTxnResponse = (writer: Writer, response: TxnResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  writer.boolField(2, response.succeeded)
  for (const op of response.responses) writeNested(writer, 3, op, writeResponseOp)
}

const readTxnResponse = (reader: Reader): TxnResponse => {
  let header: ResponseHeader | undefined
  let succeeded = false
  const responses: Array<ResponseOp> = []
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) header = nested(reader, readHeader)
    else if (tag === 16) succeeded = reader.bool()
    else if (tag === 26) responses.push(nested(reader, readResponseOp))
    else reader.unknown(tag, 3)
  }
  return { header, succeeded, responses }
}

export const encodeTxnRequest = (message: TxnRequest) => encodeMessage(message, writeTxnRequest)
export const decodeTxnRequest = (bytes: Uint8Array) => decodeMessage(bytes, readTxnRequest)
export const encodeTxnResponse = (message: TxnResponse) => encodeMessage(message, writeTxnResponse)
export const decodeTxnResponse = (bytes: Uint8Array) => decodeMessage(bytes, readTxnResponse)
