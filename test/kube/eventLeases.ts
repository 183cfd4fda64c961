/** kube-apiserver's leases for Events: one is shared by so many objects, or for so long, and never kept alive. */
import type { Connection } from "./connection.ts"
import type { Figures } from "./figures.ts"
import type { History } from "./history.ts"

const objectsMax = 1000

export interface EventTtl {
  readonly seconds: number
  /** Added to the lease, so that it serves events for this long. */
  readonly reuseSeconds: number
}

export class EventLeases {
  readonly #connection: Connection
  readonly #figures: Figures
  readonly #history: History
  readonly #ttl: EventTtl
  #current: Promise<bigint> | undefined
  #until = 0
  #objects = 0

  constructor(connection: Connection, figures: Figures, history: History, ttl: EventTtl) {
    this.#connection = connection
    this.#figures = figures
    this.#history = history
    this.#ttl = ttl
  }

  lease(): Promise<bigint> {
    const now = performance.now()
    if (this.#current === undefined || now > this.#until || this.#objects >= objectsMax) {
      this.#until = now + this.#ttl.reuseSeconds * 1000
      this.#objects = 0
      this.#current = this.#grant(now)
    }
    this.#objects++
    return this.#current
  }

  async #grant(sentMillis: number): Promise<bigint> {
    const ttl = this.#ttl.seconds + this.#ttl.reuseSeconds
    const { id, ttl: granted, error } = await this.#figures.time("lease grant", () => this.#connection.grant(ttl))
    if (id <= 0n || granted !== ttl || error !== "") {
      this.#history.violation(`a lease for ${ttl} s is ${id} for ${granted} s, error ${JSON.stringify(error)}`)
    }
    this.#history.leases.set(id, { ttlSeconds: granted, sentMillis, answeredMillis: performance.now() })
    return id
  }
}
