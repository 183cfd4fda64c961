/**
 * Which rule a term commits by, and when committed entries go to the bucket in mode quorum (design 6.2): upload first,
 * then the open CAS, and nothing is committed in between.
 */
import { Effect } from "effect"
import type { NodeName } from "../../core/election/arbiter.ts"
import { mustStop } from "../../core/quorum/backPressure.ts"
import type { CommitRule } from "../../core/quorum/rule.ts"
import { caughtUpMillis, wantedRule } from "../../core/quorum/wantedRule.ts"
import type { Deposed } from "../../services/Reign.ts"
import { monotonicMillis, type PrimaryParts } from "./parts.ts"
import type { Term } from "./Term.ts"

const tickMaxMillis = 250
/** With commits held back, what is left to upload must be there after so long; otherwise the change is tried again later. */
const uploadHeldMaxMillis = 2_000
/** Before that, while commits go on, most of it is uploaded within this time. */
const uploadFirstMaxMillis = 10_000
const changeRetryMillis = 2_000
const mebibyte = 1024 * 1024
const pollMillis = 10

const showRule = (rule: CommitRule): string =>
  rule.mode === "store"
    ? "store"
    : `quorum, ${rule.required} of ${rule.voters.map((v) => v.nodeId).join(", ")} besides the Primary`

export interface Modes {
  /** Looks again and again whether the rule fits the cluster, and flushes the buffer. Never ends. */
  readonly watch: (term: Term) => Effect.Effect<never, Deposed>
  /** Everything committed goes to the bucket; true: it is there, false: not in time. */
  readonly flush: (term: Term, limitMillis: number) => Effect.Effect<boolean>
}

