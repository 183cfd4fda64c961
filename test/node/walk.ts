/**
 * A seeded random walk: one or two whole nodes over one bucket in virtual time, with every fault that a bucket, a disk,
 * a machine and an operator can make, while clients write and read through all of them.
 */
import { Cause, Clock, Context, Effect, Exit, Layer, Random, Scope } from "effect"
import { type Arbiter, arbiterKey, decodeArbiter } from "../../src/core/election/arbiter.ts"
import { errors } from "../../src/core/wire/errors.ts"
import type {
  DeleteRangeResponse,
  KeyValue,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse
} from "../../src/core/wire/messages.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { MemoryDisk } from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as LeadershipClientNone from "../support/LeadershipClientNone.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { cluster, node } from "../../src/programs/node.ts"
import { Elector } from "../../src/services/Elector.ts"
import { Kv, type Reply } from "../../src/services/Kv.ts"
import { LeadershipClient, LeadershipUnreachable } from "../../src/services/LeadershipClient.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { complaintsOf } from "../linear/check.ts"
import { Recorder } from "../linear/Recorder.ts"
import { answerOf, fromWire, watchResponseOf } from "../linear/wire.ts"
import { clockOf, FileWatch, Life, VirtualTime } from "./virtual.ts"
import { compareReadings } from "./twoReadings.ts"
import { type Plan, walkBucket } from "./walkBucket.ts"
import { type Call, type Changes, type Shown, WalkHistory } from "./walkHistory.ts"
import { rangeOf } from "../support/requests.ts"

export interface WalkOptions {
  readonly seed: number
  /** Virtual time with faults; healing and checking come after it. */
  readonly seconds: number
  /** For snapshots' temporary files. */
  readonly folder: string
  /** Three nodes that know each other, instead of one or two that share a bucket. */
  readonly cluster?: boolean
}

export interface WalkReport {
  readonly violations: ReadonlyArray<string>
  readonly setting: string
  readonly counts: Readonly<Record<string, number>>
  /** The last log lines of every process, oldest process first. */
  readonly log: ReadonlyArray<string>
}

const stepMillis = 5
/** etcd's request time, and what a busy loop may add. */
const answerMillisMax = 8_000
const stopMillisMax = 16_000
const healMillisMax = 60_000
/** With every voter gone a recovery has to wait for the time in which one might come back. */
const healClusterMillisMax = 120_000
/** When a real store gives a request up that is not answered. */
const hangMillis = 6_000
/** So often two readers compare what they find in the bucket. */
const compareMillis = 2_000
const clients = 4
/** Log events that tell whether a walk has been anywhere. */
const told = new Set([
  "election_completed",
  "reign_started",
  "mode_change_completed",
  "log_truncated",
  "local_db_rebuild_completed",
  "database_set_aside",
  "recovered_with_possible_loss",
  "fenced"
])
const keys = ["a", "b", "c", "d", "e", "f"]

const layerOf = (
  walk: Walk,
  slot: Slot,
  life: Life,
  lines: Array<LogMemory.MemoryLine>,
  onElector: (elector: Elector["Service"]) => void
) => {
  const settings = embeddedSettings(slot.env)
  const base = NodeStatusMemory.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(LogMemory.layer(lines), MetricsPrometheus.layer, SupervisorFatal.layer)),
    Layer.provideMerge(SettingsValue.layer(settings))
  )
  const objects = walkBucket({ time: walk.time, bucket: walk.bucket, life, plan: walk.plan, exclusive: walk.exclusive })
  const local = LocalStoreMemory.layer({ disk: slot.disk, syncDelay: walk.syncMillis })
  const peers = Layer.mergeAll(PeerNetworkMemory.layer(slot.peers()), walk.leadership(slot.nodeId))
  // It is asked by others long before the node can serve.
  const told = Layer.effectDiscard(Elector.use((elector) => Effect.sync(() => onElector(elector))))
  return node(settings).pipe(
    Layer.provideMerge(told),
    Layer.provideMerge(cluster(settings)),
    Layer.provideMerge(peers),
    Layer.provideMerge(Layer.mergeAll(objects, local)),
    Layer.provideMerge(base)
  )
}

/** A machine: at most one process at a time runs on it. */
interface Slot {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly nodeId: string
  /** The network of the process that starts now. */
  readonly peers: () => PeerNetworkMemory.MemoryPeers
  readonly rate: number
  readonly wallOffset: number
  disk: MemoryDisk
  olderDisk: ReturnType<MemoryDisk["snapshot"]>
  olderDiskOf: Process | undefined
  running: Process | undefined
  startAt: number
}

