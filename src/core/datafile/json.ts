/**
 * Data files as JSON for people and their tools: protobuf's JSON form, as Netsy's `read-netsy-file` prints it. Names in
 * lowerCamelCase, 64-bit numbers as strings, bytes in base64, times in RFC 3339, defaults left out.
 */
import { AlarmAction, AlarmType, decodeOp, MemberAction, type Op } from "../log/op.ts"
import { PermissionType } from "../log/opAuth.ts"
import type { LogRecord, Timestamp } from "../log/record.ts"
import { MalformedMessage, Writer } from "../wire/protobuf.ts"
import { Crc64 } from "./crc64.ts"
import { writeRecord } from "./record.ts"
import { FileCompression, type FileFooter, type FileHeader, FileKind } from "./types.ts"

type Json = string | number | boolean | ReadonlyArray<Json> | { readonly [name: string]: Json }
type Fields = Readonly<Record<string, Json | undefined>>

/** Without what is a default. */
const compact = (fields: Fields): Json => {
  const out: Record<string, Json> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === "" || value === "0" || value === 0 || value === false) continue
    out[name] = value
  }
  return out
}

const base64 = (bytes: Uint8Array): string => {
  let binary = ""
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(binary)
}

const uint64 = (high: number, low: number): string => ((BigInt(high) << 32n) | BigInt(low)).toString()

const pad = (value: number, digits: number): string => String(value).padStart(digits, "0")

/** RFC 3339 in UTC, with 0, 3, 6 or 9 digits of the second. Days to dates: Howard Hinnant's `civil_from_days`. */
export const rfc3339 = ({ seconds, nanos }: Timestamp): string => {
  const days = Math.floor(seconds / 86400)
  const rest = seconds - days * 86400
  const z = days + 719468
  const era = Math.floor(z / 146097)
  const dayOfEra = z - era * 146097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const digits = nanos === 0 ? 0 : nanos % 1_000_000 === 0 ? 3 : nanos % 1000 === 0 ? 6 : 9
  const fraction = digits === 0 ? "" : `.${pad(nanos, 9).slice(0, digits)}`
  const time = `${pad(Math.floor(rest / 3600), 2)}:${pad(Math.floor(rest / 60) % 60, 2)}:${pad(rest % 60, 2)}${fraction}`
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${time}Z`
}

const time = (value: Timestamp | undefined): string | undefined => (value === undefined ? undefined : rfc3339(value))

const nameOf = (prefix: string, names: Readonly<Record<string, number>>, value: number): Json => {
  const found = Object.entries(names).find(([, number]) => number === value)
  return found === undefined ? value : prefix + found[0].toUpperCase()
}

export const headerJson = (header: FileHeader): Json =>
  compact({
    schemaVersion: header.schemaVersion,
    kind: nameOf("KIND_", FileKind, header.kind),
    compression: nameOf("COMPRESSION_", FileCompression, header.compression),
    recordsCount: String(header.recordsCount),
    leaderId: header.leaderId,
    createdAt: time(header.createdAt),
    term: String(header.term),
    firstIndex: String(header.firstIndex),
    compactionRevision: String(header.compactionRevision),
    prevTerm: String(header.prevTerm),
    stored: String(header.stored),
    lastIndex: String(header.lastIndex),
    lastTerm: String(header.lastTerm)
  })

export const footerJson = (footer: FileFooter): Json =>
  compact({
    recordsCrc: uint64(footer.recordsCrcHigh, footer.recordsCrcLow),
    firstRevision: String(footer.firstRevision),
    lastRevision: String(footer.lastRevision)
  })

const crcOf = (record: LogRecord, headerTerm: number): string => {
  const crc = new Crc64()
  writeRecord(new Writer(), record, headerTerm, crc)
  return uint64(crc.high, crc.low)
}

/** The record as its file has it: index and term only where they are not implied. */
export const recordJson = (record: LogRecord, headerTerm: number): Json =>
  compact({
    crc: crcOf(record, headerTerm),
    revision: String(record.revision),
    key: base64(record.key),
    created: record.created,
    deleted: record.deleted,
    createRevision: String(record.createRevision),
    prevRevision: String(record.prevRevision),
    version: String(record.version),
    lease: String(record.lease),
    dek: String(record.dek),
    value: base64(record.value),
    createdAt: time(record.createdAt),
    compactedAt: time(record.compactedAt),
    leaderId: record.leaderId,
    replicatedAt: time(record.replicatedAt),
    index: record.index === record.revision ? undefined : String(record.index),
    term: record.term === headerTerm ? undefined : String(record.term),
    sub: String(record.sub),
    op: record.op === undefined ? undefined : opBytesJson(record.op)
  })

const opBytesJson = (bytes: Uint8Array): Json => {
  try {
    return opJson(decodeOp(bytes))
  } catch (error) {
    if (error instanceof MalformedMessage) return { unknown: base64(bytes) }
    throw error
  }
}

/** One member named by the operation, like protobuf's oneof. */
export const opJson = (op: Op): Json => {
  switch (op.kind) {
    case "noOp":
      return { noOp: {} }
    case "leaseGrant":
      return {
        leaseGrant: compact({
          id: String(op.id),
          ttlSeconds: String(op.ttlSeconds),
          remainingTtlSeconds: String(op.remainingTtlSeconds)
        })
      }
    case "leaseRevoke":
      return { leaseRevoke: compact({ id: String(op.id) }) }
    case "leaseCheckpoint":
      return {
        leaseCheckpoint: {
          leases: op.leases.map((l) =>
            compact({ id: String(l.id), remainingTtlSeconds: String(l.remainingTtlSeconds) })
          )
        }
      }
    case "compaction":
      return { compaction: compact({ revision: String(op.revision), physical: op.physical }) }
    case "alarm":
      return {
        alarm: compact({
          memberId: String(op.memberId),
          type: nameOf("", AlarmType, op.type),
          action: nameOf("", AlarmAction, op.action)
        })
      }
    case "auth":
      return { auth: authJson(op.auth) }
    case "member":
      return {
        member: compact({
          action: nameOf("", MemberAction, op.member.action),
          memberId: String(op.member.memberId),
          nodeId: op.member.nodeId,
          peerUrls: [...op.member.peerUrls],
          clientUrls: [...op.member.clientUrls],
          isLearner: op.member.isLearner
        })
      }
  }
}

type Auth = Extract<Op, { kind: "auth" }>["auth"]

const permissionJson = (permission: { type: number; key: Uint8Array; rangeEnd: Uint8Array }): Json =>
  compact({
    type: nameOf("", PermissionType, permission.type),
    key: base64(permission.key),
    rangeEnd: base64(permission.rangeEnd)
  })

/** Password hashes are left out: what is printed ends up in tickets. */
const authJson = ({ authRevision, change }: Auth): Json => {
  const fields: Record<string, Json | undefined> = {}
  if ("name" in change) fields["name"] = change.name
  if ("role" in change) fields["role"] = change.role
  if ("roles" in change) fields["roles"] = [...change.roles]
  if ("enabled" in change) fields["enabled"] = change.enabled
  if ("noPassword" in change) fields["noPassword"] = change.noPassword
  if ("permission" in change) fields["permission"] = permissionJson(change.permission)
  if ("permissions" in change) fields["permissions"] = change.permissions.map(permissionJson)
  if ("key" in change) fields["key"] = base64(change.key)
  if ("rangeEnd" in change) fields["rangeEnd"] = base64(change.rangeEnd)
  return compact({ authRevision: String(authRevision), [change.kind]: compact(fields) })
}
