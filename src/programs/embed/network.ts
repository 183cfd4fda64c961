/** The network of several nodes in one process: no sockets, and a way to cut one off. */
import { MemoryElections } from "../../layers/LeadershipClientMemory.ts"
import { MemoryPeers } from "../../layers/PeerNetworkMemory.ts"

export interface Network {
  readonly peers: MemoryPeers
  readonly elections: MemoryElections
  /** Nobody hears from this node any more, nor it from anybody. */
  readonly isolate: (nodeId: string) => void
  readonly rejoin: (nodeId: string) => void
}

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
    rejoin: (nodeId) => void isolated.delete(nodeId)
  }
}
