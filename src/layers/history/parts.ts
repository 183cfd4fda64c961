/** What a reading of the bucket's history is made of: its lists, what they say, and what is wrong with them. */
import { Stream } from "effect"
import { indexOfKey } from "../../core/datafile/keys.ts"
import type { ChunkFile, SnapshotFile } from "../../core/datafile/summary.ts"
import type { DataFileDamaged } from "../../core/datafile/types.ts"
import { type Slice, termIn } from "../../core/log/history.ts"
import { positionZero } from "../../core/log/record.ts"
import { type BucketHistory, HistoryBroken, HistoryMoved } from "../../services/History.ts"
import type { NotFound, ObjectInfo } from "../../services/ObjectStore.ts"

export interface Lists {
  readonly chunks: ReadonlyArray<ObjectInfo>
  readonly snapshots: ReadonlyArray<ObjectInfo>
}

export const emptyHistory = (lists: Lists): BucketHistory => ({
  last: positionZero,
  lastRevision: 0,
  highestTerm: 0,
  snapshot: undefined,
  termAt: () => undefined,
  takenKeys: new Set(lists.chunks.map((o) => indexOfKey(o.key)!)),
  skippedTips: [],
  chunkBytes: 0,
  snapshotRecords: () => Stream.empty,
  entriesAfter: () => Stream.empty
})

export const termOnPath = (
  slices: ReadonlyArray<Slice<ChunkFile>>,
  snapshot: SnapshotFile | undefined,
  index: number
): number | undefined => {
  if (snapshot !== undefined && index === snapshot.lastIndex) return snapshot.lastTerm
  let low = 0
  let high = slices.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const slice = slices[middle]!
    if (index < slice.from) high = middle - 1
    else if (index > slice.to) low = middle + 1
    else return termIn(slice.chunk, index)
  }
  return undefined
}

export const fingerprint = ({ chunks, snapshots }: Lists): string =>
  [...chunks, ...snapshots].map((o) => `${o.key} ${o.etag}`).join("\n")

export const asBroken = ({ source, check, offset, decompressed, detail }: DataFileDamaged): HistoryBroken =>
  new HistoryBroken({
    key: source,
    reason: `${check} at byte ${offset}${decompressed ? " of the decompressed body" : ""}: ${detail}`
  })

export const vanished = (gone: NotFound): HistoryMoved => new HistoryMoved({ key: gone.key })

export const conflict = (one: string, other: string, revision: number): HistoryBroken =>
  new HistoryBroken({ key: other, reason: `revision ${revision} is not what ${one} says it is` })
