/**
 * Replicas that follow this Primary: their streams, from the hello to the end, the reads of the disk for those that are
 * behind, and the questions for the commit index. Whoever comes while a term is being begun is kept until it has.
 */
import { Effect, Queue, type Scope } from "effect"
import { decodeReplicaMessage, encodeReadIndexAnswer } from "../../core/wire/peer/codecs.ts"
import type { ReplicaMessage } from "../../core/wire/peer/messages.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { LocalStoreFailed } from "../../services/LocalStore.ts"
import type { PeerStreamIn, PeerStreamOut } from "../../services/PeerNetwork.ts"
import { Follower, type FollowersParts, makeEncoded } from "./Follower.ts"
import { monotonicMillis, type PrimaryParts } from "./parts.ts"
import { dataLoss } from "./replica.ts"
import type { Term } from "./Term.ts"

const followersMax = 64
/** A follower asks for one thing at a time; those of streams that were just replaced may still wait. */
const diskJobsMax = 4 * followersMax
const notPrimary = { code: 9, reason: "this node is not the Primary" }

type DiskJob = Effect.Effect<void, LocalStoreFailed>

export interface FollowingParts extends PrimaryParts {
  /** The term that is begun. */
  readonly current: () => Term | undefined
  /** This node was elected, though its term may not have begun yet. */
  readonly isElected: () => boolean
  /** Runs the body; an invariant that breaks in it ends the process. */
  readonly guarded: (body: () => void) => void
  readonly resign: (term: Term) => void
}

export interface Following {
  /** The term has begun: takes whoever came early. Reads the disk for replicas until the scope closes. */
  readonly begin: (term: Term) => Effect.Effect<void, never, Scope.Scope>
  /** Nobody follows any more. */
  readonly end: () => void
}

