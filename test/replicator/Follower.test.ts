/** One replica's stream, seen from the Primary: what is sent when, with a replica that answers by its own log. */
import { assert, describe, it } from "@effect/vitest"
import { follow } from "../../src/core/log/follow.ts"
import { Pipeline } from "../../src/core/log/pipeline.ts"
import type { Entry, Position } from "../../src/core/log/record.ts"
import { decodePrimaryMessage } from "../../src/core/wire/peer/codecs.ts"
import type { Append, PrimaryMessage, ReplicaMessage } from "../../src/core/wire/peer/messages.ts"
import { Follower, makeEncoded } from "../../src/layers/replicator/Follower.ts"
import { dice } from "../quorum/dice.ts"
import { entriesOf, entryOf, positionIn } from "./replicaWorld.ts"

const name = { nodeId: "b", incarnation: "1" }
const term = 9

interface Options {
  /** First index on the Primary's disk. */
  readonly firstIndex?: number
  /** Entries up to here are on the disk only. */
  readonly onDiskOnly?: number
  readonly entryBytes?: number
}

/** The Primary's log with these terms, and what it says to one replica. */
class World {
  now = 0
  readonly said: Array<PrimaryMessage> = []
  readonly receipts: Array<number> = []
  readonly confirmed: Array<number> = []
  readonly refusals: Array<number> = []
  /** Reads of the disk that wait. */
  readonly disk: Array<() => void> = []
  diskReads = 0
  closed = false
  full = false
  firstIndex: number
  readonly terms: Array<number>
  readonly pipeline: Pipeline
  readonly follower: Follower

  constructor(terms: ReadonlyArray<number>, { entryBytes = 10, firstIndex = 1, onDiskOnly = 0 }: Options = {}) {
    this.terms = [...terms]
    this.firstIndex = firstIndex
    const head = positionIn(terms, terms.length)
    this.pipeline = new Pipeline(
      {
        head,
        committed: positionIn(terms, onDiskOnly),
        uncommitted: entriesOf(terms, onDiskOnly),
        storedIndex: head.index
      },
      () => entryBytes
    )
    this.follower = new Follower(
      name,
      {
        send: (bytes) => {
          this.said.push(decodePrimaryMessage(bytes))
          return !this.full
        },
        close: () => {
          this.closed = true
        }
      },
      {
        term,
        pipeline: this.pipeline,
        nowMillis: () => this.now,
        firstIndex: () => this.firstIndex,
        entriesFrom: (index, entries, _bytes, use) =>
          this.#read(() => use(index < this.firstIndex ? [] : entriesOf(this.terms, index - 1).slice(0, entries))),
        termOnDisk: (index, use) =>
          this.#read(() => use(index === 0 ? 0 : index < this.firstIndex - 1 ? undefined : this.terms[index - 1])),
        encoded: makeEncoded(),
        onReceipt: (_name, match) => void this.receipts.push(match),
        onConfirm: (_name, round) => void this.confirmed.push(round),
        onRefused: (_name, higher) => void this.refusals.push(higher)
      }
    )
  }

  #read(use: () => void): void {
    this.diskReads++
    this.disk.push(use)
    assert.isAtMost(this.disk.length, 1, "one read of the disk at a time")
  }
  reads(): void {
    for (let use = this.disk.shift(); use !== undefined; use = this.disk.shift()) use()
  }
  /** Appends entries of this term and closes their batch. */
  write(count = 1): void {
    for (let i = 0; i < count; i++) {
      this.terms.push(term)
      this.pipeline.append(entryOf(this.terms.length, term))
    }
    while (this.pipeline.close() !== undefined);
    this.follower.pump()
  }
  commit(upTo: number): void {
    if (upTo > this.pipeline.persistedIndex) this.pipeline.persisted(upTo)
    this.pipeline.commit(upTo)
    this.follower.committed()
  }
  take(): ReadonlyArray<PrimaryMessage> {
    return this.said.splice(0)
  }
  appends(): ReadonlyArray<readonly [prev: number, prevTerm: number, entries: number, commit: number]> {
    return this.take().map((message) => {
      assert.strictEqual(message.kind, "append")
      const { commitIndex, entries, prev } = message as Append
      return [prev.index, prev.term, entries.length, commitIndex] as const
    })
  }
  receipt(match: number): void {
    this.follower.message({ kind: "receipt", term, match, commitIndex: 0 })
  }
}

/** A replica that answers as design 6.6 says. */
class Replica {
  readonly log: Array<Entry>
  readonly commitIndex: number
  tooFarBehind: number | undefined
  constructor(log: ReadonlyArray<Entry>, commitIndex = 0) {
    this.log = [...log]
    this.commitIndex = commitIndex
  }
  get last(): Position {
    return this.log[this.log.length - 1] ?? { index: 0, term: 0 }
  }
  answer(message: PrimaryMessage): ReplicaMessage | undefined {
    if (message.kind === "tooFarBehind") this.tooFarBehind = message.firstIndex
    if (message.kind !== "append") return undefined
    const questions = follow({ last: this.last, commitIndex: this.commitIndex }, message)
    let step = questions.next()
    while (step.done !== true) step = questions.next(step.value === 0 ? 0 : this.log[step.value - 1]!.term)
    const verdict = step.value
    if (verdict.kind === "conflict") throw new Error(`conflict at ${verdict.index}`)
    if (verdict.kind === "mismatch") return { kind: "mismatch", term, at: verdict.at }
    if (verdict.truncateFrom !== undefined) this.log.length = verdict.truncateFrom - 1
    this.log.push(...message.entries.slice(verdict.held))
    return { kind: "receipt", term, match: verdict.match, commitIndex: 0 }
  }
}

