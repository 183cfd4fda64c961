/**
 * This node as a Replica (design 6.6): follows the Primary of a term, makes what it sends durable before saying so, moves
 * the commit index only over what was matched with this term's Primary, and restores from the bucket when it is too far
 * behind. One fiber changes the log; what must be answered at once is answered in `FollowStream`.
 */
import { type Clock, Effect, Latch } from "effect"
import { assert } from "../../core/assert.ts"
import { type NodeName, sameNode } from "../../core/election/arbiter.ts"
import { bucketHelps, follow as judge, type Following } from "../../core/log/follow.ts"
import type { NodeInfo, PrimaryMessage, TooFarBehind } from "../../core/wire/peer/messages.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { History, HistoryError } from "../../services/History.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import { Unavailable } from "../../services/ObjectStore.ts"
import type { PeerNetwork } from "../../services/PeerNetwork.ts"
import type { StateMachine } from "../../services/Replicator.ts"
import { FollowStream, type Run } from "./FollowStream.ts"
import { Lag } from "./Lag.ts"
import type { NodeLog } from "./NodeLog.ts"
import { settle } from "./restoreFromBucket.ts"
import { type Conflict, type SetAside, setAside } from "./setAside.ts"

export { SetAside } from "./setAside.ts"

export interface ReplicaParts {
  readonly local: LocalStore["Service"]
  readonly log: NodeLog
  readonly peers: PeerNetwork["Service"]
  readonly history: History["Service"]
  readonly view: ClusterView["Service"]
  readonly status: NodeStatus["Service"]
  readonly journal: Log["Service"]
  readonly clock: Clock.Clock
  readonly self: NodeName
  readonly memberId: () => bigint
  readonly machine: StateMachine
  readonly heartbeatMillis: number
}

/**
 * Why following has ended. "fenced": this node has promised a higher term. "deposed by view": the cluster's state names
 * another Primary or term. "closed": the Primary has resigned and its stream is over.
 */
export type FollowEnd = "closed" | "fenced" | "deposed by view"

export interface Replica {
  /**
   * Follows the Primary of `term`, opening the stream again as often as it breaks, until one of the reasons above. Never
   * fails for reasons of the network. May be interrupted at any moment: the log is then whole.
   */
  readonly follow: (
    primary: NodeInfo,
    term: number
  ) => Effect.Effect<FollowEnd, LocalStoreFailed | HistoryError | SetAside>
  /** This node has been fenced: whoever is followed in a lower term is not any more. */
  readonly fenced: () => void
  /** How far this node is behind what the Primary last said. */
  readonly lag: () => { readonly entries: number; readonly millis: number }
  /** This node has once applied what a Primary had committed when its stream began: it may serve. */
  readonly caughtUp: () => boolean
  readonly onCaughtUp: (listener: () => void) => void
  /** Asks to be taken out of the voters; done when the Primary lets it go, there is none, or the time is over. */
  readonly leave: (limitMillis: number) => Effect.Effect<void>
}

/** Entries that are applied without a pause: a node that was far behind answers others in between. */
const applyMax = 1_024
/** So many heartbeats without a word from the Primary, and it is suspected. */
const silentHeartbeats = 3
const reopenMinMillis = 50
const reopenMaxMillis = 500
const bucketRetryMillis = 1_000

/** How one stream ended. */
type SessionEnd =
  | "closed"
  | "silent"
  | "fenced"
  | "deposed by view"
  | "restored"
  | "wait for the bucket"
  | "view is behind"

