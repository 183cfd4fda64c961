/** Log operations that are not a key's change: their values and their wire form (proto/netsy/op.proto, fixed for good). */
import { MalformedMessage, Reader, Writer } from "../wire/protobuf.ts"
import { type AuthOp, readAuth, writeAuth } from "./opAuth.ts"

/** `Op.Alarm.Type` has etcd's numbers. */
export const AlarmType = { None: 0, NoSpace: 1, Corrupt: 2 } as const
export const AlarmAction = { Activate: 1, Deactivate: 2 } as const
export const MemberAction = { Added: 1, Updated: 2, Removed: 3, Promoted: 4 } as const

export interface LeaseRemaining {
  readonly id: bigint
  readonly remainingTtlSeconds: number
}

export interface MemberNote {
  readonly action: number
  readonly memberId: bigint
  readonly nodeId: string
  readonly peerUrls: ReadonlyArray<string>
  readonly clientUrls: ReadonlyArray<string>
  readonly isLearner: boolean
}

export type Op =
  /** A new Primary's first entry, and padding where a chunk key is taken. */
  | { readonly kind: "noOp" }
  /** `remainingTtlSeconds`: as last checkpointed, 0 for the full time; set in snapshots only. */
  | {
      readonly kind: "leaseGrant"
      readonly id: bigint
      readonly ttlSeconds: number
      readonly remainingTtlSeconds: number
    }
  /** The last record of its entry: the tombstones of the attached keys come first, numbered as in any revision. */
  | { readonly kind: "leaseRevoke"; readonly id: bigint }
  | { readonly kind: "leaseCheckpoint"; readonly leases: ReadonlyArray<LeaseRemaining> }
  | { readonly kind: "compaction"; readonly revision: number; readonly physical: boolean }
  | { readonly kind: "alarm"; readonly memberId: bigint; readonly type: number; readonly action: number }
  | { readonly kind: "auth"; readonly auth: AuthOp }
  | { readonly kind: "member"; readonly member: MemberNote }

export type { AuthChange, AuthOp, Permission } from "./opAuth.ts"

export const noOp: Op = { kind: "noOp" }

export const encodeOp = (op: Op): Uint8Array => {
  const writer = new Writer(64)
  switch (op.kind) {
    case "noOp":
      writer.close(writer.open(1))
      break
    case "leaseGrant": {
      const mark = writer.open(2)
      writer.bigintField(1, op.id)
      writer.int64Field(2, op.ttlSeconds)
      writer.int64Field(3, op.remainingTtlSeconds)
      writer.close(mark)
      break
    }
    case "leaseRevoke": {
      const mark = writer.open(3)
      writer.bigintField(1, op.id)
      writer.close(mark)
      break
    }
    case "leaseCheckpoint": {
      const mark = writer.open(4)
      for (const lease of op.leases) {
        const inner = writer.open(1)
        writer.bigintField(1, lease.id)
        writer.int64Field(2, lease.remainingTtlSeconds)
        writer.close(inner)
      }
      writer.close(mark)
      break
    }
    case "compaction": {
      const mark = writer.open(5)
      writer.int64Field(1, op.revision)
      writer.boolField(2, op.physical)
      writer.close(mark)
      break
    }
    case "alarm": {
      const mark = writer.open(6)
      writer.bigintField(1, op.memberId)
      writer.int64Field(2, op.type)
      writer.int64Field(3, op.action)
      writer.close(mark)
      break
    }
    case "auth": {
      const mark = writer.open(7)
      writeAuth(writer, op.auth)
      writer.close(mark)
      break
    }
    case "member": {
      const mark = writer.open(8)
      const { member } = op
      writer.int64Field(1, member.action)
      writer.bigintField(2, member.memberId)
      writer.stringField(3, member.nodeId)
      for (const url of member.peerUrls) repeatedString(writer, 4, url)
      for (const url of member.clientUrls) repeatedString(writer, 5, url)
      writer.boolField(6, member.isLearner)
      writer.close(mark)
      break
    }
  }
  return writer.finish()
}