/** Both talk until they have nothing more to say; how many messages the Primary sent. */
const talk = (w: World, replica: Replica): number => {
  let count = 0
  for (;;) {
    w.reads()
    const message = w.said.shift()
    if (message === undefined) return count
    count++
    const answer = replica.answer(message)
    if (answer !== undefined) w.follower.message(answer)
  }
}

const positions = (log: ReadonlyArray<Entry>): ReadonlyArray<string> => log.map((e) => `${e.index}@${e.term}`)

describe("where the two logs meet", () => {
  it("is asked before anything is sent, and what follows goes out at once", () => {
    const w = new World([1, 1, 9, 9])
    w.follower.begin({ index: 2, term: 1 })
    assert.deepStrictEqual(w.appends(), [[2, 1, 0, 0]])
    assert.isFalse(w.follower.matched)
    w.receipt(2)
    assert.isTrue(w.follower.matched)
    assert.deepStrictEqual(w.appends(), [[2, 1, 2, 0]])
    assert.deepStrictEqual(w.receipts, [2])
  })

  it("is not believed from a receipt that answers another question", () => {
    const w = new World([1, 1, 9])
    w.follower.begin({ index: 2, term: 1 })
    w.receipt(3)
    w.follower.message({ kind: "receipt", term: 8, match: 2, commitIndex: 0 })
    assert.isFalse(w.follower.matched)
    assert.deepStrictEqual(w.receipts, [])
  })

  it("is found for an empty log, a longer one, and one that has gone another way", () => {
    const cases: ReadonlyArray<readonly [primary: Array<number>, replica: Array<number>]> = [
      [[1, 1, 9], []],
      [
        [1, 9],
        [1, 1, 1, 1, 1]
      ],
      [
        [1, 2, 2, 5, 9],
        [1, 2, 2, 3, 3, 3]
      ],
      [
        [1, 1, 1, 4, 4, 9],
        [1, 1, 1, 2, 3]
      ],
      [
        [5, 9],
        [1, 1, 1]
      ]
    ]
    for (const [primary, own] of cases) {
      const w = new World(primary)
      const replica = new Replica(entriesOf(own))
      w.follower.begin(replica.last)
      talk(w, replica)
      assert.deepStrictEqual(positions(replica.log).slice(0, primary.length), positions(entriesOf(primary)))
      assert.strictEqual(w.receipts[w.receipts.length - 1], primary.length)
    }
  })

  it("is found for any two logs within as many questions as there are terms", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const roll = dice(seed)
      const common = Array.from({ length: roll(6) }, (_, i) => 1 + Math.floor(i / 2))
      const more = (log: ReadonlyArray<number>, add: number, odd: number): Array<number> => {
        const grown = [...log]
        for (let at = 3, i = 0; i < add; i++) {
          if (roll(2) === 0 && at < 7) at += 2
          grown.push(at + odd)
        }
        return grown
      }
      const primary = [...more(common, roll(6), 0), 9]
      const own = more(common, roll(8), 1)
      const firstIndex = 1 + roll(3)
      const w = new World(primary, { firstIndex, onDiskOnly: roll(primary.length) })
      const replica = new Replica(entriesOf(own), roll(common.length + 1))
      w.follower.begin(replica.last)
      const messages = talk(w, replica)
      if (replica.tooFarBehind !== undefined) {
        assert.isTrue(w.closed && w.follower.over, `seed ${seed}`)
        assert.strictEqual(replica.tooFarBehind, firstIndex)
        assert.isBelow(replica.commitIndex, firstIndex, `seed ${seed}: what was asked for is there`)
      } else {
        assert.deepStrictEqual(
          positions(replica.log).slice(0, primary.length),
          positions(entriesOf(primary)),
          `seed ${seed}`
        )
        assert.strictEqual(w.receipts[w.receipts.length - 1], primary.length, `seed ${seed}`)
      }
      assert.isBelow(messages, 24, `seed ${seed}`)
    }
  })

  it("is too far behind where neither memory nor disk reach, and the disk's beginning now is told", () => {
    const w = new World([1, 1, 1, 1, 9], { firstIndex: 3, onDiskOnly: 4 })
    w.follower.begin({ index: 0, term: 0 })
    w.reads()
    assert.deepStrictEqual(w.take(), [{ kind: "tooFarBehind", term, firstIndex: 3 }])
    assert.isTrue(w.closed)
    w.receipt(0)
    w.follower.tick(0)
    w.write()
    assert.deepStrictEqual(w.take(), [])
  })

  it("is lost again when a compaction comes between", () => {
    const w = new World([1, 1, 1, 1, 9], { onDiskOnly: 4 })
    w.follower.begin({ index: 1, term: 1 })
    w.reads()
    w.take()
    w.receipt(1)
    w.firstIndex = 4
    w.reads()
    assert.deepStrictEqual(w.take(), [{ kind: "tooFarBehind", term, firstIndex: 4 }])
  })
})