interface Process {
  readonly life: Life
  readonly name: string
  readonly scope: Scope.Closeable
  readonly lines: Array<LogMemory.MemoryLine>
  kv: Kv["Service"] | undefined
  elector: Elector["Service"] | undefined
  stopping: boolean
}

interface Pending {
  readonly process: Process
  readonly call: Call
  deadline: number
  /** The client stops waiting; a write's fate is unknown. */
  readonly forget: () => void
}

const bytes = (text: string): Uint8Array => Buffer.from(text)
const text = (of: Uint8Array): string => Buffer.from(of).toString()
const all = Uint8Array.of(0)

const rangeRequest = (from: Uint8Array, to: Uint8Array, revision: number, serializable: boolean): RangeRequest =>
  rangeOf(from, { rangeEnd: to, revision, serializable })
const putRequest = (key: string, value: string) => ({
  key: bytes(key),
  value: bytes(value),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false
})
const shownOf = (kvs: ReadonlyArray<KeyValue>): Array<Shown> =>
  kvs.map((kv) => ({ key: text(kv.key), value: text(kv.value), modRevision: kv.modRevision }))

/** Answers after which the write may or may not have happened. */
const unknownOutcome = new Set<string>([errors.requestTimedOut.message, errors.serverStopped.message])

export class Walk {
  readonly time = new VirtualTime()
  readonly bucket = new MemoryBucket()
  readonly history = new WalkHistory()
  /** The same for the checker of linearizable histories, which knows nothing of this store. */
  readonly recorder = new Recorder()
  readonly exclusive: boolean
  readonly syncMillis: number
  readonly setting: string
  readonly #cluster: boolean
  readonly #network = new PeerNetworkMemory.MemoryPeers()
  /** Directions in which nothing passes: `from to`, and how it is noticed. */
  readonly #cuts = new Map<string, "cut" | "drop">()
  readonly #options: WalkOptions
  readonly #slots: Array<Slot> = []
  readonly #processes: Array<Process> = []
  readonly #pending = new Map<number, Pending>()
  readonly #counts: Record<string, number> = {}
  readonly #known = new Map<string, number>()
  readonly #faultRate: number
  readonly #compacts: boolean
  readonly #lease: number
  readonly #snapshots: boolean
  #compareAt = compareMillis
  readonly #files: FileWatch
  #state: number
  #outage: { readonly until: number; readonly hang: boolean } | undefined
  #calls = 0
  #healed = false
  /** At the end: the arbiter says that it may have been so. */
  #mayHaveLost = false

  constructor(options: WalkOptions) {
    this.#options = options
    this.#state = options.seed >>> 0
    this.#files = new FileWatch(options.folder)
    if (options.cluster === true) this.#connect()
    this.#cluster = options.cluster === true
    const mode = this.#cluster ? "three" : this.pick(["one", "one", "twins", "twins", "pair"])
    this.exclusive = this.chance(0.3) && !this.#cluster
    this.syncMillis = this.pick([0.5, 2, 10])
    this.#faultRate = this.pick([0, 0.02, 0.05, 0.1])
    this.#compacts = this.chance(0.4)
    this.#lease = this.pick([300, 1_000])
    const snapshots = this.chance(0.4)
    this.#snapshots = snapshots
    this.setting =
      `${mode}, lease ${this.#lease} ms, faults ${this.#faultRate}, sync ${this.syncMillis} ms` +
      `${this.exclusive ? ", lock of the store" : ""}${this.#compacts ? ", compactions" : ""}${snapshots ? ", snapshots" : ""}`
    const env = {
      NETSY_REPLICATION_STORE_LEASE: `${this.#lease}ms`,
      NETSY_DATA_DIR: options.folder,
      NETSY_SNAPSHOT_THRESHOLD_RECORDS: snapshots ? "30" : "0",
      NETSY_SNAPSHOT_HISTORY: "0s",
      NETSY_SNAPSHOT_KEEP: "1",
      ...(this.#cluster ? this.#clusterEnv() : {})
    }
    const names = { one: ["A"], three: ["A", "B", "C"] }[mode] ?? ["A", "B"]
    for (const [i, name] of names.entries()) {
      const nodeId = mode === "pair" || mode === "three" ? `node-${name.toLowerCase()}` : "node-1"
      const at = (port: number): string => `10.0.0.${i + 1}:${port}`
      const addresses = {
        NETSY_ADVERTISE_CLIENT: at(2378),
        NETSY_ADVERTISE_PEER: at(2381),
        NETSY_ADVERTISE_ELECTION: at(8443)
      }
      this.#slots.push({
        name,
        nodeId,
        env: { ...env, NETSY_NODE_ID: nodeId, ...(this.#cluster ? addresses : {}) },
        peers: this.#cluster ? () => this.#network : () => new PeerNetworkMemory.MemoryPeers(),
        rate: this.pick([0.95, 1, 1.05]),
        wallOffset: i === 0 ? 0 : this.pick([0, 20_000, -20_000]),
        disk: new MemoryDisk(),
        olderDisk: undefined,
        olderDiskOf: undefined,
        running: undefined,
        startAt: this.below(200)
      })
    }
  }

  /** Settings of a cluster whose waits are short enough to happen. */
  #clusterEnv(): Readonly<Record<string, string>> {
    return {
      NETSY_HEARTBEAT_INTERVAL: "200ms",
      NETSY_REPLICATION_QUORUM: this.pick(["-1", "-1", "-1", "0", "2"]),
      NETSY_ELECTOR_DEREGISTRATION_TIMEOUT: this.pick(["15s", "40s"]),
      NETSY_REPLICATION_CHUNK_BUFFER_THRESHOLD_AGE_MINUTES: "1",
      NETSY_REPLICATION_CHUNK_BUFFER_THRESHOLD_SIZE_MB: "1"
    }
  }

