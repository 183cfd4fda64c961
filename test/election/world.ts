/**
 * Several Electors over one bucket and one network in virtual time. Their nodes are scripted: a log as long as the test
 * says, fences that are granted, a reign that begins when the arbiter names the node and ends when it names another.
 */
import { Cause, Clock, Context, Effect, Exit, Layer, Random, Scope } from "effect"
import { type Arbiter, arbiterKey, decodeArbiter, encodeArbiter, sameNode } from "../../src/core/election/arbiter.ts"
import { decodeLock, type Lock, lockKey } from "../../src/core/election/lock.ts"
import type { Position } from "../../src/core/log/record.ts"
import { decodeFenceRequest, encodeFenceAnswer } from "../../src/core/wire/peer/codecs.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import * as ClusterViewMemory from "../../src/layers/ClusterViewMemory.ts"
import * as ElectorBucket from "../../src/layers/ElectorBucket.ts"
import * as HeartbeatCluster from "../../src/layers/HeartbeatCluster.ts"
import * as HistoryBucket from "../../src/layers/HistoryBucket.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MembershipBucket from "../../src/layers/MembershipBucket.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeReportsLocal from "../../src/layers/NodeReportsLocal.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as ObjectStoreFaulty from "../../src/layers/ObjectStoreFaulty.ts"
import type { Call, Fault } from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import { MemoryPeers } from "../../src/layers/PeerNetworkMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { Elector } from "../../src/services/Elector.ts"
import { LeadershipClient, LeadershipUnreachable } from "../../src/services/LeadershipClient.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { Membership } from "../../src/services/Membership.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { NodeReports } from "../../src/services/NodeReports.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { PeerNetwork } from "../../src/services/PeerNetwork.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { clockOf, Life, VirtualTime } from "../node/virtual.ts"

const leaseMillis = 3_000
/** Of the bucket and of the network. */
const latencyMillis = 5

const layerOf = (world: World, node: Node) => {
  const settings = embeddedSettings({
    NETSY_NODE_ID: node.id,
    NETSY_BIND_CLIENT: "127.0.0.1:2378",
    NETSY_ADVERTISE_CLIENT: `${node.id}.test:2378`,
    NETSY_ADVERTISE_PEER: `${node.id}.test:2381`,
    NETSY_ADVERTISE_ELECTION: `${node.id}.test:8443`,
    ...world.env
  })
  const base = NodeStatusMemory.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(LogMemory.layer(node.lines), MetricsPrometheus.layer, SupervisorFatal.layer)),
    Layer.provideMerge(SettingsValue.layer(settings))
  )
  const objects = ObjectStoreFaulty.layer((call) => {
    if (node.life.dead || world.withoutBucket.has(node.id)) return { kind: "hang", effect: false }
    node.calls.push(`${call.operation} ${call.key}`)
    return world.decide(node.id, call) ?? { kind: "delay", millis: latencyMillis }
  }).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket: world.bucket, exclusive: world.exclusive })))
  const ask = (address: string) =>
    Effect.gen(function* () {
      yield* Effect.sleep(latencyMillis)
      const other = world.nodes.findLast((n) => `${n.id}.test:8443` === address)
      if (other === undefined || !other.life.running || world.isCut(node.id, other.id)) {
        return yield* new LeadershipUnreachable({ address, reason: "no answer" })
      }
      return other.elector?.isLeader() === true ? { leaderID: other.id, leaderAddr: address } : ("not leader" as const)
    })
  return HeartbeatCluster.layer.pipe(
    Layer.provideMerge(ElectorBucket.layer({ leaseMillis })),
    Layer.provideMerge(NodeReportsLocal.layer),
    Layer.provideMerge(Layer.mergeAll(MembershipBucket.layer, HistoryBucket.layer)),
    Layer.provideMerge(ClusterViewMemory.layer),
    Layer.provideMerge(
      Layer.mergeAll(
        PeerNetworkMemory.layer(world.peers),
        Layer.succeed(LeadershipClient, LeadershipClient.of({ ask })),
        LocalStoreMemory.layer({ disk: node.disk })
      )
    ),
    Layer.provideMerge(objects),
    Layer.provideMerge(base)
  )
}

type Services = Layer.Success<ReturnType<typeof layerOf>>

/** A process on a machine. */
export class Node {
  readonly id: string
  readonly disk: MemoryDisk
  readonly life: Life
  readonly lines: Array<LogMemory.MemoryLine> = []
  /** Calls to the bucket: "get leader/elector.json". */
  readonly calls: Array<string> = []
  readonly scope = Scope.makeUnsafe()
  readonly #world: World
  context: Context.Context<Services> | undefined
  elector: Elector["Service"] | undefined
  /** Why it ended by itself. */
  ended = ""
  /** Its log, as reported. */
  last: Position = { index: 0, term: 0 }
  commitIndex = 0
  fenced = 0
  reigned = 0
  mayAcknowledge = true
  /** Begins the terms in which it is named. */
  begins = true
  /** Fences that it was asked for. */
  readonly fences: Array<number> = []

