/**
 * Read rounds of mode quorum (design 6.3): linearizable reads wait until `required` other voters have confirmed the term
 * after the reads arrived. One round is out at a time; whoever comes meanwhile waits for the next. How many may wait is
 * the caller's bound.
 */
import { type NodeName, sameNode } from "../election/arbiter.ts"
import type { CommitRule } from "./rule.ts"

export interface Read<W> {
  readonly waiter: W
  readonly index: number
}

interface Round<W> {
  /** Every sending has its own id; what confirms any of them came after the reads. */
  readonly firstId: number
  lastId: number
  readonly reads: ReadonlyArray<Read<W>>
  readonly confirmed: Array<NodeName>
}

export class ReadRounds<W> {
  readonly #self: NodeName
  #lastId = 0
  #joined: Array<Read<W>> = []
  #out: Round<W> | undefined

  constructor(self: NodeName) {
    this.#self = self
  }

  /** Reads that wait: in the round that is out, and for the next. */
  get waiting(): number {
    return this.#joined.length + (this.#out?.reads.length ?? 0)
  }

  get outstanding(): boolean {
    return this.#out !== undefined
  }

  /** Waits for a round that has not been sent yet. */
  join(waiter: W, index: number): void {
    this.#joined.push({ waiter, index })
  }

  startable(): boolean {
    return this.#out === undefined && this.#joined.length > 0
  }

  /** The id of the round that is sent now with everyone who has joined. Only when `startable`. */
  start(): number {
    const id = ++this.#lastId
    this.#out = { firstId: id, lastId: id, reads: this.#joined, confirmed: [] }
    this.#joined = []
    return id
  }

  /** The round that is out is sent again, with a new id; undefined: none is out. What was confirmed stays confirmed. */
  restart(): number | undefined {
    if (this.#out === undefined) return undefined
    this.#out.lastId = ++this.#lastId
    return this.#lastId
  }

  confirm(name: NodeName, round: number): void {
    const out = this.#out
    if (out === undefined || round < out.firstId || round > out.lastId || sameNode(name, this.#self)) return
    for (const known of out.confirmed) if (sameNode(known, name)) return
    out.confirmed.push(name)
  }

  /** The reads of the round that is out, once `required` other voters have confirmed it; a rule that requires nobody never serves. */
  done(rule: CommitRule): ReadonlyArray<Read<W>> | undefined {
    const out = this.#out
    if (out === undefined || rule.mode !== "quorum" || rule.required < 1) return undefined
    let count = 0
    for (const name of out.confirmed) {
      for (const voter of rule.voters) {
        if (!sameNode(voter, name)) continue
        count++
        break
      }
    }
    if (count < rule.required) return undefined
    this.#out = undefined
    return out.reads
  }

  /** Every read that waits, out or not, and no round any more: the mode is store now, and its lease decides. */
  takeAll(): ReadonlyArray<Read<W>> {
    const all = this.#out === undefined ? this.#joined : [...this.#out.reads, ...this.#joined]
    this.#out = undefined
    this.#joined = []
    return all
  }

  failAll(): Array<W> {
    return this.takeAll().map((read) => read.waiter)
  }
}