export const makeReplica = (parts: ReplicaParts): Replica => {
  const { clock, history, journal, local, log, machine, peers, self, status, view } = parts
  const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const lag = new Lag(nowMillis, parts.heartbeatMillis)
  const listeners: Array<() => void> = []
  let stream: FollowStream | undefined
  let caughtUp = false
  let waits = false

  const waitFor = (what: string | undefined): void => {
    if (what === undefined && !waits) return
    waits = what !== undefined
    status.setWaiting(what === undefined ? undefined : { what, until: undefined })
  }

  /** Commits and applies up to `index`, which is matched. */
  const advance = (index: number) =>
    Effect.gen(function* () {
      while (log.commitIndex < index) {
        machine.replicate(log.commit(Math.min(index, log.commitIndex + applyMax)))
        lag.applied(log.commitIndex)
        if (log.commitIndex < index) yield* Effect.yieldNow
      }
    })

  const stored = (said: number): void => {
    // What the Primary has stored beyond it might be of a branch that this log does not take.
    const index = Math.min(said, log.commitIndex)
    if (index <= log.storedIndex) return
    log.stored(index)
    machine.stored(index)
  }

  const answered = <A>(questions: Generator<number, A, number | undefined>): Effect.Effect<A, LocalStoreFailed> =>
    Effect.suspend(() => {
      const first = questions.next()
      if (first.done === true) return Effect.succeed(first.value)
      return Effect.gen(function* () {
        let step: IteratorResult<number, A> = first
        while (step.done !== true) step = questions.next(yield* log.termAt(step.value))
        return step.value
      })
    })

  /** What one stream knows about the agreement of both logs. */
  interface Agreement {
    term: number
    /** Last index matched with the Primary of `term`; undefined: not yet. */
    matched: number | undefined
    /** What it had committed when it first spoke. */
    target: number | undefined
  }

  /** Messages in a row go to the disk in one transaction; nothing is said before it is there. */
  const take = (s: FollowStream, agreed: Agreement, run: Run) =>
    Effect.gen(function* () {
      const { term } = run
      if (term !== agreed.term) {
        agreed.term = term
        agreed.matched = undefined
        agreed.target = undefined
      }
      agreed.target ??= run.commitIndex
      if (log.fencedDurable < term) yield* log.promise({ fenced: Math.max(term, log.fenced), reigned: log.reigned })
      const verdict = yield* answered(judge(log, run))
      if (log.fenced > term) return undefined
      switch (verdict.kind) {
        case "conflict":
          return { index: verdict.index, commitIndex: log.commitIndex, other: `the log of term ${term}'s Primary` }
        case "mismatch":
          assert(agreed.matched === undefined || verdict.at.index >= agreed.matched, "the logs have agreed further")
          journal.debug("follow_mismatch", { term, prev: run.prev, at: verdict.at })
          s.send({ kind: "mismatch", term, at: verdict.at })
          return undefined
        case "fits":
          yield* write(s, agreed, run, verdict)
          return undefined
      }
    })

  const write = (s: FollowStream, agreed: Agreement, run: Run, fits: Extract<Following, { kind: "fits" }>) =>
    Effect.gen(function* () {
      const { term } = run
      if (fits.truncateFrom !== undefined) {
        assert(agreed.matched === undefined || fits.truncateFrom > agreed.matched, "what was matched does not change")
        journal.info("log_truncated", { term, from_index: fits.truncateFrom, last_index: log.last.index })
        yield* log.truncateFrom(fits.truncateFrom)
      }
      // Nobody who waits for an older entry waits for this fsync.
      yield* advance(Math.min(run.commitIndex, Math.max(agreed.matched ?? 0, run.prev.index + fits.held)))
      const fresh = fits.held === 0 ? run.entries : run.entries.slice(fits.held)
      if (log.fenced > term) return
      if (fresh.length > 0 || log.durable.index < fits.match) yield* log.append(fresh)
      const matched = Math.max(agreed.matched ?? 0, fits.match)
      agreed.matched = matched
      if (log.fenced > term) return
      assert(log.durable.index >= matched && log.fencedDurable >= term, "a receipt is for what is on the disk")
      s.send({ kind: "receipt", term, match: matched, commitIndex: log.commitIndex })
      yield* advance(Math.min(run.commitIndex, matched))
      stored(run.storedIndex)
      if (log.commitIndex >= agreed.target!) nowCaughtUp()
      else if (!caughtUp) waitFor(`the Primary's entries up to index ${agreed.target}, ${log.commitIndex} are here`)
    })

  const nowCaughtUp = (): void => {
    waitFor(undefined)
    if (caughtUp) return
    caughtUp = true
    journal.info("replica_caught_up", { index: log.commitIndex })
    for (const listener of listeners) listener()
  }

  /** The Primary cannot send what this log lacks. */
  const fromBucket = (primary: NodeInfo, far: TooFarBehind) =>
    Effect.gen(function* () {
      waitFor(`the bucket's history to be read: the Primary's log begins at index ${far.firstIndex} only`)
      const found = yield* history.read
      if (!bucketHelps(log.last, found.last, far.firstIndex)) {
        waitFor(
          `the bucket to hold what ${primary.name.nodeId} does not have any more: its log begins at index ${far.firstIndex}, the bucket ends at ${found.last.index}, this node at ${log.last.index}`
        )
        return "wait for the bucket" as const
      }
      const verdict = yield* settle({ local, log, status, journal, clock }, found).pipe(
        Effect.onInterrupt(() => Effect.ignore(reload))
      )
      if (verdict.kind === "conflict") {
        return yield* conflict(found.highestTerm, {
          index: verdict.index,
          commitIndex: log.commitIndex,
          other: "the bucket's history"
        })
      }
      if (verdict.kind === "restore") yield* Effect.uninterruptible(reload)
      else yield* Effect.uninterruptible(advance(found.snapshot?.last.index ?? 0))
      return "restored" as const
    }).pipe(
      Effect.catchIf(
        (error) => error instanceof Unavailable,
        (error) =>
          Effect.sync(() => {
            journal.warn("bucket_unavailable", { error: error.message, retry_ms: bucketRetryMillis })
            waitFor(`the bucket: ${error.message}`)
            return "wait for the bucket" as const
          })
      )
    )

  const reload = Effect.suspend(() => machine.load(log.commitIndex))

  /** Judged by an arbiter that is at least of the term whose log differs. */
  const conflict = (term: number, found: Conflict) =>
    Effect.suspend(() => {
      const { arbiter } = view.current()
      if (arbiter === undefined || arbiter.term < term) return Effect.succeed("view is behind" as const)
      return setAside({ local, journal }, arbiter, found)
    })

  const work = (s: FollowStream, primary: NodeInfo) =>
    Effect.gen(function* () {
      const agreed: Agreement = { term: s.term, matched: undefined, target: undefined }
      for (;;) {
        s.wake.closeUnsafe()
        if (log.fenced > s.term) return yield* refusing(s)
        const next = s.next()
        if (next === undefined) {
          if (s.stopped !== undefined) return "deposed by view" as const
          if (s.over) return "closed" as const
          yield* s.wake.await
          // Not inside the network's callback, and behind whatever else it brings.
          yield* Effect.yieldNow
          continue
        }
        if (next.kind === "tooFarBehind") {
          s.close()
          return yield* fromBucket(primary, next)
        }
        const found = yield* Effect.uninterruptible(take(s, agreed, next))
        if (found !== undefined) return yield* conflict(next.term, found)
      }
    })

  /** Fenced higher: whatever else the Primary says is refused (by the stream itself), for a while. */
  const refusing = (s: FollowStream) =>
    Effect.gen(function* () {
      if (s.next() !== undefined) s.refuse()
      const until = nowMillis() + parts.heartbeatMillis
      while (!s.over && s.stopped === undefined && nowMillis() < until) {
        s.wake.closeUnsafe()
        yield* s.wake.await.pipe(Effect.timeoutOption(Math.max(1, until - nowMillis())))
      }
      return "fenced" as const
    })

  const watch = (s: FollowStream) =>
    Effect.gen(function* () {
      for (;;) {
        yield* Effect.sleep(parts.heartbeatMillis)
        if (nowMillis() - s.lastHeardMillis >= silentHeartbeats * parts.heartbeatMillis) return "silent" as const
      }
    })

  const session = (primary: NodeInfo, term: number) =>
    Effect.gen(function* () {
      let heard = false
      const s = new FollowStream({ nodeId: primary.name.nodeId, address: primary.peerAddress }, term, {
        fenced: () => log.fenced,
        nowMillis,
        heard: (message: PrimaryMessage) => {
          if (message.kind === "append") lag.said(message.commitIndex, log.commitIndex)
          if (heard) return
          heard = true
          status.setTrouble("follow", undefined)
          if (caughtUp) waitFor(undefined)
          journal.info("following", { primary: primary.name.nodeId, term: message.term, address: primary.peerAddress })
        }
      })
      const opened = Effect.sync(() => {
        stream = s
        s.open(peers, {
          kind: "hello",
          name: self,
          memberId: parts.memberId(),
          fenced: log.fenced,
          last: log.last,
          commitIndex: log.commitIndex
        })
      })
      const closed = Effect.sync(() => {
        s.close()
        if (stream === s) stream = undefined
      })
      return yield* Effect.acquireUseRelease(
        opened,
        () =>
          Effect.map(Effect.raceFirst(work(s, primary), watch(s)), (end) => {
            if (end === "closed" || end === "silent") broken(primary, s, end)
            return { end, heard }
          }),
        () => closed
      )
    })

  const broken = (primary: NodeInfo, s: FollowStream, end: "closed" | "silent"): void => {
    const { nodeId } = primary.name
    const unreachable = end === "silent" || s.error?._tag === "PeerUnreachable"
    const why =
      end === "silent"
        ? `nothing was heard for ${silentHeartbeats * parts.heartbeatMillis} ms`
        : (s.error?.message ?? "the stream was closed")
    journal.warn("follow_broken", { primary: nodeId, term: s.term, error: why })
    status.setTrouble("follow", `the Primary ${nodeId} at ${primary.peerAddress} is not followed: ${why}`)
    waitFor(`the Primary ${nodeId} at ${primary.peerAddress} to answer`)
    if (unreachable) view.suspect(nodeId)
  }

  /** The cluster's state names another Primary or a higher term. */
  const isOver = (primary: NodeInfo, term: number): boolean => {
    const { arbiter } = view.current()
    return (
      arbiter !== undefined &&
      (arbiter.term > term || (arbiter.term === term && !sameNode(arbiter.primary, primary.name)))
    )
  }

  const resigned = (term: number): boolean => {
    const { arbiter } = view.current()
    return arbiter !== undefined && arbiter.term === term && arbiter.resigned
  }

  /** Where the Primary is now, as far as is known. */
  const located = (primary: NodeInfo): NodeInfo => {
    const known = view.node(primary.name.nodeId)
    return known !== undefined && sameNode(known.name, primary.name) ? known : primary
  }

  const follow: Replica["follow"] = (primary, term) =>
    Effect.suspend(() => {
      const changed = Latch.makeUnsafe(false)
      const unsubscribe = view.onChange(() => {
        changed.openUnsafe()
        if (stream !== undefined && isOver(primary, stream.term)) stream.stop("the view")
      })
      const pause = (millis: number) =>
        Effect.suspend(() => {
          changed.closeUnsafe()
          return changed.await.pipe(Effect.timeoutOption(millis))
        })
      const loop = Effect.gen(function* () {
        let reopen = reopenMinMillis
        for (;;) {
          if (isOver(primary, term)) return "deposed by view" as const
          const { end, heard } = yield* session(located(primary), term)
          switch (end) {
            case "deposed by view":
            case "fenced":
              return end
            case "restored":
              break
            case "wait for the bucket":
              yield* pause(bucketRetryMillis)
              break
            default:
              if (end === "closed" && resigned(term)) return "closed" as const
              reopen = heard ? reopenMinMillis : Math.min(reopen * 2, reopenMaxMillis)
              yield* pause(reopen)
          }
        }
      })
      return Effect.ensuring(
        loop,
        Effect.sync(() => {
          unsubscribe()
          waitFor(undefined)
          status.setTrouble("follow", undefined)
        })
      )
    })

  const leave: Replica["leave"] = (limitMillis) =>
    Effect.suspend(() => {
      const s = stream
      if (s === undefined || s.over) return Effect.void
      s.send({ kind: "leaving" })
      return s.mayLeave.await.pipe(Effect.timeoutOption(limitMillis), Effect.asVoid)
    })

  return {
    follow,
    fenced: () => stream?.wake.openUnsafe(),
    lag: () => lag.current(log.commitIndex),
    caughtUp: () => caughtUp,
    onCaughtUp: (listener) => {
      listeners.push(listener)
    },
    leave
  }
}
