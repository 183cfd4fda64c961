/** When a Primary in mode quorum must stop acknowledging because the bucket lags behind too far (design 6.3). */

export interface Backlog {
  /** When the oldest committed entry that is not known to be in the bucket was committed; undefined: there is none. */
  readonly oldestMillis: number | undefined
  readonly bytes: number
  readonly nowMillis: number
  /** The chunk buffer's age limit; 0: it has none. */
  readonly ageLimitMillis: number
  /** `replication.chunk_buffer.limit_mb` in bytes; 0: none. */
  readonly limitBytes: number
}

/** Why nothing may be acknowledged, as one sentence; undefined: go on. */
export const mustStop = (backlog: Backlog): string | undefined => {
  const { oldestMillis, bytes, nowMillis, ageLimitMillis, limitBytes } = backlog
  if (limitBytes > 0 && bytes >= limitBytes) {
    return `${bytes} bytes wait for the bucket, the limit is ${limitBytes}`
  }
  if (oldestMillis !== undefined && ageLimitMillis > 0 && nowMillis - oldestMillis > 3 * ageLimitMillis) {
    return `the oldest entry has waited ${Math.round((nowMillis - oldestMillis) / 1_000)} s for the bucket, the limit is ${Math.round((3 * ageLimitMillis) / 1_000)} s`
  }
  return undefined
}
