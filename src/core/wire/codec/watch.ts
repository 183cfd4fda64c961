/** `etcdserverpb.Watch`. */
import { emptyBytes } from "../../log/record.ts"
import type { Event, KeyValue, ResponseHeader, WatchCreateRequest, WatchRequest, WatchResponse } from "../messages.ts"
import { type Reader, WireType, type Writer } from "../protobuf.ts"
import {
  decodeMessage,
  encodeMessage,
  int64Size,
  keyValueFieldSize,
  nested,
  readEmpty,
  readHeader,
  readKeyValue,
  writeHeader,
  writeKeyValueField,
  writeNested
} from "./common.ts"

const emptyKeyValue: KeyValue = {
  key: emptyBytes,
  createRevision: 0,
  modRevision: 0,
  version: 0,
  value: emptyBytes,
  lease: 0n
}

const writeCreate = (writer: Writer, create: WatchCreateRequest): void => {
  writer.bytesField(1, create.key)
  writer.bytesField(2, create.rangeEnd)
  writer.int64Field(3, create.startRevision)
  writer.boolField(4, create.progressNotify)
  if (create.filters.length > 0) {
    const mark = writer.open(5)
    for (const filter of create.filters) writer.varint(filter)
    writer.close(mark)
  }
  writer.boolField(6, create.prevKv)
  writer.bigintField(7, create.watchId)
  writer.boolField(8, create.fragment)
}

const readCreate = (reader: Reader): WatchCreateRequest => {
  let key = emptyBytes
  let rangeEnd = emptyBytes
  let startRevision = 0
  let progressNotify = false
  const filters: Array<number> = []
  let prevKv = false
  let watchId = 0n
  let fragment = false
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
        startRevision = reader.int64Clamped()
        break
      case 32:
        progressNotify = reader.bool()
        break
      case 40:
        filters.push(reader.int32())
        break
      case 42: {
        // Packed, as proto3 writes repeated enums.
        const outer = reader.enter()
        while (!reader.done()) filters.push(reader.int32())
        reader.leave(outer)
        break
      }
      case 48:
        prevKv = reader.bool()
        break
      case 56:
        watchId = reader.int64()
        break
      case 64:
        fragment = reader.bool()
        break
      default:
        reader.unknown(tag, 8)
    }
  }
  return { key, rangeEnd, startRevision, progressNotify, filters, prevKv, watchId, fragment }
}

const writeCancel = (writer: Writer, watchId: bigint): void => writer.bigintField(1, watchId)

const readCancel = (reader: Reader): bigint => {
  let watchId = 0n
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) watchId = reader.int64()
    else reader.unknown(tag, 1)
  }
  return watchId
}

const writeWatchRequest = (writer: Writer, request: WatchRequest): void => {
  switch (request.kind) {
    case "create":
      return writeNested(writer, 1, request.create, writeCreate)
    case "cancel":
      return writeNested(writer, 2, request.watchId, writeCancel)
    case "progress":
      return writer.close(writer.open(3))
    case "none":
  }
}

const readWatchRequest = (reader: Reader): WatchRequest => {
  let request: WatchRequest = { kind: "none" }
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) request = { kind: "create", create: nested(reader, readCreate) }
    else if (tag === 18) request = { kind: "cancel", watchId: nested(reader, readCancel) }
    else if (tag === 26) {
      nested(reader, readEmpty)
      request = { kind: "progress" }
    } else reader.unknown(tag, 3)
  }
  return request
}

const eventSize = (event: Event): number =>
  int64Size(event.type) +
  keyValueFieldSize(event.kv) +
  (event.prevKv === undefined ? 0 : keyValueFieldSize(event.prevKv))

const writeEvent = (writer: Writer, event: Event): void => {
  writer.tag(11, WireType.Bytes)
  writer.varint(eventSize(event))
  writer.int64Field(1, event.type)
  writeKeyValueField(writer, 2, event.kv)
  if (event.prevKv !== undefined) writeKeyValueField(writer, 3, event.prevKv)
}

const readEvent = (reader: Reader): Event => {
  let type = 0
  let kv = emptyKeyValue
  let prevKv: KeyValue | undefined
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) type = reader.int32()
    else if (tag === 18) kv = nested(reader, readKeyValue)
    else if (tag === 26) prevKv = nested(reader, readKeyValue)
    else reader.unknown(tag, 3)
  }
  return { type, kv, prevKv }
}

const writeWatchResponse = (writer: Writer, response: WatchResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  writer.bigintField(2, response.watchId)
  writer.boolField(3, response.created)
  writer.boolField(4, response.canceled)
  writer.int64Field(5, response.compactRevision)
  writer.stringField(6, response.cancelReason)
  writer.boolField(7, response.fragment)
  for (const event of response.events) writeEvent(writer, event)
}

const readWatchResponse = (reader: Reader): WatchResponse => {
  let header: ResponseHeader | undefined
  let watchId = 0n
  let created = false
  let canceled = false
  let compactRevision = 0
  let cancelReason = ""
  let fragment = false
  const events: Array<Event> = []
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        header = nested(reader, readHeader)
        break
      case 16:
        watchId = reader.int64()
        break
      case 24:
        created = reader.bool()
        break
      case 32:
        canceled = reader.bool()
        break
      case 40:
        compactRevision = reader.int64Clamped()
        break
      case 50:
        cancelReason = reader.string()
        break
      case 56:
        fragment = reader.bool()
        break
      case 90:
        events.push(nested(reader, readEvent))
        break
      default:
        if (Math.floor(tag / 8) === 11) reader.unknown(tag, 11)
        reader.unknown(tag, 7)
    }
  }
  return { header, watchId, created, canceled, compactRevision, cancelReason, fragment, events }
}

export const encodeWatchRequest = (message: WatchRequest) => encodeMessage(message, writeWatchRequest)
export const decodeWatchRequest = (bytes: Uint8Array) => decodeMessage(bytes, readWatchRequest)
export const encodeWatchResponse = (message: WatchResponse) => encodeMessage(message, writeWatchResponse)
export const decodeWatchResponse = (bytes: Uint8Array) => decodeMessage(bytes, readWatchResponse)
