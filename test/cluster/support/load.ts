/** Clients and watchers over all nodes of a cluster, what they measured, and what the checkers say to what they saw. */
import { setTimeout as sleep } from "node:timers/promises"
import { seededRandom } from "../../../src/programs/dev-s3/faults.ts"
import { complaintsOf } from "../../linear/check.ts"
import { Recorder } from "../../linear/Recorder.ts"
import { LoadClient, ownKey, ownKeys, type WriteOutcome } from "./client.ts"
import type { Cluster } from "./cluster.ts"
import type { ClusterNode } from "./node.ts"
import { until } from "./process.ts"
import { type Seen, Watcher } from "./watcher.ts"

export interface LoadOptions {
  readonly clients?: number
  readonly pauseMillis?: number
  readonly valueBytes?: number
  readonly seed?: number
  /** Where the watches begin; everything before it is not these clients' affair, and not in their keys. Default: 2. */
  readonly from?: number
  /** Where new operations may go; default: every node of the cluster, dead ones too. */
  readonly endpoints?: () => ReadonlyArray<string>
}

const settleLimitMillis = 60_000
const violationsMax = 20
const ofAKindMax = 4

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted.length === 0 ? Number.NaN : sorted[Math.floor(sorted.length / 2)]!
}

export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted.length === 0 ? Number.NaN : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
}

export interface Gaps {
  /** Milliseconds, by client. */
  readonly all: ReadonlyArray<number>
  readonly first: number
  readonly median: number
  readonly max: number
}

/** For a report. */
export const brief = ({ first, max, median }: Gaps): object => ({ first, median, max })

const gapsOf = (all: ReadonlyArray<number>): Gaps => ({
  all,
  first: Math.round(Math.min(...all)),
  median: Math.round(median(all)),
  max: Math.round(Math.max(...all))
})

export class Load {
  readonly recorder = new Recorder()
  readonly clients: ReadonlyArray<LoadClient>
  /** Asked before each operation: where it may go. */
  endpoints: () => ReadonlyArray<string>
  readonly #cluster: Cluster
  readonly #watchers = new Map<string, Watcher>()
  readonly #others: Array<Watcher> = []
  readonly #from: number
  #running = false
  #ended: Promise<unknown> = Promise.resolve()

  constructor(cluster: Cluster, options: LoadOptions = {}) {
    const { clients = 20, from = 2, pauseMillis = 40, seed = 1, valueBytes = 0 } = options
    this.#cluster = cluster
    this.#from = from
    this.endpoints = options.endpoints ?? (() => cluster.nodes.map((node) => node.endpoint))
    this.clients = Array.from(
      { length: clients },
      (_, id) =>
        new LoadClient({
          id,
          recorder: this.recorder,
          certificates: cluster.certificates,
          endpoints: () => this.endpoints(),
          random: seededRandom(seed * 1_000 + id),
          running: () => this.#running,
          pauseMillis,
          valueBytes
        })
    )
  }

