/** Messages of `etcdserverpb.Lease`. */
import { bigint64, bool, byteStrings, header, int64, message, repeated, string, type Value } from "./message.ts"

export const LeaseGrantRequest = message("LeaseGrantRequest", { ttl: int64(1), id: bigint64(2) })
export type LeaseGrantRequest = Value<typeof LeaseGrantRequest>
export const LeaseGrantResponse = message("LeaseGrantResponse", {
  header,
  id: bigint64(2),
  ttl: int64(3),
  error: string(4)
})
export type LeaseGrantResponse = Value<typeof LeaseGrantResponse>

export const LeaseRevokeRequest = message("LeaseRevokeRequest", { id: bigint64(1) })
export type LeaseRevokeRequest = Value<typeof LeaseRevokeRequest>
export const LeaseRevokeResponse = message("LeaseRevokeResponse", { header })
export type LeaseRevokeResponse = Value<typeof LeaseRevokeResponse>

export const LeaseKeepAliveRequest = message("LeaseKeepAliveRequest", { id: bigint64(1) })
export type LeaseKeepAliveRequest = Value<typeof LeaseKeepAliveRequest>
export const LeaseKeepAliveResponse = message("LeaseKeepAliveResponse", { header, id: bigint64(2), ttl: int64(3) })
export type LeaseKeepAliveResponse = Value<typeof LeaseKeepAliveResponse>

export const LeaseTimeToLiveRequest = message("LeaseTimeToLiveRequest", { id: bigint64(1), keys: bool(2) })
export type LeaseTimeToLiveRequest = Value<typeof LeaseTimeToLiveRequest>
export const LeaseTimeToLiveResponse = message("LeaseTimeToLiveResponse", {
  header,
  id: bigint64(2),
  ttl: int64(3),
  grantedTtl: int64(4),
  keys: byteStrings(5)
})
export type LeaseTimeToLiveResponse = Value<typeof LeaseTimeToLiveResponse>

export const LeaseLeasesRequest = message("LeaseLeasesRequest", {})
export type LeaseLeasesRequest = Value<typeof LeaseLeasesRequest>
export const LeaseStatus = message("LeaseStatus", { id: bigint64(1) })
export type LeaseStatus = Value<typeof LeaseStatus>
export const LeaseLeasesResponse = message("LeaseLeasesResponse", { header, leases: repeated(2, LeaseStatus) })
export type LeaseLeasesResponse = Value<typeof LeaseLeasesResponse>