export const makeFollowing = (parts: FollowingParts): Following => {
  const { clock, current, guarded, isElected, journal, local, log, peers, supervisor, view } = parts
  const nowMillis = (): number => monotonicMillis(clock)
  let disk: Queue.Queue<DiskJob> | undefined
  let shared: FollowersParts | undefined
  /** Who wants to follow a term that is still being begun, by node id: its hello is looked at when it has. */
  const early = new Map<string, { readonly out: PeerStreamOut; readonly begin: () => void }>()

  const onDisk = (job: DiskJob): void => {
    if (disk !== undefined) Queue.offerUnsafe(disk, job)
  }
  const isDiskBusy = (): boolean => disk !== undefined && Queue.sizeUnsafe(disk) >= diskJobsMax - followersMax

  const refused = (term: Term, higher: number): void => {
    if (higher <= term.number) return
    term.refusedTerm = Math.max(term.refusedTerm, higher)
    const { arbiter } = view.current()
    if (arbiter !== undefined && arbiter.term > term.number) {
      return term.hold.depose(`the arbiter is at term ${arbiter.term}`)
    }
    // In mode store nobody else would ever depose a Primary that renews (design 6.2): it resigns.
    if (term.rule.mode === "store") {
      journal.warn("primary_refused", { term: term.number, fenced: higher })
      parts.resign(term)
    }
  }

  const followersParts = (term: Term): FollowersParts => ({
    term: term.number,
    pipeline: term.pipeline,
    nowMillis,
    firstIndex: () => log.firstIndex,
    encoded: makeEncoded(),
    // The log's beginning as it is then: a compaction may have moved it.
    entriesFrom: (index, entries, bytes, use) =>
      onDisk(Effect.andThen(log.refresh, Effect.map(local.entries(index, entries, bytes), use))),
    termOnDisk: (index, use) => onDisk(Effect.andThen(log.refresh, Effect.map(log.termAt(index), use))),
    onReceipt: (name, match) => {
      term.receipts.receipt(name, match, nowMillis())
      term.advance()
    },
    onConfirm: (name, round) => term.confirmed(name, round),
    onRefused: (by, higher) => {
      journal.warn("append_refused", { term: term.number, by: by.nodeId, fenced: higher })
      refused(term, higher)
    }
  })

  const hello = (from: string, out: PeerStreamOut, message: ReplicaMessage): Follower | undefined => {
    const term = current()
    const common = shared
    if (term === undefined || common === undefined) {
      out.close(notPrimary)
      return undefined
    }
    if (message.kind !== "hello" || message.name.nodeId !== from) {
      out.close({ code: 3, reason: `a stream of ${from} begins with its own hello` })
      return undefined
    }
    if (!term.followers.has(from) && term.followers.size >= followersMax) {
      out.close({ code: 8, reason: `${followersMax} nodes follow already` })
      return undefined
    }
    if (isDiskBusy()) {
      out.close({ code: 8, reason: "the disk is busy with what others lack" })
      return undefined
    }
    const held = term.receipts.match(message.name)
    if (held !== undefined && message.last.index < held) {
      // It counts for what it does not have any more; what else it has promised and forgotten nobody can know.
      term.followers.get(from)?.close()
      term.followers.delete(from)
      term.receipts.left(message.name)
      journal.error("follower_lost_entries", { node_id: from, receipt: held, last_index: message.last.index })
      out.close({ code: dataLoss, reason: `the log ends at index ${message.last.index}, but a receipt said ${held}` })
      return undefined
    }
    if (message.fenced > term.number) refused(term, message.fenced)
    if (term.stopped) {
      out.close(notPrimary)
      return undefined
    }
    term.followers.get(from)?.close({ code: 10, reason: "the node follows on another stream" })
    const follower = new Follower(message.name, out, common)
    term.followers.set(from, follower)
    term.receipts.joined(message.name, nowMillis())
    journal.info("follower_joined", { node_id: from, last_index: message.last.index, term: term.number })
    follower.begin(message.last)
    term.repeatRound()
    return follower
  }

  peers.handleStream(peerMethods.follow, (from, out): PeerStreamIn => {
    let follower: Follower | undefined
    /** The term in which it said hello. */
    let of: Term | undefined
    let refusedAtOnce = !isElected()
    if (refusedAtOnce) out.close(notPrimary)
    return {
      message: (bytes) => {
        if (refusedAtOnce) return
        let message: ReplicaMessage
        try {
          message = decodeReplicaMessage(bytes)
        } catch (cause) {
          refusedAtOnce = true
          return out.close({ code: 3, reason: cause instanceof Error ? cause.message : String(cause) })
        }
        guarded(() => {
          if (follower !== undefined) return follower.over ? undefined : follower.message(message)
          const begin = (): void => {
            of = current()
            follower = hello(from, out, message)
            refusedAtOnce = follower === undefined
          }
          if (current() !== undefined || !isElected()) return begin()
          const before = early.get(from)
          refusedAtOnce = before?.out === out || (before === undefined && early.size >= followersMax)
          if (refusedAtOnce) return out.close(notPrimary)
          before?.out.close({ code: 10, reason: "the node follows on another stream" })
          early.set(from, { out, begin })
        })
      },
      drained: () => {
        if (follower !== undefined && !follower.over) guarded(() => follower!.drained())
      },
      closed: (error) => {
        if (early.get(from)?.out === out) early.delete(from)
        if (follower === undefined || of === undefined) return
        follower.close()
        if (of.followers.get(from) !== follower) return
        of.followers.delete(from)
        of.receipts.left(follower.name)
        journal.info("follower_left", { node_id: from, reason: error?.message ?? "it closed the stream" })
      }
    }
  })

  peers.handle(peerMethods.readIndex, (_request, _from, answer) => {
    const term = current()
    if (term === undefined || !term.accepting) return answer.fail(notPrimary.code, notPrimary.reason)
    const index = term.pipeline.commitIndex
    guarded(() =>
      term.whenReadable(index, {
        done: () => answer.succeed(encodeReadIndexAnswer({ term: term.number, index })),
        failed: (error) => answer.fail(error.code, error.message)
      })
    )
  })

  const diskReader = (jobs: Queue.Queue<DiskJob>) =>
    Effect.gen(function* () {
      for (;;) yield* yield* Queue.take(jobs)
    })

  const begin = (term: Term) =>
    Effect.gen(function* () {
      const jobs = yield* Queue.bounded<DiskJob>(diskJobsMax)
      disk = jobs
      shared = followersParts(term)
      yield* supervisor.spawn("follower-disk-reads", diskReader(jobs))
      const waiting = [...early.values()]
      early.clear()
      guarded(() => waiting.forEach((one) => one.begin()))
    })

  const end = (): void => {
    disk = undefined
    shared = undefined
    for (const { out } of early.values()) out.close(notPrimary)
    early.clear()
  }

  return { begin, end }
}
