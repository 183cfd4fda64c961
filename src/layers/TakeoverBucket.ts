/**
 * `Takeover` over the bucket's history. Order matters: read the bucket after the arbiter was won, settle which log
 * stands, append the no-op, upload. What is committed of it is decided by whoever reigns.
 */
import { Clock, Effect, Layer, Schedule, Stream } from "effect"
import { adopt } from "../core/log/adopt.ts"
import { firstEntry, noopEntry } from "../core/log/entry.ts"
import { type Entry, type LogRecord, positionZero, type Timestamp } from "../core/log/record.ts"
import { ChunkBuffer } from "../services/ChunkBuffer.ts"
import { History, HistoryBroken, type BucketHistory } from "../services/History.ts"
import { makeLoadingStage } from "./internal/loadingStage.ts"
import { type Bounds, LocalStore, type LocalStoreFailed } from "../services/LocalStore.ts"
import { Metrics } from "../services/Metrics.ts"
import { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Unavailable } from "../services/ObjectStore.ts"
import { Deposed, type Hold } from "../services/Reign.ts"
import { Settings } from "../services/Settings.ts"
import { Takeover } from "../services/Takeover.ts"

const chunkEntriesMax = 1_024
const chunkBytesMax = 1024 * 1024
const importPageRecords = 1_000
const retryMillis = 500

export const layer: Layer.Layer<
  Takeover,
  never,
  History | LocalStore | ChunkBuffer | Settings | NodeStatus | Log | Metrics
