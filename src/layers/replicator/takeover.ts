/**
 * What a new Primary does before it may commit (design 6.4): reads the bucket after the arbiter was won, settles which log
 * stands, appends this term's no-op, and uploads what the bucket lacks, entries of older terms too.
 */
import { Effect, Schedule } from "effect"
import { firstEntry, noopEntry } from "../../core/log/entry.ts"
import type { Entry, LogRecord } from "../../core/log/record.ts"
import { HistoryBroken, type HistoryError } from "../../services/History.ts"
import type { LocalStoreFailed } from "../../services/LocalStore.ts"
import { Deposed, type Hold } from "../../services/Reign.ts"
import type { TakenOver } from "../../services/Replicator.ts"
import { makeLoadingStage } from "../internal/loadingStage.ts"
import { type PrimaryParts, timestampOf } from "./parts.ts"
import { settle, untilReachable } from "./restoreFromBucket.ts"
import { type SetAside, setAside } from "./setAside.ts"

const chunkEntriesMax = 1_024
const chunkBytesMax = 1024 * 1024
const importPageRecords = 1_000
const movedRetryMillis = 200

export type TakeoverParts = Pick<
  PrimaryParts,
  "local" | "log" | "chunks" | "history" | "settings" | "status" | "journal" | "metrics" | "clock"
>

/** Commits nothing. Afterwards the log is what the bucket holds, up to the no-op. */
export const makeTakeover = (
  parts: TakeoverParts
): ((hold: Hold) => Effect.Effect<TakenOver, HistoryError | LocalStoreFailed | Deposed | SetAside>) => {
  const { chunks, clock, history, journal, local, log, metrics, settings, status } = parts
  const stage = makeLoadingStage(journal, metrics, clock)
  /** Rows of a Netsy 1.x database that the bucket lacks become entries of this term. */
  const importRows = (term: number) =>
    Effect.gen(function* () {
      let { index } = log.last
      let revision = log.lastRevision
      for (;;) {
        const rows = yield* local.readImported(revision + 1, importPageRecords)
        if (rows.length === 0) return
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
        yield* log.append(entries)
        journal.info("netsy_1x_rows_imported", { first_revision: rows[0]!.revision, last_revision: revision })
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
              createdAt: timestampOf(clock)
            })
            yield* log.append([last])
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

  /** Again as often as somebody who was deposed still cleans up behind a snapshot. */
  const backfill = (hold: Hold) =>
    backfillOnce(hold, log.commitIndex).pipe(
      Effect.retry({ while: (error) => error._tag === "HistoryMoved", schedule: Schedule.spaced(movedRetryMillis) })
    )

  /** Reads the bucket and settles which log stands; the local one is then as it will be. */
  const backfillOnce = (hold: Hold, commitIndex: number) =>
    Effect.gen(function* () {
      const { term } = hold
      status.setWaiting({ what: "the bucket's history to be read", until: undefined })
      const found = yield* untilReachable({ status, journal })(
        Effect.suspend(() => history.read({ recoveredTerm: hold.arbiter().recovered?.term }))
      )
      for (const skipped of found.skippedTips) {
        journal.warn("bucket_tip_skipped", {
          key: skipped.key,
          index: skipped.tip.index,
          term: skipped.tip.term,
          lacks: skipped.brokenAt
        })
      }
      if (found.highestTerm > term) {
        return yield* new Deposed({ term, by: `the bucket holds entries of term ${found.highestTerm}` })
      }
      const verdict = yield* settle({ local, log, status, journal, clock }, found)
      if (verdict.kind === "conflict") {
        const { commitIndex } = log
        const other = "the bucket's history"
        return yield* setAside({ local, journal }, hold.arbiter(), { index: verdict.index, commitIndex, other })
      }
      const stored = verdict.kind === "own" ? verdict.common : found.last.index
      if (log.firstIndex > stored + 1) {
        return yield* new HistoryBroken({
          key: "chunks/",
          reason: `the bucket ends at index ${stored}, and the local log, which is newer, begins at index ${log.firstIndex}: entries between them are missing`
        })
      }
      journal.info("primary_preflight_stage_completed", {
        stage: "takeover",
        verdict: verdict.kind,
        stored_index: stored,
        last_index: log.last.index,
        bucket_index: found.last.index
      })
      const { floor } = yield* local.bounds
      return {
        found,
        stored,
        restored: verdict.kind === "restore" || log.commitIndex !== commitIndex,
        floor: Math.max(floor, found.snapshot?.floor ?? 0)
      }
    })

  return (hold: Hold) =>
    Effect.gen(function* () {
      const { term } = hold
      const startedAt = clock.currentTimeMillisUnsafe()
      journal.info("primary_preflight_stage_started", { stage: "preflight", term })
      const { floor, found, restored, stored } = yield* stage("backfill", backfill(hold))
      yield* importRows(term)
      if (local.opened.imported !== undefined) yield* local.importDone
      const facts = { term, leaderId: settings.nodeId, createdAt: timestampOf(clock) }
      const noop =
        log.last.index === 0
          ? firstEntry(facts)
          : noopEntry({ ...facts, index: log.last.index + 1, revision: log.lastRevision })
      yield* log.append([noop])
      status.setWaiting({ what: "the bucket to take what it lacks", until: undefined })
      const prevTermOf = (index: number) => Effect.map(local.termAt(index), (t) => t ?? found.termAt(index) ?? 0)
      const last = yield* upload(stored + 1, noop, term, floor, prevTermOf, new Set(found.takenKeys))
      status.setWaiting(undefined)
      journal.info("primary_preflight_stage_completed", {
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
        restored
      }
    })
}
