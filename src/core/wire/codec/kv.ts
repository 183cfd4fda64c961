/** `etcdserverpb.KV` without Txn: Range, Put, DeleteRange, Compact. */
import { emptyBytes } from "../../log/record.ts"
import type {
  CompactionRequest,
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  ResponseHeader
} from "../messages.ts"
import type { Reader, Writer } from "../protobuf.ts"
import {
  decodeMessage,
  encodeMessage,
  encodeSized,
  headerFieldSize,
  int64Size,
  keyValueFieldSize,
  nested,
  readHeader,
  readKeyValue,
  writeHeader,
  writeKeyValueField,
  writeNested
} from "./common.ts"

export const writeRangeRequest = (writer: Writer, request: RangeRequest): void => {
  writer.bytesField(1, request.key)
  writer.bytesField(2, request.rangeEnd)
  writer.int64Field(3, request.limit)
  writer.int64Field(4, request.revision)
  writer.int64Field(5, request.sortOrder)
  writer.int64Field(6, request.sortTarget)
  writer.boolField(7, request.serializable)
  writer.boolField(8, request.keysOnly)
  writer.boolField(9, request.countOnly)
  writer.int64Field(10, request.minModRevision)
  writer.int64Field(11, request.maxModRevision)
  writer.int64Field(12, request.minCreateRevision)
  writer.int64Field(13, request.maxCreateRevision)
}

export const readRangeRequest = (reader: Reader): RangeRequest => {
  let key = emptyBytes
  let rangeEnd = emptyBytes
  let limit = 0
  let revision = 0
  let sortOrder = 0
  let sortTarget = 0
  let serializable = false
  let keysOnly = false
  let countOnly = false
  let minModRevision = 0
  let maxModRevision = 0
  let minCreateRevision = 0
  let maxCreateRevision = 0
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        key = reader.bytes()
        break
      case 18:
        rangeEnd = reader.bytes()
        break
      case 24:
        limit = reader.int64Clamped()
        break
      case 32:
        revision = reader.int64Clamped()
        break
      case 40:
        sortOrder = reader.int32()
        break
      case 48:
        sortTarget = reader.int32()
        break
      case 56:
        serializable = reader.bool()
        break
      case 64:
        keysOnly = reader.bool()
        break
      case 72:
        countOnly = reader.bool()
        break
      case 80:
        minModRevision = reader.int64Clamped()
        break
      case 88:
        maxModRevision = reader.int64Clamped()
        break
      case 96:
        minCreateRevision = reader.int64Clamped()
        break
      case 104:
        maxCreateRevision = reader.int64Clamped()
        break
      default:
        reader.unknown(tag, 13)
    }
  }
  return {
    key,
    rangeEnd,
    limit,
    revision,
    sortOrder,
    sortTarget,
    serializable,
    keysOnly,
    countOnly,
    minModRevision,
    maxModRevision,
    minCreateRevision,
    maxCreateRevision
  }
}

const rangeResponseSize = (response: RangeResponse): number => {
  let size = headerFieldSize(response.header) + (response.more ? 2 : 0) + int64Size(response.count)
  for (const kv of response.kvs) size += keyValueFieldSize(kv)
  return size
}

export const writeRangeResponse = (writer: Writer, response: RangeResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  for (const kv of response.kvs) writeKeyValueField(writer, 2, kv)
  writer.boolField(3, response.more)
  writer.int64Field(4, response.count)
}

export const readRangeResponse = (reader: Reader): RangeResponse => {
  let header: ResponseHeader | undefined
  const kvs: Array<KeyValue> = []
  let more = false
  let count = 0
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        header = nested(reader, readHeader)
        break
      case 18:
        kvs.push(nested(reader, readKeyValue))
        break
      case 24:
        more = reader.bool()
        break
      case 32:
        count = reader.int64Clamped()
        break
      default:
        reader.unknown(tag, 4)
    }
  }
  return { header, kvs, more, count }
}

export const writePutRequest = (writer: Writer, request: PutRequest): void => {
  writer.bytesField(1, request.key)
  writer.bytesField(2, request.value)
  writer.bigintField(3, request.lease)
  writer.boolField(4, request.prevKv)
  writer.boolField(5, request.ignoreValue)
  writer.boolField(6, request.ignoreLease)
}

