/**
 * The way back to a moment: from the newest stretch of the path, which begins at the newest snapshot, a snapshot at a time
 * down to the stretch that holds it. Reads the chunks between two snapshots only when the way leads there.
 */
import { Effect, Stream } from "effect"
import type { ChunkFile, SnapshotFile } from "../../core/datafile/summary.ts"
import { isInEveryLaterLog, pathBefore, type Slice, type Stretch } from "../../core/log/history.ts"
import { isWithin, type Moment, type Standing, standingOf, tooOld } from "../../core/log/moment.ts"
import type { Entry, Position } from "../../core/log/record.ts"
import { type HistoryBroken, NoSuchMoment, type ReadOptions } from "../../services/History.ts"
import type { LoadError } from "../datafile/load.ts"

type BucketStretch = Stretch<ChunkFile, SnapshotFile>

export interface PastParts extends ReadOptions {
  /** Every one of the bucket. */
  readonly snapshots: ReadonlyArray<SnapshotFile>
  /** Every chunk that ends above the index. */
  readonly chunksAbove: (index: number) => Effect.Effect<ReadonlyArray<ChunkFile>, LoadError | HistoryBroken>
  readonly entriesOf: (slice: Slice<ChunkFile>) => Stream.Stream<ReadonlyArray<Entry>, LoadError>
}

/** The stretch and the entry of it, or its snapshot's end, where the moment is. */
export interface Past {
  readonly stretch: BucketStretch
  readonly last: Position
  readonly revision: number
}

const endOf = ({ createdMillis, lastIndex, revision }: SnapshotFile): Standing => ({
  index: lastIndex,
  revision,
  millis: createdMillis
})

const atEnd = (snapshot: SnapshotFile): Past => ({
  stretch: { snapshot, slices: [] },
  last: { index: snapshot.lastIndex, term: snapshot.lastTerm },
  revision: snapshot.revision
})

const startOf = ({ slices, snapshot }: BucketStretch): Standing => {
  if (snapshot !== undefined) return endOf(snapshot)
  const { chunk, from } = slices[0]!
  const { earliestMillis, firstRevision } = chunk
  return { index: from, revision: firstRevision, millis: Number.isFinite(earliestMillis) ? earliestMillis : undefined }
}

const lastWithin = ({ entriesOf }: PastParts, { slices }: BucketStretch, moment: Moment) =>
  Effect.gen(function* () {
    for (const slice of slices.toReversed()) {
      const { earliestMillis, firstRevision } = slice.chunk
      if (!isWithin(moment, { index: slice.from, revision: firstRevision, millis: earliestMillis })) continue
      let found: Entry | undefined
      yield* entriesOf(slice).pipe(
        Stream.runForEach((entries) =>
          Effect.sync(() => {
            for (const entry of entries) if (isWithin(moment, standingOf(entry.records[0]!))) found = entry
          })
        )
      )
      if (found !== undefined) return found
    }
    return undefined
  })

/**
 * What lies before the stretch that begins at the snapshot; undefined: nothing that hangs together with it is left. A
 * snapshot of a lost reign is none of its path, so the way may lead past it.
 */
const before = ({ chunksAbove, snapshots }: PastParts, snapshot: SnapshotFile) =>
  Effect.gen(function* () {
    const from = { index: snapshot.lastIndex, term: snapshot.lastTerm }
    const lower = snapshots.filter(({ lastIndex }) => lastIndex < snapshot.lastIndex)
    lower.sort((a, b) => b.lastIndex - a.lastIndex)
    for (const downTo of [...lower.map(({ lastIndex }) => lastIndex), 0]) {
      const chunks = yield* chunksAbove(downTo)
      const { brokenAt, ...stretch } = pathBefore(chunks, lower, from)
      if (brokenAt === 0) return stretch
      if (brokenAt > downTo) return undefined
    }
    return undefined
  })

/** Where the moment is on the path that ends with `newest`, which does not end before it. */
export const findPast = (
  parts: PastParts,
  newest: BucketStretch,
  moment: Moment
): Effect.Effect<Past, LoadError | HistoryBroken | NoSuchMoment> =>
  Effect.gen(function* () {
    let stretch = newest
    for (;;) {
      const found = yield* lastWithin(parts, stretch, moment)
      if (found !== undefined) {
        const { index, revision, term } = found
        return { stretch, last: { index, term }, revision }
      }
      const { snapshot } = stretch
      const isPassed = snapshot !== undefined && isWithin(moment, endOf(snapshot))
      // When a snapshot was taken is not when its last entry was made, which the chunks say as long as they are there.
      if (isPassed && moment.kind !== "time") return atEnd(snapshot)
      const lower = snapshot === undefined ? undefined : yield* before(parts, snapshot)
      if (lower === undefined) return isPassed ? atEnd(snapshot) : yield* alone(parts, stretch, moment)
      stretch = lower
    }
  })

/** A snapshot without the chunks behind it still has its own moment, if it certainly is of this path. */
const alone = (parts: PastParts, oldest: BucketStretch, moment: Moment) => {
  const start = startOf(oldest)
  const certain = parts.snapshots.filter(
    (one) =>
      oldest.snapshot !== undefined &&
      one.lastIndex < start.index &&
      one.lastTerm <= oldest.snapshot.lastTerm &&
      isInEveryLaterLog(one, parts.recoveredTerm)
  )
  const exact = certain.find(
    (one) =>
      (moment.kind === "index" && one.lastIndex === moment.index) ||
      (moment.kind === "revision" && one.revision === moment.revision)
  )
  if (exact !== undefined) return Effect.succeed(atEnd(exact))
  return Effect.fail(new NoSuchMoment({ message: tooOld(moment, start, certain.map(endOf)) }))
}
