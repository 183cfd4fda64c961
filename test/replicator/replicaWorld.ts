/** One replica in virtual time: its disk and bucket, what its state machine shows, and a Primary whom the test plays. */
import { assert } from "@effect/vitest"
import { Clock, Context, Effect, Exit, type Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Arbiter } from "../../src/core/election/arbiter.ts"
import type { Entry, Position } from "../../src/core/log/record.ts"
import { decodeReplicaMessage, encodePrimaryMessage } from "../../src/core/wire/peer/codecs.ts"
import type {
  Append,
  ClusterState,
  NodeReport,
  PrimaryMessage,
  ReplicaMessage
} from "../../src/core/wire/peer/messages.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import { NodeLog } from "../../src/layers/replicator/NodeLog.ts"
import { makeReplica, type Replica } from "../../src/layers/replicator/replica.ts"
import type { ClusterView } from "../../src/services/ClusterView.ts"
import { History } from "../../src/services/History.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { Log } from "../../src/services/Log.ts"
import type { NodeStatus, Waiting } from "../../src/services/NodeStatus.ts"
import { PeerNetwork, type PeerStreamIn, PeerUnreachable } from "../../src/services/PeerNetwork.ts"
import { historyOf } from "../history/support.ts"
import { changing } from "../localstore/records.ts"
import { reportOf } from "../support/reports.ts"

export const heartbeatMillis = 1_000
export const self = { nodeId: "r", incarnation: "one" }
export const primaryInfo = {
  name: { nodeId: "p", incarnation: "two" },
  memberId: 7n,
  peerAddress: "p:8086",
  clientAddress: "p:2379"
}

/** The entry at the index in the term: there is only one. */
export const entryOf = (index: number, term: number): Entry =>
  changing(index, term, index, [{ key: `k${index % 5}`, value: `${index} of term ${term}` }])

/** Entries behind the first `prev` of a log that is given as its terms. */
export const entriesOf = (terms: ReadonlyArray<number>, prev = 0, to = terms.length): Array<Entry> =>
  terms.slice(prev, to).map((term, i) => entryOf(prev + 1 + i, term))

export const positionIn = (terms: ReadonlyArray<number>, index: number): Position => ({
  index,
  term: index === 0 ? 0 : terms[index - 1]!
})

/** What the Primary of `term` with this log sends of it. */
export const appendOf = (
  terms: ReadonlyArray<number>,
  prev: number,
  to: number,
  more: { readonly term?: number; readonly commitIndex?: number; readonly storedIndex?: number } = {}
): Append => ({
  kind: "append",
  term: more.term ?? terms[terms.length - 1]!,
  prev: positionIn(terms, prev),
  commitIndex: more.commitIndex ?? 0,
  storedIndex: more.storedIndex ?? 0,
  entries: entriesOf(terms, prev, to)
})

/** A stream that the replica has opened, seen from the Primary. */
export class Line {
  readonly received: Array<ReplicaMessage> = []
  over = false
  readonly #sink: PeerStreamIn
  constructor(sink: PeerStreamIn) {
    this.#sink = sink
  }
  send(message: PrimaryMessage): void {
    if (!this.over) this.#sink.message(encodePrimaryMessage(message))
  }
  sendBytes(bytes: Uint8Array): void {
    if (!this.over) this.#sink.message(bytes)
  }
  close(reason = "gone"): void {
    if (this.over) return
    this.over = true
    this.#sink.closed(new PeerUnreachable({ nodeId: "p", method: "follow", reason, unsent: false }))
  }
  /** What was said since the last time. */
  take(): ReadonlyArray<ReplicaMessage> {
    return this.received.splice(0)
  }
}

export class World {
  readonly disk = new MemoryDisk()
  readonly bucket = new MemoryBucket()
  readonly lines: Array<LogMemory.MemoryLine> = []
  readonly streams: Array<Line> = []
  reachable = true
  arbiter: Arbiter = {
    term: 1,
    primary: primaryInfo.name,
    mode: "quorum",
    voters: [self, primaryInfo.name],
    required: 1,
    leaseMillis: 3_000,
    timeoutMillis: undefined,
    counter: 1,
    resigned: false,
    allStored: false,
    recovered: undefined
  }
  readonly listeners = new Set<(state: ClusterState) => void>()
  readonly suspected: Array<string> = []
  waiting: Waiting | undefined
  readonly troubles = new Map<string, string>()
  /** Called with each message of the replica, when it is sent. */
  onMessage: (message: ReplicaMessage) => void = () => {}

  get line(): Line {
    return this.streams[this.streams.length - 1]!
  }
  state(): ClusterState {
    return { elector: "p", serial: 1, arbiter: this.arbiter, etag: "e", nodes: [primaryInfo] }
  }
  elect(arbiter: Partial<Arbiter>): void {
    this.arbiter = { ...this.arbiter, ...arbiter }
    for (const listener of [...this.listeners]) listener(this.state())
  }
  events(event: string): ReadonlyArray<LogMemory.MemoryLine> {
    return this.lines.filter((line) => line.event === event)
  }

  /** What would be there after a crash. */
  durable(): { readonly terms: ReadonlyArray<number>; readonly fenced: number; readonly baseIndex: number } {
    const contents = this.disk.snapshot()!
    const { baseIndex, lastIndex } = contents.table.log
    const terms: Array<number> = []
    for (let i = baseIndex + 1; i <= lastIndex; i++) terms.push(contents.table.termAt(i)!)
    return { terms, fenced: contents.promises.fenced, baseIndex }
  }
}