const matched = (terms: ReadonlyArray<number> = [1, 9], options: Options = {}): World => {
  const w = new World(terms, options)
  w.follower.begin(positionIn(terms, terms.length))
  w.reads()
  w.receipt(terms.length)
  w.take()
  return w
}

describe("a replica that is followed", () => {
  it("is sent each closed batch, with what stands before it and what is committed", () => {
    const w = matched()
    w.write(2)
    w.write()
    assert.deepStrictEqual(w.appends(), [
      [2, 9, 2, 0],
      [4, 9, 1, 0]
    ])
    w.commit(5)
    assert.deepStrictEqual(w.appends(), [[5, 9, 0, 5]])
    w.commit(5)
    assert.deepStrictEqual(w.appends(), [], "it knows")
  })

  it("has so many bytes in flight and no more, and gets the rest with its receipts", () => {
    const w = matched([1, 9], { entryBytes: 1024 * 1024 })
    const big = new Uint8Array(1024 * 1024)
    for (let i = 3; i <= 22; i++) {
      w.terms.push(term)
      const entry = entryOf(i, term)
      w.pipeline.append({ ...entry, records: [{ ...entry.records[0]!, value: big }] })
    }
    while (w.pipeline.close() !== undefined);
    w.follower.pump()
    const sent = w.take().length
    assert.isTrue(sent >= 7 && sent <= 9, `${sent}`)
    w.receipt(2 + sent)
    assert.strictEqual(w.take().length, Math.min(sent, 20 - sent))
  })

  it("is sent nothing while its buffer is full, and everything it missed afterwards", () => {
    const w = matched()
    w.full = true
    w.write()
    assert.strictEqual(w.take().length, 1)
    w.write()
    w.commit(4)
    w.now += 10_000
    w.follower.tick(500)
    assert.deepStrictEqual(w.take(), [])
    w.full = false
    w.follower.drained()
    assert.deepStrictEqual(w.appends(), [[3, 9, 1, 4]])
    w.full = true
    w.write()
    w.take()
    w.commit(5)
    assert.deepStrictEqual(w.take(), [])
    w.full = false
    w.follower.drained()
    assert.deepStrictEqual(w.appends(), [[5, 9, 0, 5]], "what is committed is not left to the next heartbeat")
  })

  it("catches up from the disk, one read after the other, and goes on from memory", () => {
    const terms = [...Array.from({ length: 3_000 }, () => 1), 9]
    const w = new World(terms, { onDiskOnly: 2_999 })
    const replica = new Replica(entriesOf(terms, 0, 10))
    w.follower.begin(replica.last)
    talk(w, replica)
    assert.strictEqual(replica.log.length, terms.length)
    assert.isAbove(w.diskReads, 2)
    const reads = w.diskReads
    w.write()
    talk(w, replica)
    assert.strictEqual(w.diskReads, reads)
    assert.strictEqual(w.receipts[w.receipts.length - 1], terms.length + 1)
  })

  it("hears a heartbeat when nothing was said for so long, and answers it with a receipt", () => {
    const w = matched()
    w.now += 499
    w.follower.tick(500)
    assert.deepStrictEqual(w.take(), [])
    w.now += 1
    w.follower.tick(500)
    assert.deepStrictEqual(w.appends(), [[2, 9, 0, 0]])
    w.follower.tick(500)
    assert.deepStrictEqual(w.take(), [])
  })

  it("hears that the Primary is there while the logs have not met and while the disk is asked", () => {
    const w = new World([1, 1, 1, 1, 9], { onDiskOnly: 4 })
    w.follower.begin({ index: 1, term: 1 })
    w.now += 500
    w.follower.tick(500)
    assert.deepStrictEqual(w.take(), [{ kind: "round", term, round: 0 }])
    w.reads()
    w.receipt(1)
    w.take()
    w.now += 500
    w.follower.tick(500)
    assert.deepStrictEqual(w.take(), [{ kind: "round", term, round: 0 }])
    w.reads()
    assert.deepStrictEqual(w.appends(), [[1, 1, 4, 4]])
  })

  it("is heard when it confirms a round or refuses, of this term only", () => {
    const w = matched()
    w.follower.message({ kind: "confirm", term, round: 3 })
    w.follower.message({ kind: "confirm", term: 8, round: 4 })
    w.follower.message({ kind: "refusal", term: 12 })
    w.follower.message({ kind: "leaving" })
    assert.deepStrictEqual([w.confirmed, w.refusals, w.follower.leaving], [[3], [12], true])
  })

  it("is told nothing more once its stream is over", () => {
    const w = matched()
    w.follower.close()
    w.write()
    w.commit(3)
    w.follower.round(1)
    w.follower.mayLeave()
    w.follower.tick(0)
    assert.deepStrictEqual(w.take(), [])
  })
})
