/** One kube-apiserver as etcd sees it: connections, watch caches, and what it does now and then by itself. */
import { setTimeout as sleep } from "node:timers/promises"
import { CallFailed, compactedText, Connection, rangeOf } from "./connection.ts"
import { compactRevKey, compactRound, type Round } from "./compactor.ts"
import { EventLeases, type EventTtl } from "./eventLeases.ts"
import type { Figures } from "./figures.ts"
import { type History, listDifference } from "./history.ts"
import { type Kind, kinds } from "./objects.ts"
import { Storage, type Style } from "./storage.ts"
import { WatchCache } from "./watchCache.ts"

const healthKey = Buffer.from("/registry/health")
/** Waits longer than the apiserver's own limit fail the run: nothing came at all. */
const neverMillis = 60_000

export interface ApiServerOptions {
  readonly name: string
  readonly endpoint: string
  readonly style: Style
  readonly eventTtl: EventTtl
  readonly compactionMillis: number
  /** Before everything older than this revision is compacted. */
  readonly beforeCompaction: (revision: number) => Promise<unknown>
  readonly figures: Figures
  readonly history: History
}

/** Whether progress can be asked for: not in versions whose answers may come before the events. */
const progressIsSafe = (version: string): boolean => {
  const parts = /^(\d+)\.(\d+)\.(\d+)$/.exec(version)?.slice(1).map(Number)
  if (parts === undefined) throw new Error(`the version ${JSON.stringify(version)} is not three numbers`)
  const [major, minor, patch] = parts as [number, number, number]
  const number = (major * 1000 + minor) * 1000 + patch
  return number >= 3_004_031 && !(number >= 3_005_000 && number < 3_005_013)
}

export class ApiServer {
  readonly caches: Readonly<Record<Kind, WatchCache>>
  readonly leases: EventLeases
  readonly options: ApiServerOptions
  readonly #own: Connection
  readonly #connections: ReadonlyArray<Connection>
  #progressIsSafe = false
  #running = true
  #loops: ReadonlyArray<Promise<void>> = []
  readonly #endings: Array<() => void> = []

  constructor(options: ApiServerOptions) {
    const { name, endpoint, style, figures, history, eventTtl } = options
    this.options = options
    const connections: Array<Connection> = []
    const connect = (): Connection => {
      const connection = new Connection(endpoint)
      connections.push(connection)
      return connection
    }
    this.#own = connect()
    // One connection a kind, as the apiserver has them.
    const cache = (kind: Kind): WatchCache => {
      const connection = connect()
      const storage = new Storage(kind, style, connection, figures, history)
      return new WatchCache(name, storage, connection, figures, history)
    }
    this.caches = { pods: cache("pods"), leases: cache("leases"), events: cache("events") }
    this.leases = new EventLeases(connect(), figures, history, eventTtl)
    this.#connections = connections
  }

  async begin(): Promise<void> {
    const { version } = await this.#own.status()
    this.#progressIsSafe = progressIsSafe(version)
    if (!this.#progressIsSafe) this.options.figures.count(`progress is not asked for in version ${version}`)
    for (const kind of kinds) await this.caches[kind].begin()
    this.#watchCompactions()
    this.#loops = [
      this.#loop("compactor", this.options.compactionMillis, this.#compactor()),
      this.#loop("health", 500, () => this.#health()),
      this.#loop("size", 1000, () => this.#size()),
      ...kinds.flatMap((kind) => [
        this.#loop(`consistent read of ${kind}`, 300, () => this.#consistentRead(kind)),
        this.#loop(`comparison of ${kind}`, 1500, () => this.#comparison(kind)),
        this.#loop(`reads of ${kind}`, 900, () => this.#reads(kind))
      ])
    ]
  }

  async #loop(name: string, periodMillis: number, body: () => Promise<void>): Promise<void> {
    while (this.#running) {
      const start = performance.now()
      try {
        await body()
      } catch (error) {
        // On a machine that is slow for its compactions; the apiserver says 410 Gone and its client lists anew.
        if (error instanceof CallFailed && error.text === compactedText) this.options.figures.count("410 Gone")
        else this.options.history.violation(`${this.options.name}, ${name}: ${(error as Error).message}`)
      }
      for (; this.#running && performance.now() - start < periodMillis;) await sleep(20)
    }
  }