/** What the state machine shows: the position of each entry, from `base` on. */
class Shown {
  base = 0
  readonly positions: Array<Position> = []
  readonly loads: Array<number> = []
  stored = 0
  get index(): number {
    return this.base + this.positions.length
  }
}

export interface Node {
  readonly replica: Replica
  readonly log: NodeLog
  readonly local: LocalStore["Service"]
  readonly shown: Shown
  readonly fencedAt: Array<number>
  /** How many entries each append took. */
  readonly appends: Array<number>
  readonly stop: Effect.Effect<void>
}

const peersOf = (world: World): PeerNetwork["Service"] =>
  PeerNetwork.of({
    call: () => () => {},
    open: (to, _method, sink) => {
      if (!world.reachable) {
        const error = new PeerUnreachable({ nodeId: to.nodeId, method: "follow", reason: "cut", unsent: true })
        queueMicrotask(() => sink.closed(error))
        return { send: () => true, close: () => {} }
      }
      const line = new Line(sink)
      world.streams.push(line)
      return {
        send: (bytes) => {
          if (line.over) return true
          const message = decodeReplicaMessage(bytes)
          world.onMessage(message)
          line.received.push(message)
          return true
        },
        close: () => {
          line.over = true
        }
      }
    },
    handle: () => {},
    handleStream: () => {},
    probe: () => {}
  })

const viewOf = (world: World): ClusterView["Service"] =>
  ({
    current: () => world.state(),
    offer: () => false,
    node: (id: string) => (id === "p" ? primaryInfo : undefined),
    primary: () => primaryInfo,
    isSelf: () => false,
    onChange: (listener: (state: ClusterState) => void) => {
      world.listeners.add(listener)
      return () => world.listeners.delete(listener)
    },
    suspect: (id: string) => {
      world.suspected.push(id)
    },
    onSuspect: () => () => {}
  }) as unknown as ClusterView["Service"]

/** Only what a replica says. */
const statusOf = (world: World): NodeStatus["Service"] =>
  ({
    setWaiting: (waiting: Waiting | undefined) => {
      world.waiting = waiting
    },
    setTrouble: (name: string, sentence: string | undefined) => {
      if (sentence === undefined) world.troubles.delete(name)
      else world.troubles.set(name, sentence)
    }
  }) as unknown as NodeStatus["Service"]

const reportFrom = (log: NodeLog): NodeReport =>
  reportOf(self, {
    term: 1,
    fenced: log.fenced,
    last: log.last,
    lastRevision: log.lastRevision,
    commitIndex: log.commitIndex,
    storedIndex: log.storedIndex,
    mode: "quorum"
  })

/** A process over the world's disk. */
export const boot = (world: World, shown = new Shown()) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      Layer.mergeAll(
        LocalStoreMemory.layer({ disk: world.disk }),
        historyOf(world.bucket),
        LogMemory.layer(world.lines)
      ),
      scope
    )
    const appends: Array<number> = []
    const inner = Context.get(context, LocalStore)
    const local = LocalStore.of({
      ...inner,
      append: (entries, commitIndex) =>
        Effect.suspend(() => {
          appends.push(entries.length)
          return inner.append(entries, commitIndex)
        })
    })
    const log = new NodeLog(local)
    yield* log.load
    shown.base = log.commitIndex
    shown.positions.length = 0
    const fencedAt: Array<number> = []
    const replica = makeReplica({
      local,
      log,
      peers: peersOf(world),
      history: Context.get(context, History),
      view: viewOf(world),
      status: statusOf(world),
      journal: Context.get(context, Log),
      clock: yield* Clock.Clock,
      self,
      memberId: () => 9n,
      heartbeatMillis,
      report: () => reportFrom(log),
      onFenced: (term) => {
        fencedAt.push(term)
      },
      machine: {
        load: (upToIndex) =>
          Effect.sync(() => {
            shown.loads.push(upToIndex)
            shown.base = upToIndex
            shown.positions.length = 0
          }),
        floor: () => 0,
        committedRevision: () => shown.index,
        lastSnapshotIndex: () => 0,
        replicate: (entries) => {
          for (const { index, term } of entries) {
            assert.strictEqual(index, shown.index + 1)
            shown.positions.push({ index, term })
          }
        },
        adopt: () => {},
        committed: () => {},
        active: () => {},
        deposed: () => {},
        stored: (index) => {
          assert.isAbove(index, shown.stored)
          shown.stored = index
        }
      }
    })
    yield* Effect.forkIn(replica.fences, scope)
    const node: Node = { replica, log, local, shown, fencedAt, appends, stop: Scope.close(scope, Exit.void) }
    return node
  })

/** Lets every fiber run until it waits for the disk, the network or the clock. */
export const settle = Effect.gen(function* () {
  for (let i = 0; i < 60; i++) yield* Effect.yieldNow
})

/** Waits in real time, for what Node's threads do: reading data files. Virtual time stands still. */
export const until = (condition: () => boolean) =>
  Effect.gen(function* () {
    for (let waited = 0; !condition(); waited++) {
      if (waited > 20_000) throw new Error(`in vain: ${condition.toString()}`)
      yield* TestClock.withLive(Effect.sleep(1))
      yield* settle
    }
  })

export const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

/** Runs until the effect is over, in virtual time. */
export const finish = <A, E>(fiber: Fiber.Fiber<A, E>, millis = 60_000) =>
  Effect.gen(function* () {
    for (let t = 0; t < millis && fiber.pollUnsafe() === undefined; t += 50) {
      yield* TestClock.withLive(Effect.sleep(1))
      yield* pass(50)
    }
    const exit = fiber.pollUnsafe()
    if (exit === undefined) throw new Error(`not over after ${millis} ms`)
    return exit
  })