/** Throws `MalformedMessage` for bytes that are not an op, and for an op that this version does not know. */
export const decodeOp = (bytes: Uint8Array): Op => {
  const reader = new Reader(bytes)
  const tag = reader.tag()
  if ((tag & 7) !== 2) reader.fail("an op is a message")
  const outer = reader.enter()
  const op = readOp(reader, tag >>> 3)
  reader.leave(outer)
  if (!reader.done()) reader.fail("bytes after the op")
  return op
}

const readOp = (reader: Reader, field: number): Op => {
  switch (field) {
    case 1:
      while (!reader.done()) reader.skip(reader.tag())
      return noOp
    case 2: {
      let id = 0n
      let ttlSeconds = 0
      let remainingTtlSeconds = 0
      while (!reader.done()) {
        const tag = reader.tag()
        if (tag === 8) id = reader.int64()
        else if (tag === 16) ttlSeconds = reader.int64Number()
        else if (tag === 24) remainingTtlSeconds = reader.int64Number()
        else reader.skip(tag)
      }
      return { kind: "leaseGrant", id, ttlSeconds, remainingTtlSeconds }
    }
    case 3: {
      let id = 0n
      while (!reader.done()) {
        const tag = reader.tag()
        if (tag === 8) id = reader.int64()
        else reader.skip(tag)
      }
      return { kind: "leaseRevoke", id }
    }
    case 4: {
      const leases: Array<LeaseRemaining> = []
      while (!reader.done()) {
        const tag = reader.tag()
        if (tag === 10) leases.push(readLeaseRemaining(reader))
        else reader.skip(tag)
      }
      return { kind: "leaseCheckpoint", leases }
    }
    case 5: {
      let revision = 0
      let physical = false
      while (!reader.done()) {
        const tag = reader.tag()
        if (tag === 8) revision = reader.int64Number()
        else if (tag === 16) physical = reader.bool()
        else reader.skip(tag)
      }
      return { kind: "compaction", revision, physical }
    }
    case 6: {
      let memberId = 0n
      let type = 0
      let action = 0
      while (!reader.done()) {
        const tag = reader.tag()
        if (tag === 8) memberId = reader.uint64()
        else if (tag === 16) type = reader.int32()
        else if (tag === 24) action = reader.int32()
        else reader.skip(tag)
      }
      return { kind: "alarm", memberId, type, action }
    }
    case 7:
      return { kind: "auth", auth: readAuth(reader) }
    case 8:
      return { kind: "member", member: readMember(reader) }
    default:
      throw new MalformedMessage(0, `op ${field} is not known to this version`)
  }
}

const readLeaseRemaining = (reader: Reader): LeaseRemaining => {
  const outer = reader.enter()
  let id = 0n
  let remainingTtlSeconds = 0
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) id = reader.int64()
    else if (tag === 16) remainingTtlSeconds = reader.int64Number()
    else reader.skip(tag)
  }
  reader.leave(outer)
  return { id, remainingTtlSeconds }
}

const readMember = (reader: Reader): MemberNote => {
  let action = 0
  let memberId = 0n
  let nodeId = ""
  const peerUrls: Array<string> = []
  const clientUrls: Array<string> = []
  let isLearner = false
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) action = reader.int32()
    else if (tag === 16) memberId = reader.uint64()
    else if (tag === 26) nodeId = reader.string()
    else if (tag === 34) peerUrls.push(reader.string())
    else if (tag === 42) clientUrls.push(reader.string())
    else if (tag === 48) isLearner = reader.bool()
    else reader.skip(tag)
  }
  return { action, memberId, nodeId, peerUrls, clientUrls, isLearner }
}

const repeatedString = (writer: Writer, field: number, text: string): void => {
  writer.tag(field, 2)
  writer.string(text)
}
