/**
 * The Elector: holds the lock object, keeps the map of nodes and `members.json`, and decides who is Primary by writing
 * the arbiter for the next term (design 6.1, 6.4). Works in the background from the moment its layer is built. Not on
 * the data path: what it decides is offered to `ClusterView` and pushed to the other nodes.
 */
import { Context, type Effect } from "effect"

export class Elector extends Context.Service<
  Elector,
  {
    /** Holds the lock at this moment, as far as this node knows. */
    readonly isLeader: () => boolean
    /** Node id of the Elector as this node last heard; undefined: not known. */
    readonly leader: () => string | undefined
    /** This node has begun to stop: a lock that it does not hold it does not take any more. */
    readonly standAside: Effect.Effect<void>
    /** Gives the lock back so that another node can take it at once; best effort, bounded in time. */
    readonly resign: Effect.Effect<void>
  }
>()("netsy/services/Elector") {}
