/**
 * The network of the nodes of one process: who listens where, and the fate of each message, which a test or the
 * simulator decides. Whatever is delivered runs in the receiver's time (`MemoryNode.after`).
 */
import type { PeerMethod, PeerStreamMethod } from "../../services/PeerNetwork.ts"
import type { MemoryCall } from "./memoryCall.ts"
import type { End } from "./memoryStream.ts"

/**
 * What passes from one node to another. `ping` is what streams in use exchange; `close` also stands for the news that a
 * process is gone.
 */
export type Passing = "request" | "answer" | "cancel" | "open" | "message" | "close" | "ping" | "probe"

/**
 * `drop`: silence, which a stream notices by its pings and a call by its time. `cut`: refused at once; streams break at
 * both ends. A message of a stream that is dropped takes everything behind it with it.
 */
export type Fate = "deliver" | "drop" | "cut" | { readonly delayMillis: number }

export type Decide = (from: string, to: string, kind: Passing, method: string) => Fate

/** A node as the network sees it. */
export interface MemoryNode {
  readonly nodeId: string
  readonly address: string
  /** Runs later, in the node's own time, never inside the call; returns how to stop it. */
  readonly after: (millis: number, run: () => void) => () => void
  readonly handlers: Map<string, PeerMethod>
  readonly streamHandlers: Map<string, PeerStreamMethod>
  /** False: killed or stopped. */
  alive: boolean
  readonly calls: Set<MemoryCall>
  readonly ends: Set<End>
}

export class MemoryPeers {
  /** May be changed at any time. */
  decide: Decide = () => "deliver"
  readonly #nodes = new Map<string, MemoryNode>()

  /** A node that listens at the same address already is gone with this. */
  join(node: MemoryNode): void {
    const before = this.#nodes.get(node.address)
    if (before !== undefined) this.leave(before)
    this.#nodes.set(node.address, node)
  }

  /** The process is gone: nothing runs in it any more, and the others see its connections break. */
  kill(nodeId: string): void {
    for (const node of this.#nodes.values()) if (node.nodeId === nodeId) this.leave(node)
  }

  leave(node: MemoryNode): void {
    if (!node.alive) return
    node.alive = false
    if (this.#nodes.get(node.address) === node) this.#nodes.delete(node.address)
    for (const call of node.calls) call.lost(node)
    for (const end of node.ends) end.lost()
    node.calls.clear()
    node.ends.clear()
  }

  at(address: string): MemoryNode | undefined {
    return this.#nodes.get(address)
  }

  /** `arrived` runs in `to`, unless it is gone by then; false: cut. */
  pass(from: MemoryNode, to: MemoryNode, kind: Passing, method: string, arrived: () => void): boolean {
    const fate = this.decide(from.nodeId, to.nodeId, kind, method)
    if (fate === "cut") return false
    if (fate === "drop") return true
    to.after(fate === "deliver" ? 0 : fate.delayMillis, () => {
      if (to.alive) arrived()
    })
    return true
  }
}
