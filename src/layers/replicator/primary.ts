/**
 * The Primary half of the Replicator: one term after the other, each from the arbiter that names this node to the end of
 * its reign. What the term decides stands in `Term.ts`, how batches travel in `writing.ts`, modes in `modes.ts`.
 */
import { Effect, Queue, type Scope } from "effect"
import type { Entry } from "../../core/log/record.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import { decodeReplicaMessage, encodeHandOverRequest, encodeReadIndexAnswer } from "../../core/wire/peer/codecs.ts"
import type { ReplicaMessage } from "../../core/wire/peer/messages.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { LocalStoreFailed } from "../../services/LocalStore.ts"
import type { PeerStreamIn, PeerStreamOut } from "../../services/PeerNetwork.ts"
import type { Deposed, Hold, Won } from "../../services/Reign.ts"
import type { NextPosition, TakenOver, Waiter } from "../../services/Replicator.ts"
import type { HistoryError } from "../../services/History.ts"
import { Follower, type FollowersParts, makeEncoded } from "./Follower.ts"
import { makeModes } from "./modes.ts"
import { dataLoss } from "./replica.ts"
import { monotonicMillis, type PrimaryParts, timestampOf } from "./parts.ts"
import type { SetAside } from "./setAside.ts"
import { makeTakeover } from "./takeover.ts"
import { Term } from "./Term.ts"
import { makeWriting } from "./writing.ts"

const followersMax = 64
/** A follower asks for one thing at a time; those of streams that were just replaced may still wait. */
const diskJobsMax = 4 * followersMax
const expiryTickMillis = 250
/** With the limits of both resignations a stop takes 15 s at the most. */
const drainTimeoutMillis = 9_000
const pollMillis = 10
/** A batch that is not committed after so long makes the node degraded. */
const slowMillis = 5_000
const handOverMillis = 5_000
const notPrimary = { code: 9, reason: "this node is not the Primary" }

export interface Primary {
  /** Reigns until it is deposed; the state machine stands at committed again when it ends. */
  readonly reign: (
    won: Won,
    onActive: (begun: TakenOver) => void
  ) => Effect.Effect<Deposed, HistoryError | LocalStoreFailed | SetAside, Scope.Scope>
  /** The term that is begun, from its takeover on. */
  readonly term: () => Term | undefined
  readonly next: () => NextPosition | EtcdError
  readonly append: (entry: Entry, waiter: Waiter) => void
  /** A fence, or the cluster's state, tells of a higher term. */
  readonly deposeBelow: (term: number, by: string) => void
  readonly handOver: (nodeId: string, waiter: Waiter) => void
  /** Stops accepting, waits until what is in flight is committed, stores the buffer, resigns. Bounded in time. */
  readonly drain: Effect.Effect<void>
}

type DiskJob = Effect.Effect<void, LocalStoreFailed>

