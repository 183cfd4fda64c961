/** The Elector's lock object `leader/elector.json` as s3lect writes it (netsy-1x.md 5.1). */

export const lockKey = "leader/elector.json"

/** Without renewal for so long the lock is free for the taking (design 6.1). */
export const lockTimeoutMillis = 15_000
/** The holder renews so often; a lone node so often, together with the arbiter. */
export const lockRenewMillis = 7_500
export const lockRenewAloneMillis = 10_000

export interface Lock {
  readonly leaderId: string
  readonly leaderAddr: string
  /** Milliseconds since 1970; 0 or less: resigned. */
  readonly lastUpdatedMillis: number
}

const zeroTime = "0001-01-01T00:00:00Z"

export const encodeLock = (
  lock: { readonly leaderId: string; readonly leaderAddr: string },
  lastUpdated: string | undefined
): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      ...(lock.leaderId === "" ? {} : { leaderID: lock.leaderId }),
      ...(lock.leaderAddr === "" ? {} : { leaderAddr: lock.leaderAddr }),
      lastUpdated: lastUpdated ?? zeroTime
    })
  )

/** The lock, or what is wrong with the bytes. */
export const decodeLock = (bytes: Uint8Array): Lock | string => {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
  if (typeof json !== "object" || json === null) return "not a JSON object"
  const o = json as Record<string, unknown>
  const text = (name: string): string => (typeof o[name] === "string" ? (o[name] as string) : "")
  const stamp = text("lastUpdated")
  const millis = stamp === zeroTime ? 0 : Date.parse(stamp)
  if (Number.isNaN(millis)) return "`lastUpdated` is not an RFC 3339 time"
  return { leaderId: text("leaderID"), leaderAddr: text("leaderAddr"), lastUpdatedMillis: Math.max(0, millis) }
}

/**
 * May `nodeId` write its own record now? Its own lock, a resigned one, or one that was not renewed for 15 s: by the
 * store's modification time seen against our clock is not needed, because what counts is how long *we* saw no change.
 */
export const mayTake = (lock: Lock | undefined, nodeId: string, unchangedForMillis: number): boolean =>
  lock === undefined ||
  lock.leaderId === nodeId ||
  lock.lastUpdatedMillis === 0 ||
  unchangedForMillis >= lockTimeoutMillis
