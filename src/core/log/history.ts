/**
 * The walk through the bucket (design 6.5): from the tip that is highest in log order back over (first index − 1, prev
 * term) to a snapshot or to index 1. Everything off the path is left over from lost reigns.
 */
import type { Position } from "./record.ts"

/** Entries from `fromIndex` on are of `term`, up to the next run. */
export interface TermRun {
  readonly fromIndex: number
  readonly term: number
}

/** What the walk needs to know of a chunk. A chunk of Netsy 1.x with gaps is given as several, one per gapless part. */
export interface ChunkInfo {
  readonly key: string
  readonly firstIndex: number
  readonly lastIndex: number
  /** Ascending; the first one is at `firstIndex`. */
  readonly runs: ReadonlyArray<TermRun>
  /** Term of the entry before `firstIndex`. */
  readonly prevTerm: number
  /** Every index ≤ this was known to be in the bucket when the chunk was first sent. */
  readonly stored: number
}

export interface SnapshotInfo {
  readonly key: string
  readonly lastIndex: number
  readonly lastTerm: number
}

/** The part of a chunk that lies on the path. */
export interface Slice<C extends ChunkInfo> {
  readonly chunk: C
  readonly from: number
  readonly to: number
}

/** A tip that was passed over: a PUT that landed without its predecessor. */
export interface SkippedTip {
  readonly key: string
  readonly tip: Position
  readonly brokenAt: number
}

export type PathFound<C extends ChunkInfo, S extends SnapshotInfo> =
  | {
      readonly kind: "path"
      readonly last: Position
      /** Undefined: the path starts at index 1. */
      readonly snapshot: S | undefined
      /** Ascending, each one begins where the one before it ends. */
      readonly slices: ReadonlyArray<Slice<C>>
      readonly skipped: ReadonlyArray<SkippedTip>
    }
  | { readonly kind: "nothing"; readonly skipped: ReadonlyArray<SkippedTip> }
  | { readonly kind: "broken"; readonly key: string; readonly tip: Position; readonly at: number }

export const lastTermOf = (chunk: ChunkInfo): number => chunk.runs[chunk.runs.length - 1]!.term

/** Term of the chunk's entry at `index`, which it holds. */
export const termIn = (chunk: ChunkInfo, index: number): number => {
  const { runs } = chunk
  let low = 0
  let high = runs.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (runs[middle]!.fromIndex <= index) low = middle
    else high = middle - 1
  }
  return runs[low]!.term
}

/** Log order of what snapshots end with. */
export const isAbove = (a: Omit<SnapshotInfo, "key">, b: Omit<SnapshotInfo, "key">): boolean =>
  a.lastTerm > b.lastTerm || (a.lastTerm === b.lastTerm && a.lastIndex > b.lastIndex)

/**
 * May no chunk that ends at or below the snapshot's end be of a higher term? A snapshot holds committed entries only, so
 * its end is in the log of every Primary of a later term, unless a later recovery with possible loss gave it up. Of
 * Netsy 1.x, which had no terms, nothing is known.
 */
export const isInEveryLaterLog = (
  { lastTerm }: Pick<SnapshotInfo, "lastTerm">,
  recoveredTerm: number | undefined | "unknown"
): boolean => lastTerm > 0 && recoveredTerm !== "unknown" && (recoveredTerm === undefined || recoveredTerm <= lastTerm)

/** Chunks and snapshots by what the walk asks for. */
class Bucket<C extends ChunkInfo, S extends SnapshotInfo> {
  private readonly chunks: ReadonlyArray<C>
  private readonly chunkEnds = new Map<number, Array<C>>()
  /** Ascending by last index. */
  private readonly snapshots: ReadonlyArray<S>

  constructor(chunks: ReadonlyArray<C>, snapshots: ReadonlyArray<S>) {
    this.chunks = chunks
    for (const chunk of chunks) {
      const same = this.chunkEnds.get(chunk.lastIndex)
      if (same === undefined) this.chunkEnds.set(chunk.lastIndex, [chunk])
      else same.push(chunk)
    }
    this.snapshots = [...snapshots].sort((a, b) => a.lastIndex - b.lastIndex)
  }

  endsAt(index: number, term: number): S | undefined {
    return this.snapshots.find((s) => s.lastIndex === index && s.lastTerm === term)
  }