export const makePrimary = (parts: PrimaryParts): Effect.Effect<Primary> =>
  Effect.gen(function* () {
    const { clock, journal, local, log, machine, metrics, peers, self, settings, status, supervisor, view } = parts
    const nowMillis = (): number => monotonicMillis(clock)
    const run = Effect.runForkWith(yield* Effect.context<never>())
    const writing = yield* makeWriting(parts)
    const takeOver = makeTakeover(parts)
    const modes = makeModes(parts, writing.work)
    const writes = metrics.counter({
      name: "netsy_primary_write_transactions_total",
      help: "Entries appended by the Primary and committed",
      labels: ["path", "result"]
    })
    const writeSeconds = metrics.histogram({
      name: "netsy_primary_write_duration_seconds",
      help: "From closing a batch to its commit",
      labels: ["path", "result"]
    })
    const labels = {
      store: Object.freeze({ path: "sync", result: "success" }),
      quorum: Object.freeze({ path: "quorum", result: "success" })
    }

    let held: Hold | undefined
    let current: Term | undefined
    let disk: Queue.Queue<DiskJob> | undefined

    /** Who wants to follow a term that is still being begun, by node id: its hello is looked at when it has. */
    const early = new Map<string, { readonly out: PeerStreamOut; readonly begin: () => void }>()

    /** This process is about to stop: nothing is accepted any more. */
    let draining = false

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
        run(term.hold.resign)
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

    let shared: FollowersParts | undefined

    const hello = (from: string, out: PeerStreamOut, message: ReplicaMessage): Follower | undefined => {
      const term = current
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
      let refusedAtOnce = held === undefined
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
              of = current
              follower = hello(from, out, message)
              refusedAtOnce = follower === undefined
            }
            if (current !== undefined || held === undefined) return begin()
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

    /** An invariant that breaks here ends the process: what was counted can no longer be trusted. */
    const guarded = (body: () => void): void => {
      try {
        body()
      } catch (cause) {
        supervisor.fail("primary", cause)
      }
    }

    peers.handle(peerMethods.readIndex, (_request, _from, answer) => {
      const term = current
      if (term === undefined || !term.accepting) return answer.fail(notPrimary.code, notPrimary.reason)
      const index = term.pipeline.commitIndex
      guarded(() =>
        term.whenReadable(index, {
          done: () => answer.succeed(encodeReadIndexAnswer({ term: term.number, index })),
          failed: (error) => answer.fail(error.code, error.message)
        })
      )
    })

    const expirer = (term: Term) =>
      Effect.gen(function* () {
        for (;;) {
          yield* Effect.sleep(expiryTickMillis)
          const now = nowMillis()
          const expired = term.expire(now)
          const { pipeline } = term
          if (expired > 0) {
            journal.warn("requests_timed_out", {
              count: expired,
              head: pipeline.headIndex,
              commit: pipeline.commitIndex
            })
          }
          const oldest = term.oldestMillis()
          const waited = oldest === undefined ? 0 : now - oldest
          const what = term.rule.mode === "store" ? "the bucket" : "a quorum of replicas"
          status.setTrouble(
            "commit",
            waited > slowMillis
              ? `entries wait for ${what} for ${Math.round(waited / 1000)} s; nothing is acknowledged meanwhile`
              : undefined
          )
        }
      })

    const heartbeats = (term: Term) =>
      Effect.gen(function* () {
        const interval = settings.heartbeatIntervalMillis
        for (;;) {
          yield* Effect.sleep(Math.max(5, interval / 2))
          guarded(() => {
            for (const follower of term.followers.values()) follower.tick(interval / 2)
          })
        }
      })

    const diskReader = (jobs: Queue.Queue<DiskJob>) =>
      Effect.gen(function* () {
        for (;;) yield* yield* Queue.take(jobs)
      })

    const begin = (won: Won, onActive: (begun: TakenOver) => void) =>
      Effect.gen(function* () {
        const number = won.arbiter.term
        yield* log.promise({ fenced: Math.max(number, log.fenced), reigned: number })
        status.setPrimary("starting")
        const hold = yield* parts.reign.begin(won)
        held = hold
        // What was heard while nothing was held yet.
        if (log.fenced > number) hold.depose(`this node is fenced at term ${log.fenced}`)
        const known = view.current().arbiter?.term ?? 0
        if (known > number) hold.depose(`the arbiter is at term ${known}`)
        yield* becomeActive(hold, onActive).pipe(Effect.raceFirst(hold.over))
        return yield* hold.over
      }).pipe(
        // At once: whoever waits is told before the term's fibers have come to their end.
        Effect.ensuring(end)
      )

    const becomeActive = (hold: Hold, onActive: (begun: TakenOver) => void) =>
      Effect.gen(function* () {
        const begun = yield* takeOver(hold)
        yield* hold.renewed
        yield* log.load
        if (begun.restored) yield* machine.load(log.commitIndex)
        const committedTerm = yield* log.termAt(log.commitIndex)
        machine.adopt(log.pending())
        const term = new Term({
          hold,
          log,
          self,
          head: begun.head,
          committed: { index: log.commitIndex, term: committedTerm ?? 0 },
          storedIndex: begun.head.index,
          nowMillis,
          onCommitted: machine.committed,
          onBatch: (closedAt, entries) => {
            const by = labels[hold.arbiter().mode]
            writes.inc(by, entries)
            writeSeconds.observe((nowMillis() - closedAt) / 1000, by)
          },
          onStored: (index) => {
            log.stored(index)
            machine.stored(index)
          },
          work: writing.work
        })
        log.stored(begun.head.index)
        machine.stored(begun.head.index)
        hold.onRenewed(() => guarded(() => term.advance()))
        const jobs = yield* Queue.bounded<DiskJob>(diskJobsMax)
        disk = jobs
        shared = followersParts(term)
        current = term
        yield* supervisor.spawn("follower-disk-reads", diskReader(jobs))
        yield* writing.start(term)
        const waiting = [...early.values()]
        early.clear()
        guarded(() => waiting.forEach(({ begin }) => begin()))
        yield* supervisor.spawn("request-expiry", expirer(term))
        yield* supervisor.spawn("follower-heartbeats", heartbeats(term))
        // Being deposed is not this task's failure: `over` tells whoever waits for the end.
        yield* supervisor.spawn("modes", modes.watch(term).pipe(Effect.catchTag("Deposed", () => Effect.never)))
        status.setWaiting({ what: "this term's first entry to be committed", until: undefined })
        guarded(() => term.advance())
        while (term.pipeline.commitIndex < begun.head.index && !term.stopped) yield* Effect.sleep(pollMillis)
        // Too late to become Active: who drains resigns, and that ends the term.
        if (draining || term.stopped) return yield* hold.over
        status.setWaiting(undefined)
        term.accepting = true
        machine.active(begun, () => term.mayAcknowledge())
        status.setPrimary("active")
        onActive(begun)
      })

    const end = Effect.sync(() => {
      const term = current
      current = undefined
      shared = undefined
      disk = undefined
      held = undefined
      for (const { out } of early.values()) out.close(notPrimary)
      early.clear()
      term?.stop(errors.requestTimedOut)
      status.setWaiting(undefined)
      status.setTrouble("commit", undefined)
      status.setTrouble("buffer", undefined)
    })

    const reign = (won: Won, onActive: (begun: TakenOver) => void) =>
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => end)
        return yield* begin(won, onActive).pipe(Effect.catchTag("Deposed", (deposed) => Effect.succeed(deposed)))
      })

    const next = (): NextPosition | EtcdError => {
      const term = current
      if (term === undefined || !term.accepting) return errors.noLeader
      if (!term.pipeline.hasRoom()) return errors.tooManyRequests
      return {
        index: term.pipeline.headIndex + 1,
        term: term.number,
        leaderId: settings.nodeId,
        createdAt: timestampOf(clock)
      }
    }

    const append = (entry: Entry, waiter: Waiter): void => {
      const term = current!
      term.append(entry, waiter)
      writing.appended(term)
    }

    const deposeBelow = (number: number, by: string): void => {
      if (held !== undefined && held.term < number) held.depose(by)
    }

    /** Everything appended is committed; false: not in time, or deposed. */
    const quiet = (term: Term, limitMillis: number) =>
      Effect.gen(function* () {
        const startedAt = nowMillis()
        while (!term.stopped && term.pipeline.commitIndex < term.pipeline.headIndex) {
          if (nowMillis() - startedAt >= limitMillis) return false
          yield* Effect.sleep(pollMillis)
        }
        return !term.stopped
      })

    const tellElector = (term: number, to: string) =>
      Effect.sync(() => {
        const { elector: electorId, nodes } = view.current()
        const elector = view.node(electorId)
        if (elector === undefined || nodes.length < 2) return
        const address = { nodeId: elector.name.nodeId, address: elector.peerAddress }
        peers.call(address, peerMethods.handOver, encodeHandOverRequest({ term, to }), 1_000, {
          succeed: () => {},
          fail: (error) => journal.warn("hand_over_not_told", { error: error.message })
        })
      })

    const handOver = (nodeId: string, waiter: Waiter): void => {
      const term = current
      if (term === undefined || !term.accepting) return waiter.failed(errors.noLeader)
      if (nodeId === settings.nodeId) return waiter.done()
      const follower = term.followers.get(nodeId)
      if (follower === undefined || !follower.matched) return waiter.failed(errors.unhealthy)
      const ready = Effect.gen(function* () {
        if (!(yield* quiet(term, handOverMillis))) return false
        const startedAt = nowMillis()
        while ((term.receipts.match(follower.name) ?? 0) < term.pipeline.headIndex) {
          if (term.stopped || nowMillis() - startedAt >= handOverMillis) return false
          yield* Effect.sleep(pollMillis)
        }
        // Without the bucket nobody can be elected.
        return yield* modes.flush(term, handOverMillis)
      })
      term.accepting = false
      status.setPrimary("draining")
      const effect = Effect.gen(function* () {
        if (!(yield* ready)) {
          if (current === term && !term.stopped && !draining) {
            term.accepting = true
            status.setPrimary("active")
          }
          return waiter.failed(errors.leaderTransferTimedOut)
        }
        // Named before the resignation lands, so that whoever elects next knows it.
        yield* tellElector(term.number, nodeId)
        yield* term.hold.resign
        yield* tellElector(term.number, nodeId)
        waiter.done()
      })
      run(effect.pipe(Effect.tapCause((cause) => Effect.sync(() => supervisor.fail("hand-over", cause)))))
    }

    const drain = Effect.gen(function* () {
      draining = true
      const term = current
      if (term === undefined) {
        if (held !== undefined) yield* held.resign
        return
      }
      term.accepting = false
      status.setPrimary("draining")
      const startedAt = nowMillis()
      journal.info("drain_started", {})
      const clean = yield* quiet(term, drainTimeoutMillis)
      const stored = clean && (yield* modes.flush(term, Math.max(0, drainTimeoutMillis - (nowMillis() - startedAt))))
      term.stop(clean ? errors.serverStopped : errors.requestTimedOut)
      journal.info("drain_completed", {
        result: clean && stored ? "success" : "error",
        duration_ms: nowMillis() - startedAt
      })
      yield* term.hold.resign
      yield* tellElector(term.number, "")
    })

    return {
      reign,
      term: () => current,
      next,
      append,
      deposeBelow,
      handOver,
      drain
    }
  })
