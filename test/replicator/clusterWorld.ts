/**
 * Whole replicators in virtual time over one bucket, with a network between them that the test rules, and an Elector that
 * does what the test says. What every node commits is compared with what any other has committed.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  type Arbiter,
  arbiterKey,
  decodeArbiter,
  encodeArbiter,
  type NodeName,
  sameNode
} from "../../src/core/election/arbiter.ts"
import { type Entry, isHigher, type Position } from "../../src/core/log/record.ts"
import { type EtcdError, isEtcdError } from "../../src/core/wire/errors.ts"
import {
  decodeFenceAnswer,
  decodePrimaryMessage,
  encodeFenceRequest,
  encodeReplicaMessage
} from "../../src/core/wire/peer/codecs.ts"
import type { ClusterState, NodeInfo, PrimaryMessage, ReplicaMessage } from "../../src/core/wire/peer/messages.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import * as ChunkBufferBucket from "../../src/layers/ChunkBufferBucket.ts"
import * as ClusterViewMemory from "../../src/layers/ClusterViewMemory.ts"
import * as HistoryBucket from "../../src/layers/HistoryBucket.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeReportsLocal from "../../src/layers/NodeReportsLocal.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as ObjectStoreFaulty from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import * as ReignBucket from "../../src/layers/ReignBucket.ts"
import * as ReplicatorCluster from "../../src/layers/ReplicatorCluster.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { Membership } from "../../src/services/Membership.ts"
import { NodeReports } from "../../src/services/NodeReports.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { PeerNetwork, type PeerStreamOut } from "../../src/services/PeerNetwork.ts"
import { Replicator, type StateMachine } from "../../src/services/Replicator.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { changing } from "../localstore/records.ts"
import { Told } from "./termWorld.ts"

export const leaseMillis = 3_000
export const heartbeatMillis = 500
export const timeoutMillis = 60_000

const settingsOf = (nodeId: string, env: Readonly<Record<string, string>> = {}) => {
  const settings = embeddedSettings({
    NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: `${timeoutMillis / 1_000}s`,
    NETSY_REPLICATION_QUORUM: "-1",
    ...env
  })
  return {
    ...settings,
    nodeId,
    heartbeatIntervalMillis: heartbeatMillis,
    advertise: { client: `${nodeId}:2378`, peer: `${nodeId}:2381`, election: `${nodeId}:8443` }
  }
}

/** What a node's state machine was told: entries at head and how many of them are committed. */
class Machine {
  readonly shown: Array<Position> = []
  readonly events: Array<string> = []
  #head = 0
  #committed = 0
  readonly #world: World
  readonly #nodeId: string
  constructor(world: World, nodeId: string) {
    this.#world = world
    this.#nodeId = nodeId
  }
  get committed(): number {
    return this.#committed
  }
  appended(entry: Entry): void {
    assert.strictEqual(entry.index, ++this.#head, `${this.#nodeId} appends`)
  }
  of(local: LocalStore["Service"]): StateMachine {
    return {
      load: (upTo) =>
        Effect.gen({ self: this }, function* () {
          const entries = yield* local.entries(1, 1e6, 1e9)
          for (const entry of entries) if (entry.index <= upTo) this.#world.committedAt(entry, this.#nodeId)
          this.events.push(`load ${upTo}`)
          this.#head = this.#committed = Math.max(this.#committed, upTo)
        }),
      floor: () => 0,
      committedRevision: () => this.#committed,
      lastSnapshotIndex: () => 0,
      replicate: (entries) => {
        for (const entry of entries) {
          if (entry.index <= this.#committed) continue
          assert.strictEqual(entry.index, ++this.#committed, `${this.#nodeId} replicates`)
          this.#world.committedAt(entry, this.#nodeId)
        }
        this.#head = this.#committed
      },
      adopt: (entries) => {
        for (const entry of entries) if (entry.index > this.#head) this.appended(entry)
      },
      committed: (entries) => {
        for (const entry of entries) {
          if (entry.index <= this.#committed) continue
          assert.strictEqual(entry.index, ++this.#committed, `${this.#nodeId} commits`)
          this.#world.committedAt(entry, this.#nodeId)
        }
        this.#head = Math.max(this.#head, this.#committed)
      },
      active: () => void this.events.push("active"),
      deposed: () => {
        this.events.push("deposed")
        this.#head = this.#committed
      },
      stored: () => {}
    }
  }
}

export interface Node {
  readonly nodeId: string
  readonly name: NodeName
  readonly info: NodeInfo
  readonly disk: MemoryDisk
  readonly replicator: Replicator["Service"]
  readonly view: ClusterView["Service"]
  readonly reports: NodeReports["Service"]
  readonly status: NodeStatus["Service"]
  readonly local: LocalStore["Service"]
  readonly machine: Machine
  readonly lines: ReadonlyArray<LogMemory.MemoryLine>
  /** What its supervisor ended it for. */
  failure: string | undefined
  started: boolean
  alive: boolean
  readonly stop: Effect.Effect<void>
  /** The process is gone without a word, and what was not synced is lost. */
  readonly kill: Effect.Effect<void>
}

export interface Write extends Told {
  readonly index: number
  readonly value: string
}

export class World {
  readonly bucket = new MemoryBucket()
  readonly hub = new PeerNetworkMemory.MemoryPeers()
  readonly nodes = new Map<string, Node>()
  /** Nodes whom the Elector knows, played ones too. */
  readonly infos = new Map<string, NodeInfo>()
  decide: (call: ObjectStoreFaulty.Call, nodeId: string) => ObjectStoreFaulty.Fault | undefined = () => undefined
  /** (index, term) and value of everything that anybody has committed. */
  readonly committed: Array<string> = []
  /** Highest index that was acknowledged to a client. */
  acknowledged = 0
  violations: Array<string> = []
  #serial = 0
  #values = 0

  committedAt(entry: Entry, nodeId: string): void {
    const shown = `${entry.index}@${entry.term} ${Buffer.from(entry.records[0]!.value).toString()}`
    const known = (this.committed[entry.index] ??= shown)
    if (known !== shown) this.violations.push(`${nodeId} shows ${shown}, committed was ${known}`)
  }

  get arbiter(): Arbiter | undefined {
    const object = this.bucket.get(arbiterKey)
    if (object === undefined) return undefined
    const arbiter = decodeArbiter(object.body)
    if (typeof arbiter === "string") throw new Error(arbiter)
    return arbiter
  }
  get rule(): string {
    const { mode, required, voters } = this.arbiter!
    return mode === "store" ? "store" : `${required} of ${voters.map((voter) => voter.nodeId).join("")}`
  }

  state(): ClusterState {
    return {
      elector: "elector",
      serial: ++this.#serial,
      arbiter: this.arbiter,
      etag: this.bucket.get(arbiterKey)?.etag ?? "",
      nodes: [...this.infos.values()]
    }
  }
  /** Everybody, or these nodes, hear what stands in the bucket. */
  tell(...nodeIds: ReadonlyArray<string>): void {
    const state = this.state()
    for (const node of this.nodes.values()) {
      if (this.hub.decide("elector", node.nodeId, "request", "") === "cut") continue
      if (node.alive && (nodeIds.length === 0 || nodeIds.includes(node.nodeId))) node.view.offer(state)
    }
  }
  /** The Elector's CAS, whoever may be elected. */
  put(arbiter: Partial<Arbiter> & Pick<Arbiter, "primary">): void {
    const before = this.arbiter
    const next: Arbiter = {
      mode: "store",
      voters: [],
      required: 0,
      leaseMillis,
      timeoutMillis,
      recovered: undefined,
      ...before,
      term: (before?.term ?? 0) + 1,
      counter: (before?.counter ?? 0) + 1,
      resigned: false,
      allStored: false,
      ...arbiter
    }
    this.bucket.put(arbiterKey, encodeArbiter(next), undefined, 0)
  }

  unreachableBucket(nodeId?: string): void {
    this.decide = (_call, by) => (nodeId === undefined || by === nodeId ? { kind: "fail" } : undefined)
  }
  healBucket(): void {
    this.decide = () => undefined
  }
  /** Nothing passes between the two, in either direction. */
  cut(...pairs: ReadonlyArray<string>): void {
    const cut = new Set(pairs.flatMap((pair) => [pair, [...pair].toReversed().join("")]))
    this.hub.decide = (from, to) => (cut.has(from + to) ? "cut" : "deliver")
  }

  /** Nothing passes between it and anybody else. */
  isolate(id: string): void {
    this.hub.decide = (from, to) => ((from === id) !== (to === id) ? "cut" : "deliver")
  }

  node(nodeId: string): Node {
    return this.nodes.get(nodeId)!
  }

  /** The value is unlike any other, and at least so long. */
  write(node: Node, valueBytes = 0): Write | EtcdError {
    const next = node.replicator.next()
    if (isEtcdError(next)) return next
    const value = `value ${++this.#values}`.padEnd(valueBytes, ".")
    const revision = node.reports.current().lastRevision + 1
    const entry = changing(next.index, next.term, revision, [{ key: "k", value }])
    const told = Object.assign(new Told(), { index: next.index, value })
    node.machine.appended(entry)
    node.replicator.append(entry, {
      done: () => {
        told.done()
        this.acknowledged = Math.max(this.acknowledged, next.index)
        if (this.committed[next.index] !== `${next.index}@${next.term} ${value}`) {
          this.violations.push(
            `${nodeId(node)} acknowledged ${value} at ${next.index}, which is ${this.committed[next.index]}`
          )
        }
      },
      failed: told.failed
    })
    return told
  }
  written(node: Node): Write {
    const write = this.write(node)
    if (isEtcdError(write)) throw new Error(write.message)
    return write
  }

  read(node: Node): Told {
    const told = new Told()
    const floor = this.acknowledged
    node.replicator.whenReadable(0, {
      done: () => {
        told.done()
        if (node.machine.committed < floor) {
          this.violations.push(`${nodeId(node)} reads at ${node.machine.committed}, acknowledged before: ${floor}`)
        }
      },
      failed: told.failed
    })
    return told
  }
}

const nodeId = (node: Node): string => node.nodeId

export const startNode = (
  world: World,
  id: string,
  options: { readonly disk?: MemoryDisk; readonly env?: Readonly<Record<string, string>> } = {}
) =>
  Effect.gen(function* () {
    const disk = options.disk ?? new MemoryDisk()
    const lines: Array<LogMemory.MemoryLine> = []
    const scope = yield* Scope.make()
    const settings = settingsOf(id, options.env)
    const base = NodeStatusMemory.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(LogMemory.layer(lines), MetricsPrometheus.layer, SupervisorFatal.layer)),
      Layer.provideMerge(SettingsValue.layer(settings))
    )
    let dead = false
    const objects = ObjectStoreFaulty.layer((call) =>
      dead ? { kind: "hang", effect: false } : world.decide(call, id)
    ).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket: world.bucket })))
    const membership = Layer.effect(
      Membership,
      Effect.gen(function* () {
        const { opened } = yield* LocalStore
        const view = yield* ClusterView
        const self: NodeName = { nodeId: id, incarnation: opened.incarnation }
        view.settle(self)
        const unused = Effect.die("not used")
        return Membership.of({
          self: () => self,
          members: () => [],
          readAll: unused,
          read: () => unused,
          allocate: () => unused,
          deregister: () => unused,
          lookUp: () => unused,
          registerAgain: unused,
          termAtStart: () => 0
        })
      })
    )
    const layer = ReplicatorCluster.layer.pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          ReignBucket.layer({ leaseMillis: () => leaseMillis }),
          ChunkBufferBucket.layer,
          HistoryBucket.layer
        )
      ),
      Layer.provideMerge(NodeReportsLocal.layer),
      Layer.provideMerge(membership),
      Layer.provideMerge(ClusterViewMemory.layer),
      Layer.provideMerge(Layer.mergeAll(PeerNetworkMemory.layer(world.hub), objects, LocalStoreMemory.layer({ disk }))),
      Layer.provideMerge(base)
    )
    const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
    const name = Context.get(context, Membership).self()
    const info: NodeInfo = {
      name,
      memberId: BigInt(id.charCodeAt(0)),
      peerAddress: settings.advertise.peer,
      clientAddress: settings.advertise.client
    }
    world.infos.set(id, info)
    const local = Context.get(context, LocalStore)
    const machine = new Machine(world, id)
    const node: Node = {
      nodeId: id,
      name,
      info,
      disk,
      replicator: Context.get(context, Replicator),
      view: Context.get(context, ClusterView),
      reports: Context.get(context, NodeReports),
      status: Context.get(context, NodeStatus),
      local,
      machine,
      lines,
      failure: undefined,
      started: false,
      alive: true,
      stop: Effect.andThen(
        Scope.close(scope, Exit.void),
        Effect.sync(() => {
          node.alive = false
        })
      ),
      kill: Effect.suspend(() => {
        node.alive = false
        dead = true
        world.hub.kill(id)
        disk.crash()
        // What is left of it reaches nobody.
        return Effect.asVoid(Effect.forkDetach(Scope.close(scope, Exit.void)))
      })
    }
    world.nodes.set(id, node)
    const supervisor = Context.get(context, Supervisor)
    yield* Effect.forkIn(
      supervisor.ended.pipe(
        Effect.catch((error) =>
          Effect.sync(() => {
            if (node.alive) node.failure = `${error.message}\n${String((error.cause as Error)?.stack)}`
          })
        )
      ),
      scope
    )
    yield* Effect.forkIn(
      node.replicator.start(machine.of(local)).pipe(
        Scope.provide(scope),
        Effect.exit,
        Effect.tap((exit) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) node.started = true
            else if (node.alive) node.failure ??= String(exit.cause)
          })
        )
      ),
      scope,
      { startImmediately: true }
    )
    world.tell()
    return node
  })