export const readPutRequest = (reader: Reader): PutRequest => {
  let key = emptyBytes
  let value = emptyBytes
  let lease = 0n
  let prevKv = false
  let ignoreValue = false
  let ignoreLease = false
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        key = reader.bytes()
        break
      case 18:
        value = reader.bytes()
        break
      case 24:
        lease = reader.int64()
        break
      case 32:
        prevKv = reader.bool()
        break
      case 40:
        ignoreValue = reader.bool()
        break
      case 48:
        ignoreLease = reader.bool()
        break
      default:
        reader.unknown(tag, 6)
    }
  }
  return { key, value, lease, prevKv, ignoreValue, ignoreLease }
}

export const writePutResponse = (writer: Writer, response: PutResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  if (response.prevKv !== undefined) writeKeyValueField(writer, 2, response.prevKv)
}

export const readPutResponse = (reader: Reader): PutResponse => {
  let header: ResponseHeader | undefined
  let prevKv: KeyValue | undefined
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) header = nested(reader, readHeader)
    else if (tag === 18) prevKv = nested(reader, readKeyValue)
    else reader.unknown(tag, 2)
  }
  return { header, prevKv }
}

export const writeDeleteRangeRequest = (writer: Writer, request: DeleteRangeRequest): void => {
  writer.bytesField(1, request.key)
  writer.bytesField(2, request.rangeEnd)
  writer.boolField(3, request.prevKv)
}

export const readDeleteRangeRequest = (reader: Reader): DeleteRangeRequest => {
  let key = emptyBytes
  let rangeEnd = emptyBytes
  let prevKv = false
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) key = reader.bytes()
    else if (tag === 18) rangeEnd = reader.bytes()
    else if (tag === 24) prevKv = reader.bool()
    else reader.unknown(tag, 3)
  }
  return { key, rangeEnd, prevKv }
}

export const writeDeleteRangeResponse = (writer: Writer, response: DeleteRangeResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  writer.int64Field(2, response.deleted)
  for (const kv of response.prevKvs) writeKeyValueField(writer, 3, kv)
}

export const readDeleteRangeResponse = (reader: Reader): DeleteRangeResponse => {
  let header: ResponseHeader | undefined
  let deleted = 0
  const prevKvs: Array<KeyValue> = []
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) header = nested(reader, readHeader)
    else if (tag === 16) deleted = reader.int64Clamped()
    else if (tag === 26) prevKvs.push(nested(reader, readKeyValue))
    else reader.unknown(tag, 3)
  }
  return { header, deleted, prevKvs }
}

const writeCompactionRequest = (writer: Writer, request: CompactionRequest): void => {
  writer.int64Field(1, request.revision)
  writer.boolField(2, request.physical)
}

const readCompactionRequest = (reader: Reader): CompactionRequest => {
  let revision = 0
  let physical = false
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) revision = reader.int64Clamped()
    else if (tag === 16) physical = reader.bool()
    else reader.unknown(tag, 2)
  }
  return { revision, physical }
}

export const encodeRangeRequest = (message: RangeRequest) => encodeMessage(message, writeRangeRequest)
export const decodeRangeRequest = (bytes: Uint8Array) => decodeMessage(bytes, readRangeRequest)
export const encodeRangeResponse = (message: RangeResponse) =>
  encodeSized(rangeResponseSize(message), message, writeRangeResponse)
export const decodeRangeResponse = (bytes: Uint8Array) => decodeMessage(bytes, readRangeResponse)
export const encodePutRequest = (message: PutRequest) => encodeMessage(message, writePutRequest)
export const decodePutRequest = (bytes: Uint8Array) => decodeMessage(bytes, readPutRequest)
export const encodePutResponse = (message: PutResponse) => encodeMessage(message, writePutResponse)
export const decodePutResponse = (bytes: Uint8Array) => decodeMessage(bytes, readPutResponse)
export const encodeDeleteRangeRequest = (message: DeleteRangeRequest) => encodeMessage(message, writeDeleteRangeRequest)
export const decodeDeleteRangeRequest = (bytes: Uint8Array) => decodeMessage(bytes, readDeleteRangeRequest)
export const encodeDeleteRangeResponse = (message: DeleteRangeResponse) =>
  encodeMessage(message, writeDeleteRangeResponse)
export const decodeDeleteRangeResponse = (bytes: Uint8Array) => decodeMessage(bytes, readDeleteRangeResponse)
export const encodeCompactionRequest = (message: CompactionRequest) => encodeMessage(message, writeCompactionRequest)
export const decodeCompactionRequest = (bytes: Uint8Array) => decodeMessage(bytes, readCompactionRequest)
