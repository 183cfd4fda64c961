/** A version as etcd stores it: the key is its revision, the value a KeyValue. HashKV and exported files are made of it. */
import { emptyBytes, type LogRecord } from "../log/record.ts"
import { writeKeyValue } from "../wire/codec/common.ts"
import type { Writer } from "../wire/protobuf.ts"

const two32 = 4294967296

/** Main and sub revision, 8 bytes each, big-endian, `_` between them. */
export const writeRevision = (writer: Writer, revision: number, sub: number): void => {
  writeInt64(writer, revision)
  writer.byte(0x5f)
  writeInt64(writer, sub)
}

/** A tombstone's key has a `t` behind the revision. */
export const writeRowKey = (writer: Writer, record: LogRecord): void => {
  writeRevision(writer, record.revision, record.sub)
  if (record.deleted) writer.byte(0x74)
}

/** Of a tombstone nothing but the key is stored. */
export const writeRowValue = (writer: Writer, record: LogRecord): void => {
  const { createRevision, deleted, key, lease, revision, value, version } = record
  if (deleted) writeKeyValue(writer, { ...tombstone, key })
  else writeKeyValue(writer, { key, createRevision, modRevision: revision, version, value, lease })
}

const tombstone = { createRevision: 0, modRevision: 0, version: 0, value: emptyBytes, lease: 0n }

const writeInt64 = (writer: Writer, value: number): void => {
  for (const word of [Math.floor(value / two32), value >>> 0]) {
    for (let shift = 24; shift >= 0; shift -= 8) writer.byte((word >>> shift) & 0xff)
  }
}
