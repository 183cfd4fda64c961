/**
 * Tells the other nodes who is who. One call a node at a time: what changed meanwhile is told by the next one, and what
 * got lost by the answer to the next heartbeat.
 */
import { encodeClusterState } from "../../core/wire/peer/codecs.ts"
import { peerMethods } from "../../core/wire/peer/methods.ts"
import type { ClusterState, NodeInfo } from "../../core/wire/peer/messages.ts"
import type { Log } from "../../services/Log.ts"
import type { PeerNetwork } from "../../services/PeerNetwork.ts"

const pushMillis = 2_000

export class Pusher {
  readonly #peers: PeerNetwork["Service"]
  readonly #log: Log["Service"]
  readonly #self: string
  #state: ClusterState | undefined
  #bytes: Uint8Array = new Uint8Array(0)
  /** Serial under way, by node id. */
  readonly #underWay = new Map<string, number>()

  constructor(peers: PeerNetwork["Service"], log: Log["Service"], self: string) {
    this.#peers = peers
    this.#log = log
    this.#self = self
  }

  push(state: ClusterState): void {
    this.#state = state
    this.#bytes = encodeClusterState(state)
    for (const node of state.nodes) this.#tell(node)
  }

  /** Nothing is begun any more. */
  stop(): void {
    this.#state = undefined
  }

  #tell({ name: { nodeId }, peerAddress }: NodeInfo): void {
    const state = this.#state
    if (state === undefined || nodeId === this.#self || this.#underWay.has(nodeId)) return
    this.#underWay.set(nodeId, state.serial)
    const over = (): void => {
      this.#underWay.delete(nodeId)
      const now = this.#state
      if (now === undefined || now.serial === state.serial) return
      const node = now.nodes.find(({ name }) => name.nodeId === nodeId)
      if (node !== undefined) this.#tell(node)
    }
    this.#peers.call({ nodeId, address: peerAddress }, peerMethods.pushClusterState, this.#bytes, pushMillis, {
      succeed: over,
      fail: (error) => {
        this.#log.debug("cluster_state_push_failed", { target_node_id: nodeId, error: error.message })
        over()
      }
    })
  }
}
