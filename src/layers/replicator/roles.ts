/**
 * Which part this node plays, as the arbiter has it: it reigns in a term that names it and that it has not begun before,
 * follows whoever else is named, and otherwise waits, saying for what.
 */
import { type Clock, Effect } from "effect"
import { type Arbiter, sameNode, showNode } from "../../core/election/arbiter.ts"
import type { ClusterState, NodeInfo } from "../../core/wire/peer/messages.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { Log } from "../../services/Log.ts"
import type { Membership } from "../../services/Membership.ts"
import type { NodeStatus } from "../../services/NodeStatus.ts"
import type { ObjectStore } from "../../services/ObjectStore.ts"
import type { Won } from "../../services/Reign.ts"
import type { StateMachine } from "../../services/Replicator.ts"
import type { NodeLog } from "./NodeLog.ts"
import { monotonicMillis } from "./parts.ts"
import type { Primary } from "./primary.ts"
import type { Replica } from "./replica.ts"

const followAgainMinMillis = 20
const followAgainMaxMillis = 500
const exclusivePollMillis = 200

export interface RolesParts {
  readonly view: ClusterView["Service"]
  readonly objects: ObjectStore["Service"]
  readonly membership: Membership["Service"]
  readonly status: NodeStatus["Service"]
  readonly journal: Log["Service"]
  readonly clock: Clock.Clock
  readonly log: NodeLog
  readonly machine: StateMachine
  readonly primary: Primary
  readonly replica: Replica
  /** Another node that is said to reign, as far as this one knows. */
  readonly otherPrimary: () => NodeInfo | undefined
  readonly isStopping: () => boolean
  /** What the state machine shows. */
  readonly shownIndex: () => number
  /** This node became Active. */
  readonly onActive: () => void
  /** Its reign ended. */
  readonly onReignEnded: () => void
}

export const makeRoles = (parts: RolesParts) => {
  const { view, objects, membership, status, journal, clock, log, machine, primary, replica, otherPrimary } = parts
  const nowMillis = (): number => monotonicMillis(clock)

  /** Waits until the view is not what it was. */
  const viewChanged = (seen: ClusterState): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      if (view.current() !== seen) return resume(Effect.void)
      const stop = view.onChange(() => {
        if (view.current() === seen) return
        stop()
        resume(Effect.void)
      })
      return Effect.sync(stop)
    })

  const samePrimary = (a: ClusterState, b: ClusterState): boolean =>
    a.arbiter?.term === b.arbiter?.term && a.arbiter?.resigned === b.arbiter?.resigned

  /** Waits until another term, another Primary's address or a resignation is known. */
  const partChanged = (seen: ClusterState, address: string | undefined) =>
    Effect.gen(function* () {
      for (let last = seen; ;) {
        yield* viewChanged(last)
        last = view.current()
        if (!samePrimary(seen, last) || otherPrimary()?.peerAddress !== address) return
      }
    })

  /** The bucket's own lock, where it has one: nobody reigns without it (design 6.3). */
  const storeLock = Effect.gen(function* () {
    if (objects.exclusive === undefined) return
    for (;;) {
      const taken = yield* objects.exclusive.pipe(
        Effect.catchTag("Unavailable", (error) => {
          journal.warn("bucket_unavailable", { error: error.message })
          return Effect.succeed(false)
        })
      )
      if (taken) return
      status.setWaiting({ what: "another process, which uses this storage, to end", until: undefined })
      yield* Effect.sleep(exclusivePollMillis)
    }
  })

  const reign = (won: Won, seen: ClusterState) =>
    Effect.gen(function* () {
      const locked = yield* Effect.raceFirst(Effect.as(storeLock, true), Effect.as(partChanged(seen, undefined), false))
      if (!locked) return
      journal.info("reign_started", { term: won.arbiter.term, mode: won.arbiter.mode })
      const deposed = yield* primary.reign(won, parts.onActive)
      journal[parts.isStopping() ? "info" : "warn"]("reign_ended", { term: deposed.term, by: deposed.by })
    }).pipe(
      Effect.scoped,
      Effect.ensuring(
        Effect.sync(() => {
          machine.deposed()
          parts.onReignEnded()
        })
      ),
      Effect.andThen(log.load),
      // A restore that was broken off has moved the commit index over what is shown.
      Effect.andThen(
        Effect.suspend(() => (log.commitIndex > parts.shownIndex() ? machine.load(log.commitIndex) : Effect.void))
      )
    )

  /** A restart never resumes a term: the Elector finds that out and starts the next one. */
  const mayReign = ({ term, resigned }: Arbiter): boolean =>
    !resigned && !parts.isStopping() && term > Math.max(log.reigned, membership.termAtStart()) && term >= log.fenced

  let again = followAgainMinMillis

  const follow = (other: NodeInfo, term: number, seen: ClusterState) =>
    Effect.gen(function* () {
      const otherwise = partChanged(seen, other.peerAddress)
      const startedAt = nowMillis()
      yield* replica.follow(other, term).pipe(Effect.scoped, Effect.raceFirst(otherwise))
      again =
        nowMillis() - startedAt > followAgainMaxMillis
          ? followAgainMinMillis
          : Math.min(again * 2, followAgainMaxMillis)
      yield* Effect.sleep(again).pipe(Effect.raceFirst(otherwise))
    })

  const waitFor = (what: string, change: Effect.Effect<void>) =>
    Effect.suspend(() => {
      status.setWaiting({ what, until: undefined })
      return change
    })

  const playPart = Effect.suspend(() => {
    const seen = view.current()
    const { arbiter, etag } = seen
    if (arbiter === undefined) return waitFor("an Elector, to choose the Primary", viewChanged(seen))
    if (sameNode(arbiter.primary, membership.self())) {
      return mayReign(arbiter)
        ? reign({ arbiter, etag }, seen)
        : waitFor(`the Elector, to choose a Primary for a term above ${arbiter.term}`, partChanged(seen, undefined))
    }
    const other = otherPrimary()
    return other === undefined
      ? waitFor(`a Primary; ${showNode(arbiter.primary)} of term ${arbiter.term} is gone`, partChanged(seen, undefined))
      : follow(other, arbiter.term, seen)
  })

  return Effect.forever(playPart)
}