  /** Clients, and a watcher on every node. */
  start(): void {
    this.#running = true
    for (const node of this.#cluster.nodes) this.watch(node)
    this.#ended = Promise.all(this.clients.map((client) => client.run()))
    // `stop` tells.
    this.#ended.catch(() => undefined)
  }

  /** A watcher of everything on this node, also on one that joins later. */
  watch(node: ClusterNode): void {
    if (this.#watchers.has(node.id)) return
    const watcher = new Watcher(node.id, node.endpoint, this.#from, this.#cluster.certificates, this.recorder)
    this.#watchers.set(node.id, watcher)
    watcher.start()
  }

  /** The node leaves: what its watcher saw still counts, but it is not waited for. */
  async unwatch(node: ClusterNode): Promise<void> {
    const watcher = this.#watchers.get(node.id)
    if (watcher === undefined) return
    this.#watchers.delete(node.id)
    this.#others.push(watcher)
    await watcher.stop()
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#ended
  }

  get acknowledged(): number {
    return this.clients.reduce((sum, client) => sum + client.acknowledged.size, 0)
  }

  /** Values that the history does not have although they were acknowledged before the moment. */
  lostBefore(moment: number, history: ReadonlyArray<Seen>): ReadonlyArray<string> {
    const there = new Set(history.map(({ value }) => value))
    return this.clients.flatMap((client) =>
      [...client.acknowledged].flatMap(([value, { at }]) => (at < moment && !there.has(value) ? [value] : []))
    )
  }

  /** Everything that a watch from the beginning tells on this node, once nothing more comes for a second. */
  async historyOf(node: ClusterNode): Promise<ReadonlyArray<Seen>> {
    const watcher = new Watcher("history", node.endpoint, 2, this.#cluster.certificates, new Recorder())
    watcher.start()
    let before = -1
    while (watcher.seen.length === 0 || watcher.seen.length !== before) {
      before = watcher.seen.length
      await sleep(1_000)
    }
    await watcher.stop()
    return watcher.seen
  }

  /** Writes of everybody that began in that time. */
  writes(from = 0, to = Infinity): ReadonlyArray<WriteOutcome> {
    return this.clients.flatMap((client) => client.writes.filter(({ began }) => began >= from && began < to))
  }

  /** For each client the time from `moment` to its first acknowledgement of a write that it began after it. */
  gapsAfter(moment: number): Gaps {
    return gapsOf(
      this.clients.map(({ writes }) => {
        const first = writes.find(({ began, outcome }) => outcome === "ok" && began >= moment)
        return first === undefined ? Infinity : first.ended - moment
      })
    )
  }

  /** For each client the longest time without an acknowledged write between the two moments. */
  stalls(from: number, to: number): Gaps {
    return gapsOf(
      this.clients.map(({ writes }) => {
        let last = from
        let longest = 0
        for (const { ended, outcome } of writes) {
          if (outcome !== "ok" || ended < from || ended > to) continue
          longest = Math.max(longest, ended - last)
          last = ended
        }
        return Math.max(longest, to - last)
      })
    )
  }

  /** Until every client has had a write acknowledged that it began after `moment`. */
  async untilFlowing(moment: number, limitMillis = 60_000): Promise<void> {
    await until(
      "every client writes again",
      limitMillis,
      () => this.clients.every(({ writes }) => writes.some((w) => w.outcome === "ok" && w.began >= moment)),
      () => JSON.stringify(this.writes(moment).slice(-3))
    )
  }

  /**
   * To be called when the clients have stopped and the nodes are healthy: waits until every watcher has seen everything,
   * reads it all once more, and lists what must not be. Empty when all is well.
   */
  async complaints(limitMillis = settleLimitMillis): Promise<ReadonlyArray<string>> {
    const violations: Array<string> = []
    const { recorder } = this
    const last = Math.max(
      1,
      ...this.clients.flatMap((client) => [...client.acknowledged.values()].map((one) => one.revision))
    )
    const somewhere = this.#cluster.running[0]!
    const reader = new Watcher("reader", somewhere.endpoint, this.#from, this.#cluster.certificates, recorder)
    reader.start()
    const live = [...this.#watchers.values(), reader]
    const behind = (): ReadonlyArray<Watcher> => {
      const most = Math.max(last, ...live.map((watcher) => watcher.upTo))
      return live.filter((watcher) => watcher.upTo < most)
    }
    await until("all watchers are there", limitMillis, () => behind().length === 0).catch(() => {
      for (const watcher of behind())
        violations.push(`the watch of ${watcher.name} got no further than ${watcher.upTo}, ${last} was acknowledged`)
    })
    await Promise.all(live.map((watcher) => watcher.stop()))
    this.#watchers.clear()
    this.#others.push(...live)
    for (const watcher of this.#others) violations.push(...watcher.problems)
    violations.push(...this.#againstHistory(reader))
    violations.push(...complaintsOf(recorder.history({ revision: this.#from - 1, kvs: [] })))
    return violations.slice(0, violationsMax)
  }

  #againstHistory(reader: Watcher): ReadonlyArray<string> {
    const violations: Array<string> = []
    const history = reader.seen
    const floor = history[0]?.revision ?? 2
    let expected = floor - 1
    for (const { revision } of history) {
      if (revision > expected + 1)
        violations.push(`revision ${expected + 1} is missing, the history goes on with ${revision}`)
      expected = revision
    }
    const text = ({ key, revision, value }: { key: string; revision: number; value: string }): string =>
      `${revision} ${key} ${value}`
    const all = new Set(history.map(text))
    if (all.size !== history.length) violations.push("the history tells an event twice")
    const foreign: Array<string> = []
    for (const { name, seen } of this.#others)
      for (const event of seen)
        if (event.revision >= floor && !all.has(text(event)))
          foreign.push(`the watch of ${name} saw ${text(event)}, which the history does not have`)
    const written = new Map(history.filter(({ value }) => value !== "").map((event) => [event.value, event]))
    const lost: Array<string> = []
    for (const client of this.clients)
      for (const [value, { revision }] of client.acknowledged) {
        const found = written.get(value)
        if (revision < floor) continue
        if (found === undefined) lost.push(`${value} was acknowledged at ${revision} and is lost`)
        else if (found.revision !== revision || found.key !== ownKey(client.id))
          lost.push(`${value} was acknowledged at ${revision} and is at ${found.revision}`)
      }
    const order = new Map<string, number>()
    const backwards: Array<string> = []
    for (const { key, revision, value } of history.filter((event) => event.key.startsWith(ownKeys))) {
      const n = Number(value.split(":")[1])
      if (n <= (order.get(key) ?? -1)) backwards.push(`${key} went back to ${value} at revision ${revision}`)
      order.set(key, n)
    }
    return [violations, foreign, lost, backwards].flatMap((of) => of.slice(0, ofAKindMax))
  }

  /** Figures of the whole run. */
  report(): Record<string, unknown> {
    const writes = this.writes()
    const ok = writes.filter(({ outcome }) => outcome === "ok")
    const reasons: Record<string, number> = {}
    for (const { outcome, reason } of writes) {
      if (outcome === "ok") continue
      const name = `${outcome}: ${reason.replaceAll(/[0-9.]{3,}/g, "…").slice(0, 80)}`
      reasons[name] = (reasons[name] ?? 0) + 1
    }
    return {
      operations: this.recorder.size,
      writes: ok.length,
      failed: writes.filter(({ outcome }) => outcome === "failed").length,
      unknown: writes.filter(({ outcome }) => outcome === "unknown").length,
      reads: this.clients.reduce((sum, client) => sum + client.reads, 0),
      readsFailed: this.clients.reduce((sum, client) => sum + client.readsFailed, 0),
      medianMillis: Math.round(median(ok.map(({ began, ended }) => ended - began)) * 10) / 10,
      p99Millis: Math.round(
        quantile(
          ok.map(({ began, ended }) => ended - began),
          0.99
        )
      ),
      reasons
    }
  }
}