const settle = Effect.gen(function* () {
  for (let i = 0; i < 40; i++) yield* Effect.yieldNow
})

/** Time passes in small steps; data files are read by threads, which live in real time. */
export const pass = (millis: number, world?: World) =>
  Effect.gen(function* () {
    for (let left = millis; left > 0; left -= 50) {
      yield* TestClock.adjust(Math.min(50, left))
      yield* settle
      if (world !== undefined) world.tell()
    }
  })

export const until = (world: World, what: () => boolean, millis = 30_000) =>
  Effect.gen(function* () {
    for (let passed = 0; !what(); passed += 50) {
      for (const node of world.nodes.values())
        if (node.failure !== undefined) throw new Error(`${node.nodeId}: ${node.failure}`)
      if (passed >= millis) {
        const seen = [...world.nodes.values()].map(
          (n) =>
            `${n.nodeId} ${n.alive} ${n.replicator.role()} commit ${n.replicator.commitIndex()} ${n.status.waiting()?.what} ${n.status.troubles().join()}`
        )
        throw new Error(`in vain: ${what.toString()}\n${world.rule} term ${world.arbiter?.term}\n${seen.join("\n")}`)
      }
      yield* TestClock.withLive(Effect.sleep(0))
      yield* pass(50, world)
    }
  })

