/** The election ports of the nodes of one process: who answers where. */
import type { Leader } from "../../services/Leadership.ts"

export interface MemoryElectionPort {
  readonly nodeId: string
  /** Undefined: not the leader. */
  readonly current: () => Leader | undefined
}

export class MemoryElections {
  /** False: the first cannot reach the second. May be changed at any time. */
  reaches: (from: string, to: string) => boolean = () => true
  readonly #ports = new Map<string, MemoryElectionPort>()

  join(address: string, port: MemoryElectionPort): void {
    this.#ports.set(address, port)
  }

  leave(address: string, port: MemoryElectionPort): void {
    if (this.#ports.get(address) === port) this.#ports.delete(address)
  }

  at(address: string): MemoryElectionPort | undefined {
    return this.#ports.get(address)
  }
}