> = Layer.effect(
  Takeover,
  Effect.gen(function* () {
    const history = yield* History
    const local = yield* LocalStore
    const chunks = yield* ChunkBuffer
    const settings = yield* Settings
    const status = yield* NodeStatus
    const log = yield* Log
    const clock = yield* Clock.Clock
    const stage = makeLoadingStage(log, yield* Metrics, clock)

    const createdAt = (): Timestamp => {
      const millis = clock.currentTimeMillisUnsafe()
      const seconds = Math.floor(millis / 1000)
      return { seconds, nanos: (millis - seconds * 1000) * 1_000_000 }
    }

    /** A bucket out of reach is waited for, loudly. */
    const untilReachable = <A, E>(effect: Effect.Effect<A, E | Unavailable>) =>
      effect.pipe(
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (!(error instanceof Unavailable)) return
            status.setWaiting({ what: `the bucket: ${error.message}`, until: undefined })
            log.warn("bucket_unavailable", { error: error.message, retry_ms: retryMillis })
          })
        ),
        Effect.retry({ while: (error) => error instanceof Unavailable, schedule: Schedule.spaced(retryMillis) })
      )

    const settle = (found: BucketHistory, own: Bounds, commitIndex: number) =>
      Effect.gen(function* () {
        const questions = adopt(
          { last: own.last, firstIndex: own.firstIndex, commitIndex: Math.max(commitIndex, own.commitIndex) },
          { last: found.last, base: found.snapshot?.last ?? positionZero },
          found.termAt
        )
        let step = questions.next()
        while (step.done !== true) step = questions.next(yield* local.termAt(step.value))
        return step.value
      })

    const restore = (found: BucketHistory) =>
      Effect.gen(function* () {
        const startedAt = clock.currentTimeMillisUnsafe()
        log.info("local_db_rebuild_started", { reason: "restore", snapshot: found.snapshot?.key ?? "none" })
        const { snapshot } = found
        yield* untilReachable(
          Effect.gen(function* () {
            yield* local.clear
            if (snapshot === undefined) return
            yield* found.snapshotRecords().pipe(Stream.runForEach((page) => local.restore(page, undefined)))
            yield* local.restore([], { position: snapshot.last, revision: snapshot.revision, floor: snapshot.floor })
          })
        )
        yield* appendAfter(found, snapshot?.last.index ?? 0)
        log.info("local_db_rebuild_completed", {
          reason: "restore",
          last_index: found.last.index,
          duration_ms: clock.currentTimeMillisUnsafe() - startedAt
        })
      })

    const appendAfter = (found: BucketHistory, index: number) =>
      Effect.gen(function* () {
        let after = index
        const rest = Effect.suspend(() =>
          Stream.runForEach(found.entriesAfter(after), (entries) => local.append(entries, 0))
        )
        // What was appended before the bucket went away stays.
        const resume = Effect.map(local.bounds, ({ last }) => {
          after = last.index
        })
        yield* untilReachable(Effect.tapErrorTag(rest, "Unavailable", () => resume))
      })

    /** Rows of a Netsy 1.x database that the bucket lacks become entries of this term. */
    const importRows = (head: { index: number; term: number; revision: number }, term: number) =>
      Effect.gen(function* () {
        let { index, revision } = head
        for (;;) {
          const rows = yield* local.readImported(revision + 1, importPageRecords)
          if (rows.length === 0) return { index, revision }
          const entries: Array<Entry> = []
          for (const row of rows) {
            if (row.revision !== revision + 1) {
              return yield* new HistoryBroken({
                key: local.path,
                reason: `the Netsy 1.x database lacks revision ${revision + 1}, which the bucket lacks too`
              })
            }
            index++
            revision = row.revision
            const record: LogRecord = { ...row, index, term, sub: 0 }
            entries.push({ index, term, revision, records: [record] })
          }
          yield* local.append(entries, 0)
          log.info("netsy_1x_rows_imported", { first_revision: rows[0]!.revision, last_revision: revision })
        }
      })

    /** Uploads `from` … head in order. A key that a dead branch has taken is avoided by ending the chunk elsewhere. */
    const upload = (
      from: number,
      head: Entry,
      term: number,
      floor: number,
      prevTermOf: (index: number) => Effect.Effect<number, LocalStoreFailed>,
      taken: Set<number>
    ) =>
      Effect.gen(function* () {
        let next = from
        let last = head
        while (next <= last.index) {
          const page = yield* local.entries(next, chunkEntriesMax, chunkBytesMax)
          let end = page.length
          while (end > 0 && taken.has(page[end - 1]!.index)) end--
          if (end === 0) {
            // Every index of this page ends a dead chunk: go on to the first free one behind it.
            const longer = yield* entriesUntilFree(next, last.index, taken)
            if (longer === undefined) {
              last = noopEntry({
                index: last.index + 1,
                term,
                revision: last.revision,
                leaderId: settings.nodeId,
                createdAt: createdAt()
              })
              yield* local.append([last], 0)
              continue
            }
            if ((yield* storeChunk(longer, term, next, floor, prevTermOf)) === "stored")
              next = longer[longer.length - 1]!.index + 1
            else taken.add(longer[longer.length - 1]!.index)
            continue
          }
          const entries = end === page.length ? page : page.slice(0, end)
          if ((yield* storeChunk(entries, term, next, floor, prevTermOf)) === "stored")
            next = entries[entries.length - 1]!.index + 1
          else taken.add(entries[entries.length - 1]!.index)
        }
        return last
      })

    const storeChunk = (
      entries: ReadonlyArray<Entry>,
      term: number,
      first: number,
      floor: number,
      prevTermOf: (index: number) => Effect.Effect<number, LocalStoreFailed>
    ) =>
      Effect.gen(function* () {
        const prevTerm = first === 1 ? 0 : yield* prevTermOf(first - 1)
        return yield* chunks.store({ entries, prevTerm, term, stored: first - 1, floor })
      })

    const entriesUntilFree = (from: number, last: number, taken: ReadonlySet<number>) =>
      Effect.gen(function* () {
        const entries: Array<Entry> = []
        for (let index = from; index <= last;) {
          const page = yield* local.entries(index, chunkEntriesMax, chunkBytesMax)
          for (const entry of page) {
            entries.push(entry)
            if (!taken.has(entry.index)) return entries
          }
          index = entries[entries.length - 1]!.index + 1
        }
        return undefined
      })

    /** Reads the bucket and settles which log stands; the local one is then as it will be. */
    const backfill = (term: number, commitIndex: number) =>
      Effect.gen(function* () {
        const own = yield* local.bounds
        status.setWaiting({ what: "the bucket's history to be read", until: undefined })
        const found = yield* untilReachable(history.read)
        for (const skipped of found.skippedTips) {
          log.warn("bucket_tip_skipped", {
            key: skipped.key,
            index: skipped.tip.index,
            term: skipped.tip.term,
            lacks: skipped.brokenAt
          })
        }
        if (found.highestTerm > term) {
          return yield* new Deposed({ term, by: `the bucket holds entries of term ${found.highestTerm}` })
        }
        const verdict = yield* settle(found, own, commitIndex)
        let stored: number
        let head = { index: own.last.index, term: own.last.term, revision: own.lastRevision }
        if (verdict.kind === "own") {
          stored = verdict.common
          if (own.firstIndex > stored + 1) {
            return yield* new HistoryBroken({
              key: "chunks/",
              reason: `the bucket ends at index ${stored}, and the local log, which is newer, begins at index ${own.firstIndex}: entries between them are missing`
            })
          }
        } else {
          if (verdict.kind === "restore") yield* restore(found)
          else {
            if (verdict.common < own.last.index) yield* local.truncateFrom(verdict.common + 1)
            yield* appendAfter(found, verdict.common)
          }
          stored = found.last.index
          head = { index: found.last.index, term: found.last.term, revision: found.lastRevision }
        }
        log.info("primary_preflight_stage_completed", {
          stage: "takeover",
          verdict: verdict.kind,
          stored_index: stored,
          last_index: head.index,
          bucket_index: found.last.index
        })
        return { found, stored, head, floor: Math.max(own.floor, found.snapshot?.floor ?? 0), verdict: verdict.kind }
      })

    const run = (hold: Hold, commitIndex: number) =>
      Effect.gen(function* () {
        const { term } = hold
        const startedAt = clock.currentTimeMillisUnsafe()
        log.info("primary_preflight_stage_started", { stage: "preflight", term })
        const { floor, found, head, stored, verdict } = yield* stage("backfill", backfill(term, commitIndex))
        const imported = yield* importRows(head, term)
        if (local.opened.imported !== undefined) yield* local.importDone
        const facts = { term, leaderId: settings.nodeId, createdAt: createdAt() }
        const noop =
          imported.index === 0
            ? firstEntry(facts)
            : noopEntry({ ...facts, index: imported.index + 1, revision: imported.revision })
        yield* local.append([noop], 0)
        status.setWaiting({ what: "the bucket to take what it lacks", until: undefined })
        const prevTermOf = (index: number) => Effect.map(local.termAt(index), (t) => t ?? found.termAt(index) ?? 0)
        const last = yield* upload(stored + 1, noop, term, floor, prevTermOf, new Set(found.takenKeys))
        status.setWaiting(undefined)
        log.info("primary_preflight_stage_completed", {
          stage: "preflight",
          result: "success",
          head: last.index,
          duration_ms: clock.currentTimeMillisUnsafe() - startedAt
        })
        const snapshot = found.snapshot
        return {
          head: { index: last.index, term: last.term },
          revision: last.revision,
          floor,
          snapshot:
            snapshot === undefined
              ? undefined
              : { index: snapshot.last.index, bytes: snapshot.size, atMillis: snapshot.lastModified },
          chunkBytes: found.chunkBytes,
          restored: verdict === "restore" ? { index: snapshot?.last.index ?? 0 } : undefined
        }
      }).pipe(Effect.raceFirst(hold.over))

    return Takeover.of({ run })
  })
)