  /** The network's faults: what passes takes a little, sometimes long; nothing passes a cut. */
  #connect(): void {
    const network = this.#network
    network.decide = (from, to, kind) => {
      const cut = this.#cuts.get(`${from} ${to}`)
      if (cut !== undefined) return cut
      const slow = kind !== "ping" && this.chance(0.01)
      return { delayMillis: slow && !this.#healed ? this.below(500) : this.random() * 2 }
    }
  }

  leadership(nodeId: string): Layer.Layer<LeadershipClient> {
    if (!this.#cluster) return LeadershipClientNone.layer
    const ask = (address: string) =>
      Effect.gen({ self: this }, function* () {
        yield* Effect.sleep(1)
        const found = this.#ask(nodeId, address)
        if (found === undefined) return yield* new LeadershipUnreachable({ address, reason: "no answer" })
        return found === "" ? ("not leader" as const) : { leaderID: found, leaderAddr: address }
      })
    return Layer.succeed(LeadershipClient, LeadershipClient.of({ ask }))
  }

  /** Whether the node at an election port holds the lock, asked over the same network. */
  #ask(from: string, address: string): string | undefined {
    const slot = this.#slots.find((s) => s.env["NETSY_ADVERTISE_ELECTION"] === address)
    const process = slot?.running
    if (slot === undefined || process === undefined || !process.life.running) return undefined
    if (this.#cuts.has(`${from} ${slot.nodeId}`) || this.#cuts.has(`${slot.nodeId} ${from}`)) return undefined
    return process.elector?.isLeader() === true ? slot.nodeId : ""
  }

  // Randomness

  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  below(n: number): number {
    return Math.floor(this.random() * n)
  }
  chance(p: number): boolean {
    return this.random() < p
  }
  pick<A>(of: ReadonlyArray<A>): A {
    return of[this.below(of.length)]!
  }
  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1
  }

  // The bucket's faults