  /** A chunk that holds entry (index, term). Nearly always one that ends there. */
  holding(index: number, term: number): C | undefined {
    const ending = this.chunkEnds.get(index)?.find((c) => lastTermOf(c) === term)
    if (ending !== undefined) return ending
    return this.chunks.find((c) => c.firstIndex <= index && index <= c.lastIndex && termIn(c, index) === term)
  }

  /** The snapshot with the highest end inside the chunk, at or below `index`. */
  insideOf(chunk: C, index: number): S | undefined {
    for (let i = this.snapshots.length - 1; i >= 0; i--) {
      const s = this.snapshots[i]!
      if (s.lastIndex < chunk.firstIndex) return undefined
      if (s.lastIndex <= index && termIn(chunk, s.lastIndex) === s.lastTerm) return s
    }
    return undefined
  }
}

interface Tip {
  readonly key: string
  readonly index: number
  readonly term: number
  readonly stored: number
}

/** A part of a path: from a snapshot's end, or from index 1, up to some entry. */
export interface Stretch<C extends ChunkInfo, S extends SnapshotInfo> {
  readonly snapshot: S | undefined
  /** Ascending, each one begins where the one before it ends. */
  readonly slices: ReadonlyArray<Slice<C>>
}

interface Walked<C extends ChunkInfo, S extends SnapshotInfo> extends Stretch<C, S> {
  /** Where the walk has ended: 0, the snapshot's end, or an index that no object holds. */
  readonly index: number
  readonly term: number
}

/** From an entry back to the nearest snapshot's end or to index 1, as far as there are objects. */
const walkBack = <C extends ChunkInfo, S extends SnapshotInfo>(bucket: Bucket<C, S>, from: Position): Walked<C, S> => {
  const slices: Array<Slice<C>> = []
  let { index, term } = from
  let snapshot: S | undefined
  while (index > 0) {
    snapshot = bucket.endsAt(index, term)
    if (snapshot !== undefined) break
    const chunk = bucket.holding(index, term)
    if (chunk === undefined) break
    snapshot = bucket.insideOf(chunk, index)
    slices.push({ chunk, from: snapshot === undefined ? chunk.firstIndex : snapshot.lastIndex + 1, to: index })
    if (snapshot !== undefined) break
    index = chunk.firstIndex - 1
    term = chunk.prevTerm
  }
  return { snapshot, slices: slices.reverse(), index, term }
}

/** What lies before an entry of the path. `brokenAt` 0: it is whole; otherwise no object holds that index of it. */
export const pathBefore = <C extends ChunkInfo, S extends SnapshotInfo>(
  chunks: ReadonlyArray<C>,
  snapshots: ReadonlyArray<S>,
  from: Position
): Stretch<C, S> & { readonly brokenAt: number } => {
  const { index, slices, snapshot } = walkBack(new Bucket(chunks, snapshots), from)
  return { snapshot, slices, brokenAt: snapshot === undefined ? index : 0 }
}

export const findPath = <C extends ChunkInfo, S extends SnapshotInfo>(
  chunks: ReadonlyArray<C>,
  snapshots: ReadonlyArray<S>
): PathFound<C, S> => {
  const bucket = new Bucket(chunks, snapshots)
  const tips: Array<Tip> = []
  for (const c of chunks) {
    const term = lastTermOf(c)
    tips.push({ key: c.key, index: c.lastIndex, term, stored: c.stored })
  }
  for (const s of snapshots) {
    tips.push({ key: s.key, index: s.lastIndex, term: s.lastTerm, stored: 0 })
  }
  tips.sort((a, b) => b.term - a.term || b.index - a.index)

  const skipped: Array<SkippedTip> = []
  for (const tip of tips) {
    const { index, slices, snapshot } = walkBack(bucket, tip)
    if (index === 0 || snapshot !== undefined) {
      return { kind: "path", last: { index: tip.index, term: tip.term }, snapshot, slices, skipped }
    }
    const at = { index: tip.index, term: tip.term }
    // Netsy 1.x sent one PUT at a time: what it wrote behind a hole was acknowledged and is not passed over silently.
    if (index <= tip.stored || tip.term === 0) return { kind: "broken", key: tip.key, tip: at, at: index }
    skipped.push({ key: tip.key, tip: at, brokenAt: index })
  }
  return { kind: "nothing", skipped }
}
