/** Messages of `v3lockpb.Lock`. */
import { bigint64, bytes, header, message, type Value } from "./message.ts"

export const LockRequest = message("LockRequest", { name: bytes(1), lease: bigint64(2) })
export type LockRequest = Value<typeof LockRequest>
export const LockResponse = message("LockResponse", { header, key: bytes(2) })
export type LockResponse = Value<typeof LockResponse>
export const UnlockRequest = message("UnlockRequest", { key: bytes(1) })
export type UnlockRequest = Value<typeof UnlockRequest>
export const UnlockResponse = message("UnlockResponse", { header })
export type UnlockResponse = Value<typeof UnlockResponse>
