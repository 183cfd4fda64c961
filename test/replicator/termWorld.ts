/** A term by itself: its hold, its voters' receipts and its clock are what the test says. */
import type { Arbiter, NodeName } from "../../src/core/election/arbiter.ts"
import type { Chunk } from "../../src/core/log/pipeline.ts"
import type { Entry } from "../../src/core/log/record.ts"
import type { CommitRule } from "../../src/core/quorum/rule.ts"
import type { EtcdError } from "../../src/core/wire/errors.ts"
import { Follower, makeEncoded } from "../../src/layers/replicator/Follower.ts"
import { NodeLog } from "../../src/layers/replicator/NodeLog.ts"
import { Term } from "../../src/layers/replicator/Term.ts"
import type { LocalStore } from "../../src/services/LocalStore.ts"
import type { Hold } from "../../src/services/Reign.ts"
import type { Waiter } from "../../src/services/Replicator.ts"
import { changing } from "../localstore/records.ts"

export const self: NodeName = { nodeId: "a", incarnation: "1" }
export const b: NodeName = { nodeId: "b", incarnation: "1" }
export const c: NodeName = { nodeId: "c", incarnation: "1" }
export const d: NodeName = { nodeId: "d", incarnation: "1" }

export const storeRule: CommitRule = { mode: "store", voters: [], required: 0 }
export const quorumRule: CommitRule = { mode: "quorum", voters: [self, b, c], required: 1 }

/** What somebody who waits was told: "done", or an error's message. */
export class Told implements Waiter {
  readonly said: Array<string> = []
  readonly done = (): void => void this.said.push("done")
  readonly failed = (error: EtcdError): void => void this.said.push(error.message)
}

export class TermWorld {
  now = 1_000_000
  may = true
  readonly committed: Array<Entry> = []
  readonly told: Array<Told> = []
  readonly sentRounds: Array<number> = []
  readonly hold: Hold
  readonly log: NodeLog
  readonly term: Term
  #rule: CommitRule

  /** The log begins with entries of these terms, none known to be committed, all of them on the disk and in the bucket. */
  constructor(rule: CommitRule, terms: ReadonlyArray<number> = [4, 4, 5]) {
    this.#rule = rule
    this.hold = {
      term: 5,
      arbiter: () => this.#rule as unknown as Arbiter,
      mayAcknowledge: () => this.may
    } as unknown as Hold
    const opened = { last: { index: 0, term: 0 }, lastRevision: 0, firstIndex: 1, commitIndex: 0, promises: {} }
    this.log = new NodeLog({ opened } as unknown as LocalStore["Service"])
    terms.forEach((term, i) => this.log.took(this.entry(i + 1, term)))
    const head = { index: terms.length, term: terms[terms.length - 1]! }
    this.term = new Term({
      hold: this.hold,
      log: this.log,
      self,
      head,
      committed: { index: 0, term: 0 },
      storedIndex: head.index,
      nowMillis: () => this.now,
      onCommitted: (entries) => void this.committed.push(...entries),
      onBatch: () => {},
      onStored: () => {},
      work: () => {}
    })
    this.term.accepting = true
  }

  entry(index: number, term = 5): Entry {
    return changing(index, term, index, [{ key: `k${index}`, value: "v" }])
  }

  /** The bucket is known to hold this arbiter now. */
  rule(rule: CommitRule): void {
    this.#rule = rule
  }
  get commitIndex(): number {
    return this.term.pipeline.commitIndex
  }

  waiter(): Told {
    const told = new Told()
    this.told.push(told)
    return told
  }
  /** Appends one entry and closes its batch. */
  write(): Told {
    const told = this.waiter()
    this.term.append(this.entry(this.term.pipeline.headIndex + 1), told)
    this.term.closeBatch()
    return told
  }
  read(index = this.commitIndex): Told {
    const told = this.waiter()
    this.term.whenReadable(index, told)
    return told
  }
  chunk(): Chunk {
    return this.term.pipeline.nextChunk(this.term.pipeline.closedIndex)!
  }
  joined(name: NodeName): void {
    this.term.receipts.joined(name, this.now)
    const out = { send: () => true, close: () => {} }
    const follower = new Follower(name, out, {
      term: 5,
      pipeline: this.term.pipeline,
      nowMillis: () => this.now,
      firstIndex: () => 1,
      entriesFrom: () => {},
      termOnDisk: () => {},
      encoded: makeEncoded(),
      onReceipt: () => {},
      onConfirm: () => {},
      onRefused: () => {}
    })
    follower.round = (round) => void this.sentRounds.push(round)
    this.term.followers.set(name.nodeId, follower)
  }
  receipt(name: NodeName, match: number): void {
    this.term.receipts.receipt(name, match, this.now)
    this.term.advance()
  }
  get round(): number {
    return this.sentRounds[this.sentRounds.length - 1]!
  }
  confirm(name: NodeName, round = this.round): void {
    this.term.confirmed(name, round)
  }
  passed(millis: number): void {
    this.now += millis
    this.term.expire(this.now)
  }
}
