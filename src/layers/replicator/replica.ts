/**
 * This node as a Replica (design 6.6): follows the Primary of a term over streams that are opened again as they break. One
 * fiber changes the log (`taking.ts`, `fromBucket.ts`); what must be answered at once is answered in `FollowStream`.
 */
import { type Clock, Effect, Latch } from "effect"
import { type NodeName, sameNode } from "../../core/election/arbiter.ts"
import type { NodeInfo, NodeReport, PrimaryMessage, TooFarBehind } from "../../core/wire/peer/messages.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { History, HistoryError } from "../../services/History.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"
import type { Log } from "../../services/Log.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import type { PeerMethod, PeerNetwork } from "../../services/PeerNetwork.ts"
import type { StateMachine } from "../../services/Replicator.ts"
import { makeFence } from "./fence.ts"
import { FollowStream } from "./FollowStream.ts"
import { fromBucket } from "./fromBucket.ts"
import { Lag } from "./Lag.ts"
import type { NodeLog } from "./NodeLog.ts"
import { type Conflict, SetAside, setAside } from "./setAside.ts"
import { type Agreement, makeTaking } from "./taking.ts"

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
  readonly report: () => NodeReport
  /** This node is fenced at the term; told at once, so that a Primary of a lower one is deposed. */
  readonly onFenced: (term: number) => void
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
  /** Handler of `peerMethods.fence`, in either role. */
  readonly fence: PeerMethod
  /** Makes fences durable and answers them: a supervised task, in either role. */
  readonly fences: Effect.Effect<never, LocalStoreFailed>
  /** How far this node is behind what the Primary last said. */
  readonly lag: () => { readonly entries: number; readonly millis: number }
  /** This node has once applied what a Primary had committed when its stream began: it may serve. */
  readonly caughtUp: () => boolean
  readonly onCaughtUp: (listener: () => void) => void
  /** Asks to be taken out of the voters; done when the Primary lets it go, there is none, or the time is over. */
  readonly leave: (limitMillis: number) => Effect.Effect<void>
}

/** gRPC's DataLoss: the Primary has receipts for more than this disk holds. */
export const dataLoss = 15
/** So many heartbeats without a word from the Primary, and it is suspected. */
const silentHeartbeats = 3
const reopenMinMillis = 50
const reopenMaxMillis = 500
const retryMillis = 1_000

/** How one stream ended. */
type SessionEnd =
  | "closed"
  | "silent"
  | "fenced"
  | "deposed by view"
  | TooFarBehind
  | { readonly kind: "conflict"; readonly term: number; readonly conflict: Conflict }
  /** The Primary knows of more on this disk than there is. */
  | { readonly kind: "older disk"; readonly reason: string }