  readonly plan = (): Plan => {
    const there = this.chance(0.05) ? this.below(400) : 1 + this.below(10)
    const back = this.chance(0.05) ? this.below(200) : 1 + this.below(5)
    const outage = this.#outage !== undefined && this.time.now < this.#outage.until
    if (outage)
      return this.#outage!.hang
        ? { effectAfter: undefined, answerAfter: hangMillis, lost: true }
        : { effectAfter: undefined, answerAfter: there, lost: true }
    if (this.#healed || !this.chance(this.#faultRate))
      return { effectAfter: there, answerAfter: there + back, lost: false }
    const fault = this.pick(["fail", "fail", "lose", "lose", "lose", "late", "late", "late", "hang", "hangs after it"])
    this.#count(`fault: ${fault}`)
    switch (fault) {
      case "fail":
        return { effectAfter: undefined, answerAfter: there, lost: true }
      case "lose":
        return { effectAfter: there, answerAfter: there + back, lost: true }
      case "late":
        return { effectAfter: there + this.below(this.chance(0.3) ? 20_000 : 2_000), answerAfter: there, lost: true }
      case "hang":
        return { effectAfter: undefined, answerAfter: hangMillis, lost: true }
      default:
        return { effectAfter: there, answerAfter: hangMillis, lost: true }
    }
  }

  // Processes

  #start(slot: Slot): void {
    const life = new Life(this.time, slot.rate, slot.wallOffset)
    const scope = Scope.makeUnsafe()
    const lines: Array<LogMemory.MemoryLine> = []
    const process: Process = {
      life,
      name: `${slot.name}${this.#processes.length}`,
      scope,
      lines,
      kv: undefined,
      elector: undefined,
      stopping: false
    }
    slot.running = process
    this.#processes.push(process)
    this.#count("starts")
    // It looks for leftovers of snapshots on the real disk.
    this.time.expectRealWork()
    const clock = clockOf(this.time, life)
    const onElector = (elector: Elector["Service"]): void => {
      process.elector = elector
    }
    const started = Layer.buildWithScope(Layer.fresh(layerOf(this, slot, life, lines, onElector)), scope).pipe(
      Random.withSeed(`${this.#options.seed} ${process.name}`),
      Effect.provideService(Clock.Clock, clock)
    )
    Effect.runFork(started, { scheduler: this.time.scheduler }).addObserver((exit) => {
      if (life.dead) return
      if (Exit.isFailure(exit)) {
        if (process.stopping) return
        this.#ended(slot, process, `start: ${Cause.pretty(exit.cause)}`)
        return
      }
      this.#count("active")
      process.kv = Context.get(exit.value, Kv)
      this.#watch(process, Context.get(exit.value, WatchHub))
      Effect.runFork(Context.get(exit.value, Supervisor).ended, { scheduler: this.time.scheduler }).addObserver(
        (end) => {
          if (!life.dead && !process.stopping && Exit.isFailure(end))
            this.#ended(slot, process, Cause.pretty(end.cause))
        }
      )
    })
  }