/** As design 6.4 has it: waits for the lease in mode store, fences voters in mode quorum; elects the highest or `wish`. */
export const elect = (world: World, candidates: ReadonlyArray<string>, wish?: string) =>
  Effect.gen(function* () {
    const arbiter = world.arbiter
    const alive = candidates.map((id) => world.node(id)).filter((node) => node.alive)
    if (arbiter === undefined || arbiter.mode === "store") {
      if (arbiter !== undefined && !arbiter.resigned) yield* pass(1.11 * leaseMillis + 100)
      const to = wish ?? alive[0]!.nodeId
      // The Primary may have changed the mode in the meantime: then nothing comes of it.
      if (arbiter !== undefined && (world.arbiter!.counter !== arbiter.counter || world.arbiter!.mode !== "store")) {
        return world.tell()
      }
      world.put({ primary: world.node(to).name })
      return world.tell()
    }
    const term = arbiter.term + 1
    const answered: Array<{ readonly name: NodeName; readonly last: Position }> = []
    for (const node of alive) {
      if (!arbiter.voters.some((voter) => sameNode(voter, node.name))) continue
      const network = electorOf(world)
      network.call(
        { nodeId: node.nodeId, address: node.info.peerAddress },
        peerMethods.fence,
        encodeFenceRequest({ term }),
        1_000,
        {
          succeed: (bytes) => {
            const { fenced, report } = decodeFenceAnswer(bytes)
            if (fenced) answered.push({ name: report.name, last: report.last })
          },
          fail: () => {}
        }
      )
    }
    yield* pass(200)
    if (answered.length < arbiter.voters.length - arbiter.required) return
    if (world.arbiter!.counter !== arbiter.counter || world.arbiter!.term !== arbiter.term) return
    answered.sort((x, y) => (isHigher(x.last, y.last) ? -1 : isHigher(y.last, x.last) ? 1 : 0))
    const best = answered[0]!
    const equal = answered.filter(({ last }) => !isHigher(best.last, last))
    const winner = equal.find(({ name }) => name.nodeId === wish) ?? best
    world.put({ primary: winner.name })
    world.tell()
  })

