/**
 * Where the Elector is, for whoever has to tell it something: by what this node last heard, and by the lock object when
 * that was wrong. A wrong answer does no harm: whoever is asked and is not the Elector says so.
 */
import { type Clock, Effect } from "effect"
import { decodeLock, lockKey } from "../../core/election/lock.ts"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { Elector } from "../../services/Elector.ts"
import type { Membership } from "../../services/Membership.ts"
import type { ObjectStore } from "../../services/ObjectStore.ts"
import type { PeerAddress } from "../../services/PeerNetwork.ts"
import type { SettingsShape } from "../../services/Settings.ts"

/** The lock object is read at most so often. */
const bucketPauseMillis = 1_000

export interface ElectorFinder {
  /** Undefined: nobody knows at the moment. */
  readonly find: Effect.Effect<PeerAddress | undefined>
  readonly answered: (address: PeerAddress) => void
  /** It did not answer, or is not the Elector. */
  readonly failed: (address: PeerAddress) => void
}

export interface FinderParts {
  readonly view: ClusterView["Service"]
  readonly elector: Elector["Service"]
  readonly membership: Membership["Service"]
  readonly store: ObjectStore["Service"]
  readonly settings: SettingsShape
  readonly clock: Clock.Clock
}

export const makeElectorFinder = ({
  view,
  elector,
  membership,
  store,
  settings,
  clock
}: FinderParts): ElectorFinder => {
  /** The last one that failed, until somebody answers. */
  let doubted: PeerAddress | undefined
  let fromBucket: PeerAddress | undefined
  let readAt = -Infinity
  const nowMillis = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

  const asHeard = (nodeId: string | undefined): PeerAddress | undefined => {
    if (nodeId === undefined || nodeId === "" || nodeId === doubted?.nodeId) return undefined
    const address = view.node(nodeId)?.peerAddress
    return address === undefined ? undefined : { nodeId, address }
  }

  const readBucket = Effect.gen(function* () {
    const object = yield* store.get(lockKey)
    const lock = decodeLock(object.body)
    if (typeof lock === "string" || lock.leaderId === "" || lock.lastUpdatedMillis === 0) return undefined
    const heard = asHeard(lock.leaderId)
    if (heard !== undefined) return heard
    // Not known here, or it did not answer where it was: it may have moved.
    const address = (yield* membership.lookUp(lock.leaderId))?.peerAddress
    return address === undefined ? undefined : { nodeId: lock.leaderId, address }
  }).pipe(Effect.orElseSucceed(() => fromBucket))

  return {
    find: Effect.suspend(() => {
      if (elector.isLeader()) return Effect.succeed({ nodeId: settings.nodeId, address: settings.advertise.peer })
      const heard = asHeard(view.current().elector) ?? asHeard(elector.leader())
      if (heard !== undefined) return Effect.succeed(heard)
      if (nowMillis() - readAt < bucketPauseMillis) return Effect.succeed(fromBucket)
      readAt = nowMillis()
      return Effect.map(readBucket, (found) => (fromBucket = found))
    }),
    answered: () => {
      doubted = undefined
    },
    failed: (address) => {
      doubted = address
    }
  }
}
