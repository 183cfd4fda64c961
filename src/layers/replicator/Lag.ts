/** How far this node is behind what the Primary last said, in entries and in time. */
export class Lag {
  readonly #nowMillis: () => number
  readonly #heartbeatMillis: number
  #said = 0
  #heardMillis: number | undefined
  /** When this node last had everything that the Primary had said. */
  #levelMillis: number | undefined

  constructor(nowMillis: () => number, heartbeatMillis: number) {
    this.#nowMillis = nowMillis
    this.#heartbeatMillis = heartbeatMillis
  }

  said(commitIndex: number, applied: number): void {
    const now = this.#nowMillis()
    // Behind for as long as there is something to catch up with.
    if (this.#levelMillis === undefined || this.#said <= applied) this.#levelMillis = now
    this.#said = Math.max(this.#said, commitIndex)
    this.#heardMillis = now
  }

  applied(commitIndex: number): void {
    if (commitIndex >= this.#said) this.#levelMillis = this.#nowMillis()
  }

  current(commitIndex: number): { readonly entries: number; readonly millis: number } {
    const entries = Math.max(0, this.#said - commitIndex)
    if (this.#heardMillis === undefined || this.#levelMillis === undefined) return { entries, millis: 0 }
    const now = this.#nowMillis()
    const silent = now - this.#heardMillis > 2 * this.#heartbeatMillis
    return { entries, millis: entries > 0 || silent ? now - this.#levelMillis : 0 }
  }
}