export const makeModes = (parts: PrimaryParts, work: () => void): Modes => {
  const { clock, journal, self, settings, status, view } = parts
  const { chunkBuffer, degradationCount, quorum } = settings.replication
  const heartbeatMillis = settings.heartbeatIntervalMillis
  const tickMillis = Math.max(10, Math.min(tickMaxMillis, heartbeatMillis / 2))
  const ageLimitMillis = chunkBuffer.thresholdAgeMinutes * 60_000
  const limitBytes = chunkBuffer.limitMib * mebibyte
  // Without a size of its own the buffer is emptied long before it has to stop everything.
  const flushBytes = chunkBuffer.thresholdSizeMib > 0 ? chunkBuffer.thresholdSizeMib * mebibyte : limitBytes / 4
  const nowMillis = (): number => monotonicMillis(clock)

  const flushNow = (term: Term): void => {
    term.flushTo = term.pipeline.commitIndex
    work()
  }

  const flush = (term: Term, limitMillis: number) =>
    Effect.gen(function* () {
      const startedAt = nowMillis()
      const upTo = term.pipeline.commitIndex
      flushNow(term)
      while (!term.stopped && term.pipeline.storedIndex < upTo) {
        if (nowMillis() - startedAt >= limitMillis) return false
        yield* Effect.sleep(pollMillis)
      }
      return term.pipeline.storedIndex >= upTo
    })

  /** The buffer's thresholds, and whether it has to stop everything (design 6.3). */
  const watchBuffer = (term: Term): void => {
    const { pipeline } = term
    const now = nowMillis()
    const oldestMillis = term.buffered.oldestMillis()
    if (term.rule.mode === "quorum" && pipeline.storedIndex < pipeline.commitIndex) {
      const old = oldestMillis !== undefined && ageLimitMillis > 0 && now - oldestMillis >= ageLimitMillis
      if (old || pipeline.bufferedBytes >= flushBytes) flushNow(term)
    }
    const stop = mustStop({ oldestMillis, bytes: pipeline.bufferedBytes, nowMillis: now, ageLimitMillis, limitBytes })
    const overfull = stop !== undefined && term.rule.mode === "quorum"
    if (overfull !== term.overfull) {
      journal.error("chunk_buffer_overfull", { overfull, reason: stop ?? "the bucket has caught up" })
      term.overfull = overfull
      if (!overfull) term.advance()
    }
    status.setTrouble("buffer", overfull ? `nothing is acknowledged: ${stop}` : undefined)
  }

  const leavingOf = (term: Term): ReadonlyArray<NodeName> =>
    [...term.followers.values()].filter((follower) => follower.leaving).map((follower) => follower.name)

  const wanted = (term: Term, sinceMillis: number): CommitRule | undefined => {
    const now = nowMillis()
    term.receipts.observe(term.pipeline.commitIndex, now, degradationCount * heartbeatMillis)
    return wantedRule({
      quorum,
      rule: term.rule,
      ruleSinceMillis: sinceMillis,
      self,
      registered: view.current().nodes.map((node) => node.name),
      followers: term.receipts.followers(),
      nowMillis: now,
      listeningSinceMillis: term.receipts.listeningSinceMillis(),
      heartbeatMillis,
      degradationCount,
      caughtUpMillis,
      deregistrationTimeoutMillis: settings.elector.deregistrationTimeoutMillis,
      leaving: leavingOf(term)
    })
  }

  /** With commits held back: true when everything committed is in the bucket. */
  const uploaded = (term: Term, able: boolean, stillWanted: () => boolean) =>
    Effect.gen(function* () {
      if (able) return yield* flush(term, uploadHeldMaxMillis)
      // Nothing could be committed anyway; but the voters may come back before the bucket does, and then an open CAS
      // would be what stops all writes.
      for (;;) {
        if ((yield* flush(term, uploadHeldMaxMillis)) && (yield* parts.bucketAnswers)) return true
        if (term.stopped || !stillWanted()) return false
        yield* Effect.sleep(tickMillis)
      }
    })

  /** While commits go on: the bucket takes what is buffered, and answers. A change that has to wait for it stops all writes. */
  const bucketIsThere = (term: Term) =>
    Effect.gen(function* () {
      if (term.rule.mode === "store") return true
      return (yield* flush(term, uploadFirstMaxMillis)) && (yield* parts.bucketAnswers)
    })

  /** True: the rule is changed. False: what is committed could not be uploaded in time, or it is not wanted any more. */
  const change = (term: Term, rule: CommitRule, stillWanted: () => boolean) =>
    Effect.gen(function* () {
      const window = degradationCount * heartbeatMillis
      const able =
        term.rule.mode === "store" ||
        term.receipts.answering(term.rule, nowMillis(), window) >= Math.max(1, term.rule.required)
      if (able && !(yield* bucketIsThere(term))) {
        yield* Effect.sleep(changeRetryMillis)
        return false
      }
      term.holdBack()
      const startedAt = nowMillis()
      if (!(yield* uploaded(term, able, stillWanted))) {
        term.release()
        return false
      }
      journal.info("mode_change_started", { term: term.number, from: showRule(term.rule), to: showRule(rule) })
      yield* term.hold.change(rule)
      term.flushTo = term.pipeline.closedIndex
      term.release()
      journal.info("mode_change_completed", {
        term: term.number,
        rule: showRule(rule),
        duration_ms: nowMillis() - startedAt
      })
      return true
    })

  const watch = (term: Term) =>
    Effect.gen(function* () {
      let since = nowMillis()
      for (;;) {
        watchBuffer(term)
        const rule = wanted(term, since)
        const stillWanted = (): boolean => wanted(term, since) !== undefined
        if (rule !== undefined && (yield* change(term, rule, stillWanted))) since = nowMillis()
        for (const follower of term.followers.values()) {
          const votes = term.rule.voters.some((voter) => voter.nodeId === follower.name.nodeId)
          if (follower.leaving && !votes) follower.mayLeave()
        }
        yield* Effect.sleep(tickMillis)
      }
    })

  return { watch, flush }
}
