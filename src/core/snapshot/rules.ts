/** When a snapshot is due, and what may be deleted behind one. Pure; design 5, netsy-1x.md 11.1, 11.4. */

export interface Thresholds {
  /** Undefined: off. */
  readonly records: number | undefined
  readonly sizeMib: number | undefined
  readonly ageMinutes: number | undefined
}

export interface SinceLast {
  /** Undefined: there is no snapshot yet. */
  readonly last: { readonly index: number; readonly bytes: number; readonly atMillis: number } | undefined
  readonly index: number
  /** Bytes of records committed since the last one. */
  readonly recordBytes: number
  /** Bytes of chunks since the last one, as far as known. */
  readonly chunkBytes: number
  readonly nowMillis: number
}

export type Reason = "record_count" | "first_snapshot" | "age" | "size"

const mib = 1024 * 1024

/**
 * The threshold that asks for a snapshot, if it may start: the chunks since the last one hold at least half of its
 * bytes, or it is the first, or the last one is older than the age threshold.
 */
export const due = (thresholds: Thresholds, since: SinceLast): Reason | undefined => {
  const { last } = since
  const lastIndex = last?.index ?? 0
  if (since.index <= lastIndex) return undefined
  let asked: Reason | undefined
  let tooOld = false
  if (thresholds.records !== undefined && since.index - lastIndex >= thresholds.records) asked = "record_count"
  if (thresholds.ageMinutes !== undefined && thresholds.ageMinutes > 0) {
    if (last === undefined) asked ??= "first_snapshot"
    else if (since.nowMillis - last.atMillis >= thresholds.ageMinutes * 60_000) {
      asked ??= "age"
      tooOld = true
    }
  }
  if (thresholds.sizeMib !== undefined && since.recordBytes >= thresholds.sizeMib * mib) asked ??= "size"
  if (asked === undefined) return undefined
  return last === undefined || tooOld || since.chunkBytes * 2 >= last.bytes ? asked : undefined
}

/** So many entries behind the last snapshot may be so many chunks, and the next start reads each of them. */
const atStopEntries = 500

/** Whether a clean stop takes one: by the same rule of half its bytes, without asking a threshold. */
export const dueAtStop = ({ chunkBytes, index, last }: SinceLast): boolean =>
  index - (last?.index ?? 0) >= atStopEntries && (last === undefined || chunkBytes * 2 >= last.bytes)

export interface Kept {
  readonly index: number
  readonly atMillis: number
}

export interface Retention {
  /** Newest snapshots that stay whatever their age, at least 1. */
  readonly keep: number
  /** Everything needed to restore any moment of so long ago stays. */
  readonly historyMillis: number
}

/** A snapshot is only deleted when a newer one has been there for so long. */
const settledMillis = 10 * 60_000

/**
 * What may go: chunks that end at or below `chunksUpTo`, and the snapshots at these indexes. `snapshots` ascending by
 * index. The base is the newest snapshot that is older than the wanted history; what lies behind it nobody needs.
 */
export const cleanup = (
  snapshots: ReadonlyArray<Kept>,
  retention: Retention,
  nowMillis: number
): { readonly chunksUpTo: number; readonly snapshots: ReadonlyArray<number> } => {
  const horizon = nowMillis - retention.historyMillis
  let base: Kept | undefined
  for (const snapshot of snapshots) if (snapshot.atMillis <= horizon) base = snapshot
  if (base === undefined) return { chunksUpTo: 0, snapshots: [] }
  const keepFrom = snapshots[Math.max(0, snapshots.length - Math.max(1, retention.keep))]!.index
  const settled = snapshots.some((s) => s.index >= base.index && nowMillis - s.atMillis >= settledMillis)
  return {
    chunksUpTo: base.index,
    snapshots: settled ? snapshots.filter((s) => s.index < base.index && s.index < keepFrom).map((s) => s.index) : []
  }
}