export const makeReplica = (parts: ReplicaParts): Replica => {
  const { clock, journal, log, machine, peers, self, status, view } = parts
  const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const lag = new Lag(nowMillis, parts.heartbeatMillis)
  const listeners: Array<() => void> = []
  let stream: FollowStream | undefined
  let caughtUp = false
  let waits = false
  /** Why it is not followed, as the log has said last. */
  let troubled = ""
  /** When the stream broke that nothing has been heard after. */
  let brokenAt: number | undefined

  const fence = makeFence({
    log,
    journal,
    report: parts.report,
    onFenced: (term) => {
      stream?.wake.openUnsafe()
      parts.onFenced(term)
    }
  })

  const waitFor = (what: string | undefined): void => {
    if (what === undefined && !waits) return
    waits = what !== undefined
    status.setWaiting(what === undefined ? undefined : { what, until: undefined })
  }

  const nowCaughtUp = (): void => {
    waitFor(undefined)
    if (caughtUp) return
    caughtUp = true
    journal.info("replica_caught_up", { index: log.commitIndex })
    for (const listener of listeners) listener()
  }

  const { advance, take } = makeTaking({
    log,
    machine,
    journal,
    lag,
    onTaken: ({ target = 0 }) => {
      if (log.commitIndex >= target) nowCaughtUp()
      else if (!caughtUp) waitFor(`the Primary's entries up to index ${target}, ${log.commitIndex} are here`)
    }
  })

  /** Judged by an arbiter that is at least of the term whose log differs; until there is one, nothing is done. */
  const judge = (term: number, conflict: Conflict) =>
    Effect.suspend(() => {
      const { arbiter } = view.current()
      if (arbiter === undefined || arbiter.term < term) {
        waitFor(`the cluster's state of term ${term}, to judge a conflict at index ${conflict.index}`)
        return Effect.void
      }
      return setAside(parts, arbiter, conflict)
    })

  const work = (s: FollowStream): Effect.Effect<SessionEnd, LocalStoreFailed> =>
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
        if (next.kind === "tooFarBehind") return next
        const conflict = yield* Effect.uninterruptible(take(s, agreed, next))
        if (conflict !== undefined) return { kind: "conflict", term: next.term, conflict } as const
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
          troubled = ""
          brokenAt = undefined
          status.setTrouble("follow", undefined)
          if (caughtUp) waitFor(undefined)
          journal.info("following", { primary: primary.name.nodeId, term: s.term, address: primary.peerAddress })
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
          Effect.map(Effect.raceFirst(work(s), watch(s)), (end) => {
            if (end === "closed" || end === "silent") broken(primary, s, end)
            const { error } = s
            return end === "closed" && error?._tag === "PeerRefused" && error.code === dataLoss
              ? ({ end: { kind: "older disk", reason: error.reason }, heard } as const)
              : ({ end, heard } as const)
          }),
        () => closed
      )
    })

  const toAnswer = ({ name, peerAddress }: NodeInfo): string => `the Primary ${name.nodeId} at ${peerAddress} to answer`

  const broken = (primary: NodeInfo, s: FollowStream, end: "closed" | "silent"): void => {
    const { nodeId } = primary.name
    const unreachable = end === "silent" || s.error?._tag === "PeerUnreachable"
    const why =
      end === "silent"
        ? `nothing was heard for ${silentHeartbeats * parts.heartbeatMillis} ms`
        : (s.error?.message ?? "the stream was closed")
    if (why !== troubled) journal.warn("follow_broken", { primary: nodeId, term: s.term, error: why })
    troubled = why
    brokenAt ??= nowMillis()
    // A change of Primary takes less than that, and is no trouble.
    if (end === "silent" || nowMillis() - brokenAt >= parts.heartbeatMillis) {
      status.setTrouble("follow", `the Primary ${nodeId} at ${primary.peerAddress} is not followed: ${why}`)
    }
    waitFor(toAnswer(primary))
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
      const pause = (millis: number) => changed.await.pipe(Effect.timeoutOption(millis))
      const loop = Effect.gen(function* () {
        // Of a reign that is over there may be entries that never came to the disk.
        if (log.durable.index !== log.last.index) yield* Effect.uninterruptible(log.load)
        let reopen = reopenMinMillis
        waitFor(toAnswer(primary))
        for (;;) {
          changed.closeUnsafe()
          if (isOver(primary, term)) return "deposed by view" as const
          const { end, heard } = yield* session(located(primary), term)
          if (end === "fenced" || end === "deposed by view") return end
          if (end === "closed" && resigned(term)) return end
          if (typeof end === "string") {
            reopen = heard ? reopenMinMillis : Math.min(reopen * 2, reopenMaxMillis)
            yield* pause(reopen)
          } else if (end.kind === "older disk") {
            return yield* asAnotherNode(end.reason)
          } else if (end.kind === "conflict") {
            yield* judge(end.term, end.conflict)
            yield* pause(retryMillis)
          } else {
            const done = yield* fromBucket({ ...parts, advance, waitFor }, primary.name.nodeId, end.firstIndex)
            if (done.kind === "conflict") yield* judge(done.term, done.conflict)
            if (done.kind !== "restored") yield* pause(retryMillis)
          }
        }
      })
      return Effect.ensuring(
        loop,
        Effect.sync(() => {
          unsubscribe()
          waitFor(undefined)
          brokenAt = undefined
          status.setTrouble("follow", undefined)
        })
      )
    })

  /** Receipts and promises that this disk has forgotten are another node's from now on (design 6.2). */
  const asAnotherNode = (reason: string) =>
    Effect.gen(function* () {
      const incarnation = yield* parts.local.newIncarnation
      journal.error("older_disk_found", { incarnation: self.incarnation, new_incarnation: incarnation, reason })
      return yield* new SetAside({
        index: log.last.index,
        reason: `the disk was put back to an older state: ${reason}`
      })
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
    fence: fence.handler,
    fences: fence.task,
    lag: () => lag.current(log.commitIndex),
    caughtUp: () => caughtUp,
    onCaughtUp: (listener) => {
      listeners.push(listener)
    },
    leave
  }
}
