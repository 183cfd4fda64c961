/** What both relays, that of calls and that of keep-alives, see of the cluster. */
import { Code } from "../../core/wire/errors.ts"
import type { NodeInfo } from "../../core/wire/peer/messages.ts"
import type { PeerAddress, PeerError, PeerNetwork } from "../../services/PeerNetwork.ts"

/** etcd's request time: 5 s + 2 × its election timeout. */
export const requestMillis = 7_000
/** The Primary itself says so when a request has taken too long: it is given the time to. */
export const answerMillis = requestMillis + 500
/** How often what is held is looked at while nobody says anything. */
export const tickMillis = 100

export interface Surroundings {
  readonly network: PeerNetwork["Service"]
  readonly isActive: () => boolean
  /** The Active Primary, when it is another node and can be reached. */
  readonly primary: () => NodeInfo | undefined
  /** Monotonic. */
  readonly now: () => number
  /** Something waits: `tick` is called from now on. */
  readonly wake: () => void
}

export const addressOf = ({ name, peerAddress }: NodeInfo): PeerAddress => ({
  nodeId: name.nodeId,
  address: peerAddress
})

/** The code by which a node says, before it evaluates anything, that it is not the Active Primary. */
export const notPrimary = Code.FailedPrecondition

/** The peer has certainly not begun with the request: it did not get it, said so, or is not that far in its start. */
export const isUntouched = (error: PeerError): boolean =>
  error._tag === "PeerUnreachable" ? error.unsent : error.code === notPrimary || error.code === Code.Unimplemented

/** A Primary that has just turned a request away is asked again when something has changed, or after a moment. */
export class Avoided {
  #nodeId: string | undefined
  #untilMillis = 0

  add(nodeId: string, nowMillis: number): void {
    this.#nodeId = nodeId
    this.#untilMillis = nowMillis + tickMillis
  }

  clear(): void {
    this.#nodeId = undefined
  }

  has(nodeId: string, nowMillis: number): boolean {
    return this.#nodeId === nodeId && nowMillis < this.#untilMillis
  }
}