  constructor(world: World, id: string, disk: MemoryDisk) {
    this.#world = world
    this.id = id
    this.disk = disk
    this.life = new Life(world.time, 1, 0)
  }

  start(): void {
    const clock = clockOf(this.#world.time, this.life)
    const scheduler = this.#world.time.scheduler
    const built = Layer.buildWithScope(Layer.fresh(layerOf(this.#world, this)), this.scope).pipe(
      Random.withSeed(`${this.id} ${this.#world.nodes.length}`),
      Effect.provideService(Clock.Clock, clock)
    )
    Effect.runFork(built, { scheduler }).addObserver((exit) => {
      if (Exit.isFailure(exit)) {
        if (!this.life.dead) this.ended = Cause.pretty(exit.cause)
        return
      }
      this.context = exit.value
      this.elector = Context.get(exit.value, Elector)
      this.#script(exit.value)
      Effect.runFork(Context.get(exit.value, Supervisor).ended, { scheduler }).addObserver((end) => {
        if (!this.life.dead && Exit.isFailure(end)) this.ended = Cause.pretty(end.cause)
      })
    })
  }

  #script(context: Context.Context<Services>): void {
    const view = Context.get(context, ClusterView)
    const status = Context.get(context, NodeStatus)
    const reports = Context.get(context, NodeReports)
    const local = Context.get(context, LocalStore)
    this.fenced = Math.max(this.fenced, local.opened.promises.fenced)
    this.reigned = local.opened.promises.reigned
    status.setLoaded()
    reports.provideLog(() => ({
      fenced: this.fenced,
      last: this.last,
      lastRevision: this.last.index,
      commitIndex: this.commitIndex,
      committedRevision: this.commitIndex,
      floor: 0,
      storedIndex: 0,
      mayAcknowledge: this.mayAcknowledge,
      refusedTerm: 0,
      lagEntries: 0,
      lagMillis: 0,
      mode: view.current().arbiter?.mode ?? "store",
      voters: view.current().arbiter?.voters ?? [],
      required: view.current().arbiter?.required ?? 0,
      bufferedBytes: 0,
      lastSnapshotIndex: 0,
      lastChunkIndex: 0
    }))
    Context.get(context, PeerNetwork).handle(peerMethods.fence, (request, _from, answer) => {
      const { term } = decodeFenceRequest(request)
      this.fences.push(term)
      const granted = this.fenced <= term
      if (granted) this.fenced = term
      answer.succeed(encodeFenceAnswer({ fenced: granted, report: reports.current() }))
    })
    const follow = (): void => {
      const { arbiter } = view.current()
      if (arbiter === undefined) return
      const named = view.isSelf(arbiter.primary) && !arbiter.resigned
      if (named && arbiter.term > this.reigned && arbiter.term >= this.fenced && this.begins) {
        this.reigned = this.fenced = arbiter.term
        Effect.runFork(local.promise({ fenced: arbiter.term, reigned: arbiter.term }), {
          scheduler: this.#world.time.scheduler
        })
        if (status.primary() === "active") status.setPrimary("replica")
        status.setPrimary("starting")
        status.setPrimary("active")
      } else if ((!named || arbiter.term > this.reigned) && status.primary() === "active") status.setPrimary("replica")
    }
    view.onChange(follow)
    follow()
  }

  get<I extends Services, S>(service: Context.Key<I, S>): S {
    return Context.get(this.context!, service as never)
  }
  get name() {
    return this.get(Membership).self()
  }
  get isLeader(): boolean {
    return this.life.running && this.elector?.isLeader() === true
  }
  get role() {
    return this.get(NodeStatus).primary()
  }
  get waitsFor(): string {
    return this.get(NodeStatus).waiting()?.what ?? ""
  }
  get term(): number {
    return this.get(ClusterView).current().arbiter?.term ?? 0
  }
  events(event: string) {
    return this.lines.filter((line) => line.event === event)
  }

  /** Nothing it does reaches anybody any more. */
  kill(): void {
    this.life.kill()
    this.#world.peers.kill(this.id)
    this.disk.crash()
  }

  /** As an orderly stop does it. */
  async stop(): Promise<void> {
    let done = false
    const clock = clockOf(this.#world.time, this.life)
    const closing = Scope.close(this.scope, Exit.void).pipe(Effect.provideService(Clock.Clock, clock))
    Effect.runFork(closing, { scheduler: this.#world.time.scheduler }).addObserver(() => {
      done = true
    })
    await this.#world.until("the stop of " + this.id, () => done, 20_000)
    this.life.kill()
  }
}

export class World {
  readonly time = new VirtualTime()
  readonly bucket = new MemoryBucket()
  readonly peers = new MemoryPeers()
  readonly nodes: Array<Node> = []
  readonly env: Record<string, string>
  readonly exclusive: boolean
  readonly withoutBucket = new Set<string>()
  /** "from to": nothing passes in this direction. */
  readonly cuts = new Set<string>()
  decide: (nodeId: string, call: Call) => Fault | undefined = () => undefined
  /** Primaries renew the arbiter every second, as long as they run. */
  renews = false
  #renewedAt = 0

  constructor(env: Readonly<Record<string, string>> = {}, exclusive = false) {
    this.env = { NETSY_STORAGE: "dir:/store", ...env }
    this.exclusive = exclusive
    this.peers.decide = (from, to, kind) => {
      if (this.isCut(from, to)) return "drop"
      // A machine that stands still takes connections and says nothing.
      if (kind === "probe" && this.nodes.findLast(({ id }) => id === to)?.life.running === false) return "drop"
      return { delayMillis: latencyMillis }
    }
  }

  isCut(a: string, b: string): boolean {
    return a !== b && (this.cuts.has(`${a} ${b}`) || this.cuts.has(`${b} ${a}`))
  }

  /** Starts a process, on a fresh disk unless it is given one. */
  start(id: string, disk = new MemoryDisk(), set: (node: Node) => void = () => {}): Node {
    const node = new Node(this, id, disk)
    set(node)
    this.nodes.push(node)
    node.start()
    return node
  }

  async #step(millis: number): Promise<void> {
    this.time.step(millis)
    await this.time.settle()
    if (!this.renews || this.time.now - this.#renewedAt < 1_000 || this.primary === undefined) return
    this.#renewedAt = this.time.now
    const { arbiter } = this
    this.bucket.put(arbiterKey, encodeArbiter({ ...arbiter!, counter: arbiter!.counter + 1 }), undefined, 0)
  }

  async pass(millis: number): Promise<void> {
    const end = this.time.now + millis
    await this.time.settle()
    while (this.time.now < end) {
      await this.#step(Math.min(5, end - this.time.now))
    }
  }

  /** Passes time until it is so; returns how much. */
  async until(what: string, isSo: () => boolean, limitMillis = 30_000): Promise<number> {
    const begun = this.time.now
    await this.time.settle()
    while (!isSo()) {
      if (this.time.now - begun > limitMillis) {
        const lines = this.nodes.flatMap((n) =>
          n.lines
            .filter(({ level }) => level !== "DEBUG")
            .slice(-12)
            .map(
              (l) =>
                `${n.id} ${l.event} ${JSON.stringify(l.fields, (_, v: unknown) => (typeof v === "bigint" ? `${v}` : v))}`
            )
        )
        throw new Error(`${what}: not within ${limitMillis} ms\n${lines.join("\n")}`)
      }
      await this.#step(5)
    }
    return this.time.now - begun
  }

  get arbiter(): Arbiter | undefined {
    const object = this.bucket.get(arbiterKey)
    return object === undefined ? undefined : (decodeArbiter(object.body) as Arbiter)
  }
  get lock(): Lock | undefined {
    const object = this.bucket.get(lockKey)
    return object === undefined ? undefined : (decodeLock(object.body) as Lock)
  }
  get leader(): Node | undefined {
    return this.nodes.findLast(({ isLeader }) => isLeader)
  }
  /** The process that the arbiter names, at work. */
  get primary(): Node | undefined {
    const { arbiter } = this
    return this.nodes.findLast(
      (n) =>
        n.life.running &&
        n.context !== undefined &&
        arbiter !== undefined &&
        !arbiter.resigned &&
        sameNode(n.name, arbiter.primary) &&
        n.role === "active" &&
        n.term === arbiter.term
    )
  }

  /** As the Primary, or another Elector, would. */
  write(change: Partial<Arbiter>): Arbiter {
    const arbiter = { ...this.arbiter!, counter: this.arbiter!.counter + 1, ...change }
    this.bucket.put(arbiterKey, encodeArbiter(arbiter), undefined, 0)
    const primary = this.nodes.findLast(
      (n) => n.life.running && n.context !== undefined && sameNode(n.name, arbiter.primary)
    )
    const view = primary?.get(ClusterView)
    view?.offer({ ...view.current(), arbiter, etag: this.bucket.get(arbiterKey)!.etag })
    return arbiter
  }

  /** The three of them, with `first` as Elector and Primary in mode store. */
  async three(): Promise<readonly [Node, Node, Node]> {
    const a = this.start("a")
    await this.until("a reigns", () => this.primary === a)
    const b = this.start("b")
    const c = this.start("c")
    await this.until("all are known", () =>
      [a, b, c].every((n) => n.context !== undefined && n.get(ClusterView).current().nodes.length === 3)
    )
    return [a, b, c]
  }

  quorumOf(nodes: ReadonlyArray<Node>, required = Math.floor(nodes.length / 2)): Arbiter {
    return this.write({ mode: "quorum", voters: nodes.map(({ name }) => name), required })
  }

  end(): void {
    for (const node of this.nodes) node.kill()
  }
}

export const metricsOf = (node: Node): Promise<string> => node.get(Metrics).render()
