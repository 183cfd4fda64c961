/** Messages of `etcdserverpb.Maintenance`. */
import {
  biguint64,
  bool,
  bytes,
  enumeration,
  header,
  int64,
  message,
  optional,
  repeated,
  string,
  strings,
  uint64,
  type Value
} from "./message.ts"

export const AlarmMember = message("AlarmMember", { memberId: biguint64(1), alarm: enumeration(2) })
export type AlarmMember = Value<typeof AlarmMember>
export const AlarmRequest = message("AlarmRequest", {
  action: enumeration(1),
  memberId: biguint64(2),
  alarm: enumeration(3)
})
export type AlarmRequest = Value<typeof AlarmRequest>
export const AlarmResponse = message("AlarmResponse", { header, alarms: repeated(2, AlarmMember) })
export type AlarmResponse = Value<typeof AlarmResponse>

export const DowngradeInfo = message("DowngradeInfo", { enabled: bool(1), targetVersion: string(2) })
export type DowngradeInfo = Value<typeof DowngradeInfo>
export const StatusRequest = message("StatusRequest", {})
export type StatusRequest = Value<typeof StatusRequest>
export const StatusResponse = message("StatusResponse", {
  header,
  version: string(2),
  dbSize: int64(3),
  leader: biguint64(4),
  raftIndex: uint64(5),
  raftTerm: uint64(6),
  raftAppliedIndex: uint64(7),
  errors: strings(8),
  dbSizeInUse: int64(9),
  isLearner: bool(10),
  storageVersion: string(11),
  dbSizeQuota: int64(12),
  downgradeInfo: optional(13, DowngradeInfo)
})
export type StatusResponse = Value<typeof StatusResponse>

export const DefragmentRequest = message("DefragmentRequest", {})
export type DefragmentRequest = Value<typeof DefragmentRequest>
export const DefragmentResponse = message("DefragmentResponse", { header })
export type DefragmentResponse = Value<typeof DefragmentResponse>

export const HashRequest = message("HashRequest", {})
export type HashRequest = Value<typeof HashRequest>
export const HashResponse = message("HashResponse", { header, hash: uint64(2) })
export type HashResponse = Value<typeof HashResponse>
export const HashKVRequest = message("HashKVRequest", { revision: int64(1) })
export type HashKVRequest = Value<typeof HashKVRequest>
export const HashKVResponse = message("HashKVResponse", {
  header,
  hash: uint64(2),
  compactRevision: int64(3),
  hashRevision: int64(4)
})
export type HashKVResponse = Value<typeof HashKVResponse>

export const SnapshotRequest = message("SnapshotRequest", {})
export type SnapshotRequest = Value<typeof SnapshotRequest>
export const SnapshotResponse = message("SnapshotResponse", {
  header,
  remainingBytes: uint64(2),
  blob: bytes(3),
  version: string(4)
})
export type SnapshotResponse = Value<typeof SnapshotResponse>

export const MoveLeaderRequest = message("MoveLeaderRequest", { targetId: biguint64(1) })
export type MoveLeaderRequest = Value<typeof MoveLeaderRequest>
export const MoveLeaderResponse = message("MoveLeaderResponse", { header })
export type MoveLeaderResponse = Value<typeof MoveLeaderResponse>

/** `action` as `DowngradeAction`. */
export const DowngradeRequest = message("DowngradeRequest", { action: enumeration(1), version: string(2) })
export type DowngradeRequest = Value<typeof DowngradeRequest>
export const DowngradeResponse = message("DowngradeResponse", { header, version: string(2) })
export type DowngradeResponse = Value<typeof DowngradeResponse>