  /** A process that ended by itself; only being deposed is a reason for that. */
  #ended(slot: Slot, process: Process, reason: string): void {
    // It goes on as another incarnation.
    const byRecovery = reason.includes("gave up what followed index") || reason.includes("put back to an older state")
    if (!reason.includes("deposed in term") && !byRecovery) this.history.violation(`${process.name} ended: ${reason}`)
    this.#count("ended by itself")
    this.#stop(slot, process)
  }

  #stop(slot: Slot, process: Process): void {
    process.stopping = true
    process.kv = undefined
    const since = this.time.now
    let late = () => {}
    Effect.runFork(
      Scope.close(process.scope, Exit.void).pipe(Effect.provideService(Clock.Clock, clockOf(this.time, process.life))),
      { scheduler: this.time.scheduler }
    ).addObserver(() => {
      late()
      if (process.life.dead) return
      this.#count("stops")
      process.life.kill()
      this.#forgetOf(process)
      if (slot.running === process) slot.running = undefined
      slot.startAt = this.time.now + this.below(500)
    })
    late = this.time.after(stopMillisMax * 1.06, () => {
      if (!process.life.dead && process.life.running) {
        this.history.violation(`${process.name} does not stop: it was told ${Math.round(this.time.now - since)} ms ago`)
      }
    })
  }

  #kill(slot: Slot, disk: "keep" | "lose" | "older"): void {
    const process = slot.running
    if (process === undefined) return
    this.#count(`kill: ${disk} disk`)
    process.life.kill()
    this.#network.kill(slot.nodeId)
    this.#forgetOf(process)
    slot.running = undefined
    slot.disk.crash(this.below(slot.disk.unsyncedCount + 1))
    if (disk === "lose") slot.disk = new MemoryDisk()
    if (disk === "older") slot.disk.putBack(slot.olderDisk)
    if (disk !== "keep") slot.olderDisk = undefined
    slot.startAt = this.time.now + this.below(1_000)
  }

  #pause(process: Process, suspended: boolean, millis: number): void {
    if (!process.life.running || process.stopping) return
    this.#count(suspended ? "suspended" : "paused")
    process.life.pause(suspended)
    this.time.after(millis, () => {
      for (const pending of this.#pending.values()) if (pending.process === process) pending.deadline += millis
      process.life.resume()
    })
  }

  #forgetOf(process: Process): void {
    for (const [id, pending] of this.#pending) {
      if (pending.process !== process) continue
      this.#pending.delete(id)
      pending.forget()
    }
  }

  /** From the revision after `from`. */
  #watch(process: Process, hub: WatchHub["Service"], from = this.history.knownUpTo): void {
    const { history } = this
    let last = from
    const recorded = this.recorder.watch(process.name, { key: "\0", end: "\0" }, last + 1)
    hub
      .open({
        send: (response) => {
          if (process.life.dead) return true
          const said = watchResponseOf(response)
          if (said !== undefined) recorded.response(said)
          // A node that was cut off for long learns of the compaction before it learns of what it has dropped.
          const compacted = this.#cluster && response.canceled && response.compactRevision > last
          if (compacted) {
            this.#count("watch compacted")
            this.#watch(process, hub, response.compactRevision - 1)
          } else if (response.canceled)
            history.violation(
              `${process.name}: the watch from ${last + 1} was cancelled: ${response.cancelReason} ${response.compactRevision}`
            )
          for (const event of response.events) {
            const revision = event.kv.modRevision
            if (revision !== last && revision !== last + 1)
              history.violation(`${process.name}: the watcher saw revision ${revision} after ${last}`)
            last = revision
            history.event(
              process.name,
              revision,
              text(event.kv.key),
              event.type === 0 ? text(event.kv.value) : undefined
            )
          }
          return true
        }
      })
      .request({
        kind: "create",
        create: {
          key: all,
          rangeEnd: all,
          startRevision: last + 1,
          progressNotify: false,
          filters: [],
          prevKv: false,
          watchId: 0n,
          fragment: false
        }
      })
  }

  // Clients

  /** One call: `answered` unless the process dies first. `op`: what is recorded, undefined where the checker has no word. */
  #call<A>(
    process: Process,
    what: string,
    run: (reply: Reply<A>) => void,
    answered: (call: Call, answer: A) => void,
    op: RequestOp | undefined,
    value?: string
  ): void {
    const id = this.#calls++
    const begun = op === undefined ? undefined : this.recorder.begin(process.name, fromWire(op))
    const call: Call = {
      what: `${what} (call ${id} to ${process.name} at ${Math.round(this.time.now)} ms)`,
      seen: this.history.seen
    }
    this.#pending.set(id, { process, call, deadline: this.time.now + answerMillisMax * 1.06, forget: () => {} })
    const once = (): boolean => {
      if (process.life.dead) return false
      if (!this.#pending.delete(id)) this.history.violation(`${call.what} was answered twice, or too late`)
      return true
    }
    run({
      succeed: (answer) => {
        if (!once()) return
        this.#count("answers")
        // The answer to a request of that kind.
        if (op !== undefined) begun!.ok(answerOf({ kind: op.kind, [op.kind]: answer } as unknown as ResponseOp))
        answered(call, answer)
      },
      fail: (error) => {
        if (!once()) return
        this.#count(`error: ${error.message}`)
        if (unknownOutcome.has(error.message)) begun?.unknown(error.message)
        else begun?.failed(error.message)
        if (value !== undefined && !unknownOutcome.has(error.message)) this.history.refused(call, value)
      }
    })
  }

  #operate(process: Process): void {
    const kv = process.kv!
    const { history } = this
    const key = this.pick(keys)
    const value = `w${this.#calls}`
    const kind = this.below(100)
    if (kind < 35) {
      const put = putRequest(key, value)
      this.#call(
        process,
        `put ${key}=${value}`,
        (reply: Reply<PutResponse>) => kv.put(put, reply),
        (call, answer) => history.write(call, answer.header!.revision, new Map([[key, value]])),
        { kind: "put", put },
        value
      )
    } else if (kind < 42) {
      const deleteRange = { key: bytes(key), rangeEnd: new Uint8Array(0), prevKv: false }
      this.#call(
        process,
        `delete ${key}`,
        (reply: Reply<DeleteRangeResponse>) => kv.deleteRange(deleteRange, reply),
        (call, answer) => {
          if (answer.deleted > 0) history.write(call, answer.header!.revision, new Map([[key, undefined]]))
          else history.compare(call, answer.header!.revision, key, 0, true)
        },
        { kind: "deleteRange", deleteRange }
      )
    } else if (kind < 62) this.#txn(process, key, value)
    else if (kind < 82) {
      const range = rangeRequest(all, all, 0, false)
      this.#call(
        process,
        "read",
        (reply: Reply<RangeResponse>) => kv.range(range, reply),
        (call, answer) => {
          for (const kv of answer.kvs) this.#known.set(text(kv.key), kv.modRevision)
          history.linearizableRead(call, answer.header!.revision, shownOf(answer.kvs))
        },
        { kind: "range", range }
      )
    } else if (kind < 90) {
      const range = rangeRequest(all, all, 0, true)
      this.#call(
        process,
        "serializable read",
        (reply: Reply<RangeResponse>) => kv.range(range, reply),
        (call, answer) => history.readAt(call, answer.header!.revision, shownOf(answer.kvs)),
        { kind: "range", range }
      )
    } else if (kind < 97) {
      const revision = Math.max(1, history.seen - this.below(20))
      const range = rangeRequest(all, all, revision, this.chance(0.5))
      this.#call(
        process,
        `read at ${revision}`,
        (reply: Reply<RangeResponse>) => kv.range(range, reply),
        (call, answer) => history.readAt(call, revision, shownOf(answer.kvs)),
        { kind: "range", range }
      )
    } else if (this.#compacts) {
      // Every watcher begins behind what is known to all, so that nobody needs what is dropped.
      const revision = Math.min(history.knownUpTo, history.seen) - this.below(10)
      if (revision > 0)
        this.#call(
          process,
          `compact ${revision}`,
          (reply) => kv.compact({ revision, physical: this.chance(0.5) }, reply),
          () => this.#count("compactions"),
          undefined
        )
    }
  }

  /** Writes two keys if the first one is as it was last seen, else reads. */
  #txn(process: Process, key: string, value: string): void {
    const other = this.pick(keys.filter((k) => k !== key))
    const expected = this.#known.get(key) ?? 0
    const read: RequestOp = { kind: "range", range: rangeRequest(all, all, 0, false) }
    const written: Changes = new Map([
      [key, `${value}/1`],
      [other, `${value}/2`]
    ])
    const request: TxnRequest = {
      compare: [
        {
          result: 0,
          target: 2,
          key: bytes(key),
          rangeEnd: new Uint8Array(0),
          targetUnion: { kind: "mod", number: expected }
        }
      ],
      success: [...written].map(([k, v]): RequestOp => ({ kind: "put", put: putRequest(k, v!) })),
      failure: [read]
    }
    this.#call(
      process,
      `txn ${key}@${expected} ${other}=${value}`,
      (reply: Reply<TxnResponse>) => process.kv!.txn(request, reply),
      (call, answer) => {
        const revision = answer.header!.revision
        this.history.compare(call, answer.succeeded ? revision - 1 : revision, key, expected, answer.succeeded)
        if (answer.succeeded) return this.history.write(call, revision, written)
        const found = answer.responses[0] as { readonly range: { readonly kvs: ReadonlyArray<KeyValue> } }
        for (const kv of found.range.kvs) this.#known.set(text(kv.key), kv.modRevision)
        this.history.linearizableRead(call, revision, shownOf(found.range.kvs))
      },
      { kind: "txn", txn: request },
      value
    )
  }

  // The walk

  /** One direction or both between two nodes, or one node from all others; noticed at once or by silence. */
  #cut(): void {
    const from = this.pick(this.#slots).nodeId
    const others = this.#slots.map((s) => s.nodeId).filter((nodeId) => nodeId !== from)
    const isolated = this.chance(0.4)
    const cutOff = isolated ? others : [this.pick(others)]
    const how = this.pick(["cut", "drop"] as const)
    const oneWay = !isolated && this.chance(0.5)
    const pairs = cutOff.flatMap((to) => (oneWay ? [`${from} ${to}`] : [`${from} ${to}`, `${to} ${from}`]))
    this.#count(`network: ${how}, ${isolated ? "a node alone" : oneWay ? "one way" : "both ways"}`)
    for (const pair of pairs) this.#cuts.set(pair, how)
    this.time.after(this.below(this.chance(0.3) ? 20_000 : 3_000), () => {
      for (const pair of pairs) this.#cuts.delete(pair)
    })
  }

  /** A voter's disk of the same life is told from a restart by nobody but the Primary that it followed (docs/cluster.md). */
  #mayPutBack(slot: Slot): boolean {
    return slot.olderDisk !== undefined && (!this.#cluster || slot.olderDiskOf !== slot.running)
  }

  #disturb(): void {
    if (this.#cluster && this.chance(0.35)) return this.#cut()
    const slot = this.pick(this.#slots)
    const process = slot.running
    // A node that is not up yet is left alone most of the time, or hardly any would ever be.
    if (process?.kv === undefined && this.chance(0.8)) return
    const what = this.below(100)
    if (what < 15) this.#kill(slot, "keep")
    else if (what < 25) this.#kill(slot, "lose")
    else if (what < 35) this.#kill(slot, this.#mayPutBack(slot) ? "older" : "keep")
    else if (what < 50) {
      slot.olderDisk = slot.disk.snapshot()
      slot.olderDiskOf = process
    } else if (what < 65) {
      this.#outage = { until: this.time.now + this.below(this.chance(0.2) ? 12_000 : 2_000), hang: this.chance(0.4) }
      this.#count("outages")
    } else if (process === undefined || !process.life.running) return
    else if (what < 78) this.#pause(process, false, 20 + this.below(this.#lease * 4))
    else if (what < 84) this.#pause(process, true, 100 + this.below(this.#lease * 4))
    else if (!process.stopping) this.#stop(slot, process)
  }

  async #go(millis: number, each: () => void, done: () => boolean = () => false): Promise<void> {
    const until = this.time.now + millis
    while (this.time.now < until && !done() && this.history.violations.length === 0) {
      this.time.step(stepMillis)
      // On its way up a process looks for leftovers of snapshots on the real disk, whenever it comes to that.
      if (this.#cluster && this.#slots.some(({ running }) => running !== undefined && running.kv === undefined))
        this.time.expectRealWork()
      await this.time.settle()
      // A clean stop takes one whatever the thresholds say.
      if (this.#snapshots || this.#processes.some((p) => p.stopping && !p.life.dead)) await this.#files.settle()
      for (const slot of this.#slots)
        if (slot.running === undefined && !this.#healed && this.time.now >= slot.startAt) this.#start(slot)
      for (const [id, pending] of this.#pending) {
        if (this.time.now < pending.deadline || !pending.process.life.running) continue
        this.#pending.delete(id)
        this.history.violation(`${pending.call.what} was not answered within ${answerMillisMax} ms`)
      }
      if (this.time.now >= this.#compareAt) await this.#compareReadings()
      each()
    }
  }

  async #compareReadings(): Promise<void> {
    this.#compareAt = this.time.now + compareMillis
    const wrong = await compareReadings(this.bucket)
    if (wrong !== undefined) this.#count("buckets read twice")
    if (wrong !== undefined && wrong !== "") this.history.violation(wrong)
  }

  async run(): Promise<WalkReport> {
    let disturbAt = 2_000
    await this.#go(this.#options.seconds * 1_000, () => {
      if (this.time.now >= disturbAt) {
        this.#disturb()
        disturbAt = this.time.now + this.below(this.#cluster ? 20_000 : 5_000)
      }
      for (let free = clients - this.#pending.size; free > 0; free--) {
        const up = this.#slots.flatMap((s) =>
          s.running?.kv !== undefined && s.running.life.running ? [s.running] : []
        )
        if (up.length === 0 || this.chance(0.9)) break
        this.#operate(this.pick(up))
      }
    })
    await this.#heal()
    if (!this.#mayHaveLost) for (const wrong of complaintsOf(this.recorder.history())) this.history.violation(wrong)
    const log = this.#processes.flatMap((p) =>
      p.lines
        .slice(-60)
        .map((l) => `${p.name} ${JSON.stringify(l, (_, v: unknown) => (typeof v === "bigint" ? `${v}` : v))}`)
    )
    for (const process of this.#processes) {
      for (const line of process.lines) if (told.has(line.event)) this.#count(line.event)
    }
    return {
      violations: this.history.violations,
      setting: this.setting,
      counts: { ...this.history.counts, ...this.#counts },
      log
    }
  }

  /** Somebody reigns and is followed by everybody who runs: each has answered a linearizable read. */
  async #untilReadable(): Promise<void> {
    const range = rangeRequest(all, all, 0, false)
    for (const { name, running } of this.#slots) {
      let answered = running?.kv === undefined
      let asked = false
      await this.#go(
        healClusterMillisMax,
        () => {
          if (asked) return
          asked = true
          const again = (): void => void (asked = false)
          running?.kv?.range(range, { succeed: () => void (answered = true), fail: again })
        },
        () => answered
      )
      if (!answered) this.history.violation(`${name} answers no read although nothing disturbs it`)
    }
  }

  /** Faults end; every call is answered; a new machine with nothing but the bucket shows the whole history. */
  async #heal(): Promise<void> {
    this.#healed = true
    this.#outage = undefined
    this.#cuts.clear()
    // What is committed and not in the bucket is on the disks of a majority, which have to come back.
    if (this.#cluster) for (const slot of this.#slots) if (slot.running === undefined) this.#start(slot)
    const isUp = (slot: Slot): boolean => slot.running?.kv !== undefined || !this.#cluster
    await this.#go(
      this.#cluster ? healClusterMillisMax : 30_000,
      () => {
        if (this.#cluster) for (const slot of this.#slots) if (slot.running === undefined) this.#start(slot)
      },
      () =>
        this.#pending.size === 0 &&
        this.#processes.every((p) => p.life.dead || (p.life.running && !p.stopping)) &&
        this.#slots.every(isUp)
    )
    for (const slot of this.#slots) {
      if (!isUp(slot)) this.history.violation(`${slot.name} was not up again within ${healClusterMillisMax} ms`)
    }
    const together = this.#cluster && this.chance(0.5)
    if (together) await this.#stopTogether()
    else if (this.#cluster) await this.#stopInTurn()
    for (const slot of this.#slots) this.#stopIfRunning(slot)
    await this.#go(
      30_000,
      () => {},
      () => this.#slots.every((s) => s.running === undefined)
    )
    for (const slot of this.#slots) slot.disk = new MemoryDisk()
    if (this.history.violations.length > 0) return
    if (!together) return this.#fromBucketAlone()
    const left = this.#arbiter()
    if (left?.allStored === true) this.#count("stopped together with everything stored")
    const complaints = complaintsOf(this.recorder.history())
    await this.#fromBucketAlone()
    const recovered = this.#arbiter()?.recovered?.term
    if (recovered === left?.recovered?.term) return
    this.#count("stopped together, recovered with possible loss")
    this.#mayHaveLost = true
    // What was seen since then does not fit to what was before; that it may come to this must have been so.
    this.history.violations.splice(0, Number.POSITIVE_INFINITY, ...complaints)
    if (left?.mode !== "quorum" || left.allStored)
      this.history.violation("a recovery although the bucket had everything")
  }

  /** One after the other, under a Primary: then whatever is acknowledged comes to the bucket. */
  async #stopInTurn(): Promise<void> {
    for (const slot of this.#slots.slice(1)) {
      await this.#untilReadable()
      this.#stopIfRunning(slot)
      await this.#go(
        30_000,
        () => {},
        () => slot.running === undefined
      )
    }
  }

  /**
   * All at about the same moment, in the midst of writes. Whoever reigns then may not get its last writes committed, so
   * that with all disks lost what only the buffer had may be lost, and then the arbiter says so (design 6.4).
   */
  async #stopTogether(): Promise<void> {
    await this.#untilReadable()
    // Mode quorum begins when the replicas were caught up for 10 s.
    await this.#go(this.pick([0, 15_000]), () => this.#operateNow(0.02))
    const withinMillis = this.pick([1, 20, 300, 2_000])
    for (const slot of this.#slots) this.time.after(this.below(withinMillis), () => this.#stopIfRunning(slot))
    const writes = this.pick([0, 0.02, 0.2])
    await this.#go(withinMillis, () => this.#operateNow(writes))
  }

  #operateNow(probability: number): void {
    const up = this.#slots.flatMap(({ running }) => (running?.kv === undefined ? [] : [running]))
    if (up.length > 0 && this.#pending.size < clients && this.chance(probability)) this.#operate(this.pick(up))
  }

  #stopIfRunning(slot: Slot): void {
    if (slot.running !== undefined && !slot.running.stopping) this.#stop(slot, slot.running)
  }

  #arbiter(): Arbiter | undefined {
    const body = this.bucket.get(arbiterKey)?.body
    const arbiter = body === undefined ? undefined : decodeArbiter(body)
    if (typeof arbiter === "string") throw new Error(arbiter)
    return arbiter
  }

  /** New machines, which have nothing but the bucket. */
  async #fromBucketAlone(): Promise<void> {
    const slot = this.#slots[0]!
    for (const started of this.#cluster ? this.#slots : [slot]) this.#start(started)
    let checked = false
    let asked = false
    await this.#go(
      this.#cluster ? healClusterMillisMax : healMillisMax,
      () => {
        const kv = slot.running?.kv
        if (kv === undefined || asked || this.history.knownUpTo < kv.revision()) return
        asked = true
        kv.range(rangeRequest(all, all, 0, false), {
          succeed: (answer) => {
            this.history.check(answer.header!.revision, shownOf(answer.kvs))
            checked = true
          },
          fail: (error) => this.history.violation(`the last read failed: ${error.message}`)
        })
      },
      () => checked
    )
    if (!checked) this.history.violation(`the node with an empty disk was not up in time`)
  }
}
