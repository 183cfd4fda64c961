/**
 * `Replicator` in a cluster: takes the part that the arbiter gives this node (`replicator/roles.ts`). It reigns
 * (`replicator/primary.ts`), or follows whoever is named (`replicator/replica.ts`).
 *
 * Closing: as Primary drain, resign, and let another node follow; as Replica ask to be taken out of the voters.
 */
import { Clock, Deferred, Effect, Layer, Option } from "effect"
import { arbiterKey, showNode } from "../core/election/arbiter.ts"
import { errors } from "../core/wire/errors.ts"
import type { NodeInfo } from "../core/wire/peer/messages.ts"
import { peerMethods } from "../core/wire/peer/methods.ts"
import { ChunkBuffer } from "../services/ChunkBuffer.ts"
import { ClusterView } from "../services/ClusterView.ts"
import { History } from "../services/History.ts"
import { LocalStore } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { Membership } from "../services/Membership.ts"
import { Metrics } from "../services/Metrics.ts"
import { type LogReport, NodeReports } from "../services/NodeReports.ts"
import { NodeStatus, type PrimaryState } from "../services/NodeStatus.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { PeerNetwork } from "../services/PeerNetwork.ts"
import { Reign } from "../services/Reign.ts"
import { Replicator, type StateMachine, type Waiter } from "../services/Replicator.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"
import { AppliedWaiters } from "./replicator/AppliedWaiters.ts"
import { NodeLog } from "./replicator/NodeLog.ts"
import { monotonicMillis, requestTimeoutMillis } from "./replicator/parts.ts"
import { makePrimary, type Primary } from "./replicator/primary.ts"
import { RemoteReads } from "./replicator/remoteReads.ts"
import { makeReplica, type Replica } from "./replicator/replica.ts"
import { makeRoles } from "./replicator/roles.ts"
import { makeWarm } from "./replicator/warm.ts"

const tickMillis = 100
const leaveMillis = 3_000
const bucketAnswersMillis = 1_000
/** How long a stopping Primary waits for another node to be named, so that its own Elector can name it. */
const successorMillis = 2_500

export const layer: Layer.Layer<
  Replicator,
  never,
  | Reign
  | LocalStore
  | ChunkBuffer
  | History
  | ObjectStore
  | PeerNetwork
  | ClusterView
  | NodeReports
  | Membership
  | Settings
  | NodeStatus
  | Supervisor
  | Log
  | Metrics
