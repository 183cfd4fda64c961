/** Messages of `etcdserverpb.Cluster`. */
import { biguint64, bool, header, message, optional, repeated, string, strings, type Value } from "./message.ts"

export const Member = message("Member", {
  id: biguint64(1),
  name: string(2),
  peerUrls: strings(3),
  clientUrls: strings(4),
  isLearner: bool(5)
})
export type Member = Value<typeof Member>

const listed = (name: string) => message(name, { header, members: repeated(2, Member) })

export const MemberAddRequest = message("MemberAddRequest", { peerUrls: strings(1), isLearner: bool(2) })
export type MemberAddRequest = Value<typeof MemberAddRequest>
export const MemberAddResponse = message("MemberAddResponse", {
  header,
  member: optional(2, Member),
  members: repeated(3, Member)
})
export type MemberAddResponse = Value<typeof MemberAddResponse>
export const MemberRemoveRequest = message("MemberRemoveRequest", { id: biguint64(1) })
export type MemberRemoveRequest = Value<typeof MemberRemoveRequest>
export const MemberRemoveResponse = listed("MemberRemoveResponse")
export const MemberUpdateRequest = message("MemberUpdateRequest", { id: biguint64(1), peerUrls: strings(2) })
export type MemberUpdateRequest = Value<typeof MemberUpdateRequest>
export const MemberUpdateResponse = listed("MemberUpdateResponse")
export const MemberListRequest = message("MemberListRequest", { linearizable: bool(1) })
export type MemberListRequest = Value<typeof MemberListRequest>
export const MemberListResponse = listed("MemberListResponse")
export type MemberListResponse = Value<typeof MemberListResponse>
export const MemberPromoteRequest = message("MemberPromoteRequest", { id: biguint64(1) })
export type MemberPromoteRequest = Value<typeof MemberPromoteRequest>
export const MemberPromoteResponse = listed("MemberPromoteResponse")
