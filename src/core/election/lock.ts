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

/** Holder's endpoint and peer port have both been found dead for so long: better evidence than silence. */
export const lockDeadMillis = 2_000

/** What a follower saw of the lock object. */
export interface LockSight {
  /** Undefined: no object; a string: what is wrong with its bytes. */
  readonly lock: Lock | string | undefined
  /** "" without an object. */
  readonly etag: string
  /** How long the object has not changed: as seen by this process, or by its own time, whichever is longer. */
  readonly unchangedForMillis: number
}

export interface LockEvidence {
  /** Since when both of the holder's ports have been found dead without a break; undefined: they are not. */
  readonly deadSinceMillis: number | undefined
  /** When a lock was last taken early; undefined: never. */
  readonly tookEarlyAtMillis: number | undefined
}

export type LockVerdict =
  | { readonly kind: "take"; readonly early: boolean }
  | { readonly kind: "wait"; readonly holder: string; readonly millis: number }

/** May the lock be taken now? What cannot be read is nobody's. */
export const judgeLock = (sight: LockSight, nodeId: string, evidence: LockEvidence, now: number): LockVerdict => {
  const { lock, unchangedForMillis } = sight
  if (lock === undefined || typeof lock === "string" || mayTake(lock, nodeId, unchangedForMillis)) {
    return { kind: "take", early: false }
  }
  let millis = lockTimeoutMillis - unchangedForMillis
  const { deadSinceMillis, tookEarlyAtMillis } = evidence
  if (deadSinceMillis !== undefined) {
    const early = Math.max(
      deadSinceMillis + lockDeadMillis,
      tookEarlyAtMillis === undefined ? -Infinity : tookEarlyAtMillis + lockTimeoutMillis
    )
    if (now >= early) return { kind: "take", early: true }
    millis = Math.min(millis, early - now)
  }
  return { kind: "wait", holder: lock.leaderId, millis }
}
