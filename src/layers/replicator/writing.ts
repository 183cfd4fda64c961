/**
 * The fibers that carry a term's batches: one closes them, one writes them to the disk, four write chunks to the bucket.
 * Followers are sent a batch when it is closed.
 */
import { Effect, Latch, Queue, type Scope } from "effect"
import { noopEntry } from "../../core/log/entry.ts"
import type { Batch, Chunk } from "../../core/log/pipeline.ts"
import type { Entry } from "../../core/log/record.ts"
import { monotonicMillis, type PrimaryParts, timestampOf } from "./parts.ts"
import { gatherMaxMillis, type Term } from "./Term.ts"

const putWriters = 4
/** A gathering ends when nobody came for so long. */
const gatherQuietMillis = 2
const batchesTogether = 64

export interface Writing {
  /** There is something to close or to store. */
  readonly work: () => void
  /** One more entry is open: a gathering may be over. */
  readonly appended: (term: Term) => void
  /** Runs the fibers until the scope closes. */
  readonly start: (term: Term) => Effect.Effect<void, never, Scope.Scope>
}

export const makeWriting = (parts: PrimaryParts): Effect.Effect<Writing> =>
  Effect.gen(function* () {
    const { chunks, clock, journal, log, machine, settings, supervisor } = parts
    const nowMillis = (): number => monotonicMillis(clock)
    const work = yield* Latch.make(false)
    const storing = yield* Latch.make(false)
    /** The open batch holds what was `expected`. */
    const gathered = yield* Latch.make(false)

    /**
     * Mode store: a batch stays open for the clients that were just answered (design 5, step 3): until they are all back,
     * so that a lone writer never waits, or until none of them has come for a while.
     */
    const gather = (term: Term) =>
      Effect.gen(function* () {
        const startedAt = nowMillis()
        for (;;) {
          const open = term.pipeline.openEntries
          const median = term.putTimes.median()
          const now = nowMillis()
          if (open >= term.expected || term.pipeline.isFull() || now - term.lastAckMillis > median) return
          const wait = Math.min(gatherQuietMillis, median / 10)
          // Below half a millisecond a timer would wait longer than what it is for.
          if (wait < 0.5 || now - startedAt >= Math.min(gatherMaxMillis, median / 4)) return
          gathered.closeUnsafe()
          yield* gathered.await.pipe(Effect.timeoutOption(wait))
          if (term.pipeline.openEntries === open) return
        }
      })

    const batcher = (term: Term, toPersist: Queue.Queue<Batch>) =>
      Effect.gen(function* () {
        for (;;) {
          yield* work.await
          work.closeUnsafe()
          for (;;) {
            const byStore = term.rule.mode === "store"
            if (term.pipeline.openEntries === 0) break
            // The previous batch of the same stage is at least under way.
            if (byStore ? !term.pipeline.hasPutFree() : (yield* Queue.size(toPersist)) > 0) break
            if (byStore) yield* gather(term)
            const batch = term.closeBatch()
            if (batch === undefined) break
            // The PUT first: it takes longest, and handing the batch to the disk's thread takes its time too.
            storing.openUnsafe()
            if (byStore) yield* Effect.yieldNow
            for (const follower of term.followers.values()) follower.pump()
            yield* Queue.offer(toPersist, batch)
          }
        }
      })

    const persister = (term: Term, toPersist: Queue.Queue<Batch>) =>
      Effect.gen(function* () {
        for (;;) {
          const batches = yield* Queue.takeBetween(toPersist, 1, batchesTogether)
          work.openUnsafe()
          const entries = batches.length === 1 ? batches[0]!.entries : batches.flatMap((b) => b.entries)
          yield* log.persist(entries)
          term.persisted(batches[batches.length - 1]!.last)
          work.openUnsafe()
        }
      })

    /** Stores one chunk; a key that a dead branch has taken makes it end elsewhere, behind another no-op. */
    const storeChunk = (term: Term, chunk: Chunk) =>
      Effect.gen(function* () {
        let entries: ReadonlyArray<Entry> = chunk.entries
        for (;;) {
          const outcome = yield* chunks.store({
            entries,
            prevTerm: chunk.prevTerm,
            term: term.number,
            stored: term.pipeline.storedIndex,
            floor: machine.floor()
          })
          if (outcome === "stored") return
          journal.warn("chunk_key_taken", { index: entries[entries.length - 1]!.index })
          const last = term.pipeline.headIndex + 1
          term.pad(
            noopEntry({
              index: last,
              term: term.number,
              leaderId: settings.nodeId,
              createdAt: timestampOf(clock),
              revision: term.lastRevision
            })
          )
          // In mode quorum nothing goes to the bucket before it is committed; in mode store it waits for this very chunk,
          // and so does a change of the rule, during which nothing is committed.
          while (term.rule.mode === "quorum" && !term.holding && term.pipeline.commitIndex < last) {
            work.openUnsafe()
            yield* Effect.sleep(10)
          }
          entries = term.pipeline.entriesFrom(chunk.first, last)
        }
      })

    const writer = (term: Term) =>
      Effect.gen(function* () {
        for (;;) {
          const chunk = term.pipeline.nextChunk(term.storeLimit())
          if (chunk === undefined) {
            storing.closeUnsafe()
            yield* storing.await
            continue
          }
          const startedAt = nowMillis()
          yield* storeChunk(term, chunk)
          term.putTimes.add(nowMillis() - startedAt)
          term.stored(chunk)
        }
      })

    return {
      work: () => {
        work.openUnsafe()
        storing.openUnsafe()
      },
      appended: (term) => {
        if (term.pipeline.openEntries >= term.expected || term.pipeline.isFull()) gathered.openUnsafe()
      },
      start: (term) =>
        Effect.gen(function* () {
          const toPersist = yield* Queue.bounded<Batch>(batchesTogether)
          yield* supervisor.spawn("persister", persister(term, toPersist))
          for (let i = 1; i <= putWriters; i++) yield* supervisor.spawn(`chunk-writer-${i}`, writer(term))
          yield* supervisor.spawn("batcher", batcher(term, toPersist))
        })
    }
  })
