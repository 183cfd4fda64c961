/** `etcdserverpb.Maintenance`: Status and Alarm. */
import type {
  AlarmMember,
  AlarmRequest,
  AlarmResponse,
  DowngradeInfo,
  ResponseHeader,
  StatusResponse
} from "../messages.ts"
import type { Reader, Writer } from "../protobuf.ts"
import { decodeMessage, encodeMessage, nested, readEmpty, readHeader, writeHeader, writeNested } from "./common.ts"

const writeDowngradeInfo = (writer: Writer, info: DowngradeInfo): void => {
  writer.boolField(1, info.enabled)
  writer.stringField(2, info.targetVersion)
}

const readDowngradeInfo = (reader: Reader): DowngradeInfo => {
  let enabled = false
  let targetVersion = ""
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) enabled = reader.bool()
    else if (tag === 18) targetVersion = reader.string()
    else reader.unknown(tag, 2)
  }
  return { enabled, targetVersion }
}

const writeStatusResponse = (writer: Writer, response: StatusResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  writer.stringField(2, response.version)
  writer.int64Field(3, response.dbSize)
  writer.bigintField(4, response.leader)
  writer.int64Field(5, response.raftIndex)
  writer.int64Field(6, response.raftTerm)
  writer.int64Field(7, response.raftAppliedIndex)
  for (const error of response.errors) writer.stringElement(8, error)
  writer.int64Field(9, response.dbSizeInUse)
  writer.boolField(10, response.isLearner)
  writer.stringField(11, response.storageVersion)
  writer.int64Field(12, response.dbSizeQuota)
  writeNested(writer, 13, response.downgradeInfo, writeDowngradeInfo)
}

const readStatusResponse = (reader: Reader): StatusResponse => {
  let header: ResponseHeader | undefined
  let version = ""
  let dbSize = 0
  let leader = 0n
  let raftIndex = 0
  let raftTerm = 0
  let raftAppliedIndex = 0
  const errors: Array<string> = []
  let dbSizeInUse = 0
  let isLearner = false
  let storageVersion = ""
  let dbSizeQuota = 0
  let downgradeInfo: DowngradeInfo | undefined
  while (!reader.done()) {
    const tag = reader.tag()
    switch (tag) {
      case 10:
        header = nested(reader, readHeader)
        break
      case 18:
        version = reader.string()
        break
      case 24:
        dbSize = reader.int64Clamped()
        break
      case 32:
        leader = reader.uint64()
        break
      case 40:
        raftIndex = reader.uint64Clamped()
        break
      case 48:
        raftTerm = reader.uint64Clamped()
        break
      case 56:
        raftAppliedIndex = reader.uint64Clamped()
        break
      case 66:
        errors.push(reader.string())
        break
      case 72:
        dbSizeInUse = reader.int64Clamped()
        break
      case 80:
        isLearner = reader.bool()
        break
      case 90:
        storageVersion = reader.string()
        break
      case 96:
        dbSizeQuota = reader.int64Clamped()
        break
      case 106:
        downgradeInfo = nested(reader, readDowngradeInfo)
        break
      default:
        reader.unknown(tag, 13)
    }
  }
  return {
    header,
    version,
    dbSize,
    leader,
    raftIndex,
    raftTerm,
    raftAppliedIndex,
    errors,
    dbSizeInUse,
    isLearner,
    storageVersion,
    dbSizeQuota,
    downgradeInfo
  }
}

const writeAlarmRequest = (writer: Writer, request: AlarmRequest): void => {
  writer.int64Field(1, request.action)
  writer.bigintField(2, request.memberId)
  writer.int64Field(3, request.alarm)
}

const readAlarmRequest = (reader: Reader): AlarmRequest => {
  let action = 0
  let memberId = 0n
  let alarm = 0
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) action = reader.int32()
    else if (tag === 16) memberId = reader.uint64()
    else if (tag === 24) alarm = reader.int32()
    else reader.unknown(tag, 3)
  }
  return { action, memberId, alarm }
}

const writeAlarmMember = (writer: Writer, member: AlarmMember): void => {
  writer.bigintField(1, member.memberId)
  writer.int64Field(2, member.alarm)
}

const readAlarmMember = (reader: Reader): AlarmMember => {
  let memberId = 0n
  let alarm = 0
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) memberId = reader.uint64()
    else if (tag === 16) alarm = reader.int32()
    else reader.unknown(tag, 2)
  }
  return { memberId, alarm }
}

const writeAlarmResponse = (writer: Writer, response: AlarmResponse): void => {
  writeNested(writer, 1, response.header, writeHeader)
  for (const alarm of response.alarms) writeNested(writer, 2, alarm, writeAlarmMember)
}

const readAlarmResponse = (reader: Reader): AlarmResponse => {
  let header: ResponseHeader | undefined
  const alarms: Array<AlarmMember> = []
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) header = nested(reader, readHeader)
    else if (tag === 18) alarms.push(nested(reader, readAlarmMember))
    else reader.unknown(tag, 2)
  }
  return { header, alarms }
}

/** StatusRequest has no fields; what others may have added is passed over. */
export const decodeStatusRequest = (bytes: Uint8Array): void => decodeMessage(bytes, readEmpty)
export const encodeStatusResponse = (message: StatusResponse) => encodeMessage(message, writeStatusResponse)
export const decodeStatusResponse = (bytes: Uint8Array) => decodeMessage(bytes, readStatusResponse)
export const encodeAlarmRequest = (message: AlarmRequest) => encodeMessage(message, writeAlarmRequest)
export const decodeAlarmRequest = (bytes: Uint8Array) => decodeMessage(bytes, readAlarmRequest)
export const encodeAlarmResponse = (message: AlarmResponse) => encodeMessage(message, writeAlarmResponse)
export const decodeAlarmResponse = (bytes: Uint8Array) => decodeMessage(bytes, readAlarmResponse)
