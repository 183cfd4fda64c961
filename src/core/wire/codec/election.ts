/** Messages of `v3electionpb.Election`. */
import { bigint64, bytes, header, int64, keyValue, message, optional, type Value } from "./message.ts"

export const LeaderKey = message("LeaderKey", { name: bytes(1), key: bytes(2), rev: int64(3), lease: bigint64(4) })
export type LeaderKey = Value<typeof LeaderKey>
export const CampaignRequest = message("CampaignRequest", { name: bytes(1), lease: bigint64(2), value: bytes(3) })
export type CampaignRequest = Value<typeof CampaignRequest>
export const CampaignResponse = message("CampaignResponse", { header, leader: optional(2, LeaderKey) })
export type CampaignResponse = Value<typeof CampaignResponse>
export const LeaderRequest = message("LeaderRequest", { name: bytes(1) })
export type LeaderRequest = Value<typeof LeaderRequest>
export const LeaderResponse = message("LeaderResponse", { header, kv: keyValue(2) })
export type LeaderResponse = Value<typeof LeaderResponse>
export const ResignRequest = message("ResignRequest", { leader: optional(1, LeaderKey) })
export type ResignRequest = Value<typeof ResignRequest>
export const ResignResponse = message("ResignResponse", { header })
export type ResignResponse = Value<typeof ResignResponse>
export const ProclaimRequest = message("ProclaimRequest", { leader: optional(1, LeaderKey), value: bytes(2) })
export type ProclaimRequest = Value<typeof ProclaimRequest>
export const ProclaimResponse = message("ProclaimResponse", { header })
export type ProclaimResponse = Value<typeof ProclaimResponse>