> = Layer.effect(
  Replicator,
  Effect.gen(function* () {
    const local = yield* LocalStore
    const objects = yield* ObjectStore
    const peers = yield* PeerNetwork
    const view = yield* ClusterView
    const reports = yield* NodeReports
    const membership = yield* Membership
    const settings = yield* Settings
    const status = yield* NodeStatus
    const supervisor = yield* Supervisor
    const journal = yield* Log
    const clock = yield* Clock.Clock
    const common = {
      local,
      peers,
      view,
      status,
      journal,
      settings,
      supervisor,
      clock,
      chunks: yield* ChunkBuffer,
      reign: yield* Reign,
      history: yield* History,
      metrics: yield* Metrics
    }
    const nowMillis = (): number => monotonicMillis(clock)
    const log = new NodeLog(local)
    const listeners: Array<(role: PrimaryState) => void> = []
    const applied = new AppliedWaiters()
    let primary: Primary | undefined
    let replica: Replica | undefined
    let stopping = false
    /** Up to here the state machine shows what is committed. */
    let shownIndex = 0

    const role = (): PrimaryState => status.primary()
    const isActive = (): boolean => primary?.term()?.accepting === true
    const changedRole = (): void => {
      for (const listener of listeners) listener(role())
    }

    /** Another node that is said to reign, as far as this one knows. */
    const otherPrimary = (): NodeInfo | undefined => {
      const named = view.primary()
      return named === undefined || view.isSelf(named.name) ? undefined : named
    }

    const appliedInTime = (index: number, deadlineMillis: number, waiter: Waiter): void => {
      if (index <= log.commitIndex) waiter.done()
      else applied.push(index, deadlineMillis, waiter)
    }
    const whenApplied = (index: number, waiter: Waiter): void =>
      appliedInTime(index, nowMillis() + requestTimeoutMillis, waiter)

    const reads = new RemoteReads({
      peers,
      nowMillis,
      // What this node evaluated as Primary is taken back before another one answers for it.
      primary: () => (role() === "replica" ? otherPrimary() : undefined),
      whenApplied: appliedInTime
    })

    const whenReadable = (index: number, waiter: Waiter): void => {
      const term = primary?.term()
      if (term?.accepting === true) term.whenReadable(index, waiter)
      else if (stopping) waiter.failed(errors.serverStopped)
      else reads.read(waiter)
    }

    /** Whoever asked for the Primary's commit index while there was none asks here now. */
    const readHere = (): void => {
      for (const waiter of reads.takeAll()) whenReadable(0, waiter)
    }

    /** The state machine and everybody who waits for it see what is committed. */
    const watched = (machine: StateMachine): StateMachine => ({
      ...machine,
      replicate: (entries) => {
        machine.replicate(entries)
        shown(log.commitIndex)
      },
      committed: (entries) => {
        machine.committed(entries)
        shown(log.commitIndex)
      },
      load: (index) => Effect.tap(machine.load(index), () => Effect.sync(() => shown(index)))
    })

    const shown = (index: number): void => {
      shownIndex = Math.max(shownIndex, index)
      applied.applied(index)
    }

    const bucketAnswers = objects.get(arbiterKey).pipe(
      Effect.timeoutOption(bucketAnswersMillis),
      Effect.map(Option.isSome),
      Effect.catch(() => Effect.succeed(false))
    )

    const ticks = Effect.gen(function* () {
      for (;;) {
        yield* Effect.sleep(tickMillis)
        applied.expire(nowMillis())
        reads.tick()
        // A hand-over that came to nothing, or an answer that was lost while this node became Active.
        if (isActive()) readHere()
      }
    })

    const report = (machine: StateMachine) => (): LogReport => {
      const term = primary?.term()
      const rule = term?.rule
      const lag = replica?.lag() ?? { entries: 0, millis: 0 }
      return {
        fenced: log.fenced,
        last: log.durable,
        lastRevision: log.lastRevision,
        commitIndex: log.commitIndex,
        committedRevision: machine.committedRevision(),
        floor: machine.floor(),
        storedIndex: term?.pipeline.storedIndex ?? log.storedIndex,
        mayAcknowledge: term === undefined ? true : term.mayAcknowledge(),
        refusedTerm: term?.refusedTerm ?? 0,
        lagEntries: term === undefined ? lag.entries : 0,
        lagMillis: term === undefined ? lag.millis : 0,
        mode: rule?.mode ?? "store",
        voters: rule?.voters ?? [],
        required: rule?.required ?? 0,
        bufferedBytes: term?.pipeline.bufferedBytes ?? 0,
        lastSnapshotIndex: machine.lastSnapshotIndex(),
        lastChunkIndex: term?.lastChunkIndex ?? 0
      }
    }

    const start = (given: StateMachine) =>
      Effect.gen(function* () {
        const aside = local.opened.setAside
        if (aside !== undefined) journal.error("local_db_set_aside", { path: aside.path, reason: aside.reason })
        journal.info("local_db_initialized", {
          path: local.path,
          last_index: local.opened.last.index,
          incarnation: local.opened.incarnation
        })
        const machine = watched(given)
        yield* log.load
        yield* machine.load(log.commitIndex)
        const self = membership.self()
        const usable = yield* Deferred.make<void>()
        primary = yield* makePrimary({ ...common, log, machine, self, bucketAnswers })
        const reigns = primary
        replica = makeReplica({
          ...common,
          log,
          machine,
          self,
          memberId: status.memberId,
          heartbeatMillis: settings.heartbeatIntervalMillis,
          report: reports.current,
          onFenced: (term) => reigns.deposeBelow(term, `this node is fenced at term ${term}`)
        })
        const isUsable = (): void => {
          Deferred.doneUnsafe(usable, Effect.void)
        }
        replica.onCaughtUp(isUsable)
        peers.handle(peerMethods.fence, replica.fence)
        yield* supervisor.spawn("fences", replica.fences)
        view.onChange(({ arbiter }) => {
          if (arbiter !== undefined)
            primary!.deposeBelow(arbiter.term, `${showNode(arbiter.primary)} reigns in term ${arbiter.term}`)
          reads.tick()
        })
        reports.provideLog(report(machine))
        yield* supervisor.spawn("reads", ticks)
        yield* supervisor.spawn(
          "roles",
          makeRoles({
            ...common,
            objects,
            membership,
            log,
            machine,
            primary,
            replica,
            otherPrimary,
            isStopping: () => stopping,
            shownIndex: () => shownIndex,
            onActive: () => {
              isUsable()
              changedRole()
              readHere()
            },
            onReignEnded: () => {
              // A node that stops is no candidate any more.
              if (!stopping && role() !== "replica") status.setPrimary("replica")
              changedRole()
            }
          })
        )
        const follower = replica
        yield* supervisor.spawn(
          "history-warm-up",
          makeWarm({
            ...common,
            nowMillis,
            storedIndex: () => log.storedIndex,
            rests: () => role() === "replica" && follower.caughtUp() && !stopping
          })
        )
        yield* Effect.addFinalizer(() => stop)
        // Whoever waits for the start is not told otherwise that a task of it has ended.
        yield* Effect.raceFirst(Deferred.await(usable), supervisor.ended)
      })

    const stop = Effect.gen(function* () {
      stopping = true
      const wasPrimary = view.current().arbiter
      const reigned = primary?.term() !== undefined
      yield* primary?.drain ?? Effect.void
      if (!reigned) yield* replica?.leave(leaveMillis) ?? Effect.void
      reads.stop()
      applied.failAll(errors.serverStopped)
      // An Elector on this node names the next Primary before it stops itself (design 6.1).
      if (reigned && view.current().nodes.length > 1) {
        const named = Effect.gen(function* () {
          for (;;) {
            const { arbiter } = view.current()
            if (arbiter !== undefined && arbiter.term > (wasPrimary?.term ?? 0)) return
            yield* Effect.sleep(20)
          }
        })
        const found = yield* named.pipe(Effect.timeoutOption(successorMillis))
        if (Option.isNone(found)) journal.warn("no_successor", { term: wasPrimary?.term })
      }
    })

    return Replicator.of({
      start,
      role,
      onRole: (listener) => {
        listeners.push(listener)
      },
      primary: () => (isActive() ? undefined : otherPrimary()),
      next: () => primary?.next() ?? errors.noLeader,
      append: (entry, waiter) => primary!.append(entry, waiter),
      whenReadable,
      whenApplied,
      headIndex: () => primary?.term()?.pipeline.headIndex ?? log.commitIndex,
      commitIndex: () => log.commitIndex,
      storedIndex: () => primary?.term()?.pipeline.storedIndex ?? log.storedIndex,
      handOver: (nodeId, waiter) =>
        primary === undefined ? waiter.failed(errors.noLeader) : primary.handOver(nodeId, waiter)
    })
  })
)