const electors = new WeakMap<World, PeerNetwork["Service"]>()
const electorOf = (world: World): PeerNetwork["Service"] => electors.get(world)!

/** A process of the network without anything behind it. */
export const joinNetwork = (world: World, id: string) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      PeerNetworkMemory.layer(world.hub).pipe(
        Layer.provide(SupervisorFatal.layer),
        Layer.provide(SettingsValue.layer(settingsOf(id)))
      )
    )
    return Context.get(context, PeerNetwork)
  })

export const makeWorld = Effect.gen(function* () {
  const world = new World()
  electors.set(world, yield* joinNetwork(world, "elector"))
  return world
})

/** A replica that the test plays: it holds what it is sent, and says so unless told not to. */
class Played {
  readonly name: NodeName
  readonly received: Array<PrimaryMessage> = []
  match = 0
  closed = 0
  /** False: it keeps silent. */
  answers = true
  confirms = true
  fenced = 0
  #out: PeerStreamOut | undefined
  readonly #network: PeerNetwork["Service"]
  constructor(name: NodeName, network: PeerNetwork["Service"]) {
    this.name = name
    this.#network = network
  }
  follow(to: NodeInfo, last: Position = { index: 0, term: 0 }): void {
    this.#out = this.#network.open({ nodeId: to.name.nodeId, address: to.peerAddress }, peerMethods.follow, {
      message: (bytes) => this.#message(decodePrimaryMessage(bytes)),
      drained: () => {},
      closed: () => void this.closed++
    })
    this.say({ kind: "hello", name: this.name, memberId: 9n, fenced: this.fenced, last, commitIndex: 0 })
  }
  say(message: ReplicaMessage): void {
    this.#out?.send(encodeReplicaMessage(message))
  }
  hangUp(): void {
    this.#out?.close()
  }
  #message(message: PrimaryMessage): void {
    this.received.push(message)
    if (message.kind === "round" && this.confirms)
      this.say({ kind: "confirm", term: message.term, round: message.round })
    if (message.kind !== "append" || !this.answers) return
    if (message.prev.index > this.match) {
      return this.say({ kind: "mismatch", term: message.term, at: { index: 0, term: 0 } })
    }
    this.match = Math.max(this.match, message.prev.index + message.entries.length)
    this.say({ kind: "receipt", term: message.term, match: this.match, commitIndex: 0 })
  }
}

export const play = (world: World, id: string) =>
  Effect.gen(function* () {
    const name = { nodeId: id, incarnation: "played" }
    world.infos.set(id, { name, memberId: 9n, peerAddress: `${id}:2381`, clientAddress: `${id}:2378` })
    return new Played(name, yield* joinNetwork(world, id))
  })