  #compactor(): () => Promise<void> {
    let round: Round = { turn: 0, revision: 0 }
    return async () => {
      await this.options.beforeCompaction(round.revision)
      round = await compactRound(this.#own, this.options.figures, round)
    }
  }

  /** From 1.34 on the caches follow the compactor's key. */
  #watchCompactions(): void {
    const { figures, history } = this.options
    const broken = (error: Error): void => history.violation(`the watch of the compactor's key broke: ${error.message}`)
    const stream = this.#own.watch(({ events }) => {
      for (const _ of events) figures.count("compactor's key seen")
    }, broken)
    stream.create({ key: compactRevKey })
    this.#endings.push(() => stream.cancel())
  }

  async #health(): Promise<void> {
    const answer = await this.options.figures.time("health", () => this.#own.range(rangeOf(healthKey)))
    if (answer.kvs.length > 0) throw new Error("the health key exists")
  }

  async #size(): Promise<void> {
    const status = await this.options.figures.time("status", () => this.#own.status())
    if (status.dbSize <= 0) throw new Error(`the size of the database is ${status.dbSize}`)
    if (status.errors.length > 0) throw new Error(`status says ${status.errors.join(", ")}`)
  }

  /** A list with the default consistency: ask for the revision, wait until the cache has it, answer from the cache. */
  async #consistentRead(kind: Kind): Promise<void> {
    const cache = this.caches[kind]
    const { figures } = this.options
    if (!this.#progressIsSafe) return void (await cache.storage.list(500))
    const revision = await cache.storage.currentRevision()
    const start = performance.now()
    if (await cache.reach(revision, true)) figures.add("wait for the watch cache", performance.now() - start)
    else {
      figures.count("consistent read past the cache")
      await cache.storage.list(500)
    }
  }

  /** What the cache holds is what the store says of the same revision (1.34: DetectCacheInconsistency). */
  async #comparison(kind: Kind): Promise<void> {
    const cache = this.caches[kind]
    const revision = cache.revision
    const held = new Map(cache.held)
    const list = await cache.storage.list(50, revision)
    const difference = listDifference(list.items, held)
    if (difference !== undefined) throw new Error(`the list at revision ${revision} is not the cache's: ${difference}`)
    this.options.figures.count("cache compared with a list")
  }

  async #reads(kind: Kind): Promise<void> {
    const { storage } = this.caches[kind]
    const count = await storage.count()
    const keys = await storage.keys()
    const { items } = await storage.listWhole()
    const some = keys[0]
    if (some !== undefined) await storage.get(Buffer.from(some))
    // Others write meanwhile: only what cannot be.
    if (keys.some((key, i) => i > 0 && key <= keys[i - 1]!)) throw new Error("keys are not in their order")
    if (count > 1000 && items.size === 0) throw new Error(`${count} keys are counted and none is listed`)
  }

  /** Waits until every cache has seen all that was written up to here. */
  async settle(): Promise<void> {
    for (const kind of kinds) {
      const cache = this.caches[kind]
      const wanted = this.#progressIsSafe ? await cache.storage.currentRevision() : this.#lastWritten(kind)
      if (!(await cache.reach(wanted, this.#progressIsSafe, neverMillis))) {
        this.options.history.violation(`${this.options.name}: the cache of ${kind} never came to revision ${wanted}`)
      }
    }
  }

  /** Waits until every cache has come so far, where progress can be asked for. */
  async hasSeen(revision: number): Promise<void> {
    if (!this.#progressIsSafe) return
    await Promise.all(kinds.map((kind) => this.caches[kind].reach(revision, true, neverMillis)))
  }

  #lastWritten(kind: Kind): number {
    let last = 0
    for (const [revision, { key }] of this.options.history.writes) {
      if (key.startsWith(`/registry/${kind}/`) && revision > last) last = revision
    }
    return last
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#loops)
  }

  close(): void {
    for (const end of this.#endings) end()
    for (const kind of kinds) this.caches[kind].end()
    for (const connection of this.#connections) connection.close()
  }
}
