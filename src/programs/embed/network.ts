/** The network of several nodes in one process: no sockets, and a way to pull a node's cable. */
import { Effect, type Scope } from "effect"
import type { Fault } from "../../layers/ObjectStoreFaulty.ts"
import { MemoryElections } from "../../layers/LeadershipClientMemory.ts"
import { MemoryPeers } from "../../layers/PeerNetworkMemory.ts"
import { ConfigError } from "./errors.ts"

/** What the nodes of one cluster have in common, besides their bucket. */
export interface Network {
  readonly peers: MemoryPeers
  readonly elections: MemoryElections
  /** The node reaches nobody any more, the bucket included, and nobody reaches it: for the others it is dead. */
  readonly isolate: (nodeId: string) => void
  /** Everybody hears from it again. */
  readonly rejoin: (nodeId: string) => void
  /** What becomes of a node's calls to the bucket. */
  readonly fault: (nodeId: string) => Fault | undefined
}

/** Who runs on each. */
const nodes = new WeakMap<Network, Set<string>>()

/** Takes the node's name on the network until the scope ends: two nodes of one name would wait for each other for ever. */
export const named = (network: Network, nodeId: string): Effect.Effect<void, ConfigError, Scope.Scope> =>
  Effect.gen(function* () {
    const there = nodes.get(network) ?? new Set()
    nodes.set(network, there)
    if (there.has(nodeId)) {
      const allowed = "a name of its own: a node of this name runs on the network, or has not stopped yet"
      return yield* new ConfigError({ problems: [{ key: "nodeId", value: nodeId, allowed }] })
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => there.add(nodeId)),
      () => Effect.sync(() => there.delete(nodeId))
    )
  })

/** A new one, in which everybody reaches everybody. */
export const network = (): Network => {
  const isolated = new Set<string>()
  const peers = new MemoryPeers()
  const elections = new MemoryElections()
  const reaches = (from: string, to: string): boolean => from === to || !(isolated.has(from) || isolated.has(to))
  peers.decide = (from, to) => (reaches(from, to) ? "deliver" : "cut")
  elections.reaches = reaches
  return {
    peers,
    elections,
    isolate: (nodeId) => void isolated.add(nodeId),
    rejoin: (nodeId) => void isolated.delete(nodeId),
    fault: (nodeId) => (isolated.has(nodeId) ? { kind: "fail" } : undefined)
  }
}
