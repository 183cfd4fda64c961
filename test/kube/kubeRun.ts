/** Two apiservers of both generations write at a steady rate; afterwards watches, lists and leases are judged. */
import { setTimeout as sleep } from "node:timers/promises"
import { ApiServer } from "./apiserver.ts"
import { CallFailed, compactedText, Connection, rangeOf } from "./connection.ts"
import { compactedRevision } from "./compactor.ts"
import type { EventTtl } from "./eventLeases.ts"
import { Figures } from "./figures.ts"
import { History, listDifference } from "./history.ts"
import { kinds, Objects, prefixEnd, prefixOf } from "./objects.ts"
import { Code } from "../../src/core/wire/errors.ts"

export interface KubeOptions {
  readonly endpoint: string
  readonly seconds: number
  readonly writesPerSecond: number
  readonly seed: number
  readonly eventTtl: EventTtl
  readonly compactionMillis: number
  /** Only what every watch has brought is compacted: on a machine that is slow for so frequent compactions. */
  readonly compactsSeenOnly: boolean
}

export interface KubeReport {
  readonly table: string
  readonly figures: Figures
  readonly writes: number
  readonly writesPerSecond: number
  readonly expiredLeases: number
  readonly violations: ReadonlyArray<string>
}

const podsAtFirst = 100
const nodes = 200
const inFlightMax = 1000
/** Of the updates and deletes: they begin with a lost compare. */
const staleShare = 0.02
/** After the end of the last lease, for the server's check every 500 ms and a slow machine. */
const expiryGraceMillis = 15_000

export const kubeRun = async (options: KubeOptions): Promise<KubeReport> => {
  const { endpoint, seconds, writesPerSecond, eventTtl, compactionMillis } = options
  const figures = new Figures()
  const history = new History()
  const objects = new Objects(options.seed)
  const beforeCompaction = async (revision: number): Promise<void> => {
    if (options.compactsSeenOnly) await Promise.all(both.map((server) => server.hasSeen(revision)))
  }
  const common = { endpoint, eventTtl, compactionMillis, beforeCompaction, figures, history }
  const older = new ApiServer({ ...common, name: "apiserver 1.31", style: "more" })
  const newer = new ApiServer({ ...common, name: "apiserver 1.37", style: "count" })
  const both: ReadonlyArray<ApiServer> = [older, newer]
  let writes = 0
  let created = 0
  const pods: Array<number> = []

  /** The revision that an apiserver believes an object has: its cache may be behind, and sometimes is far behind. */
  const believed = (server: ApiServer, kind: "pods" | "leases", key: Buffer): number => {
    const revision = server.caches[kind].held.get(key.toString("latin1"))?.revision ?? 0
    return revision > 0 && objects.random() < staleShare ? 1 : revision
  }

  const createPod = async (server: ApiServer): Promise<void> => {
    const n = created++
    if (!(await server.caches.pods.storage.create(objects.key("pods", n), objects.value("pods")))) {
      history.violation(`pod ${n} existed before it was created`)
    }
    pods.push(n)
  }
  const event = async (server: ApiServer): Promise<void> => {
    const key = objects.key("events", created++)
    const value = objects.value("events")
    await server.caches.events.storage.create(key, value, await server.leases.lease())
  }
  const heartbeat = async (server: ApiServer, n: number): Promise<void> => {
    const key = objects.key("leases", n)
    const { storage } = server.caches.leases
    if (!(await storage.update(key, objects.value("leases"), believed(server, "leases", key)))) {
      await storage.create(key, objects.value("leases"))
    }
  }
  const podStatus = async (server: ApiServer): Promise<void> => {
    const key = objects.key("pods", pods[objects.below(pods.length)]!)
    await server.caches.pods.storage.update(key, objects.value("pods"), believed(server, "pods", key))
  }
  const deletePod = async (server: ApiServer): Promise<void> => {
    const [n] = pods.splice(objects.below(pods.length), 1)
    const key = objects.key("pods", n!)
    await server.caches.pods.storage.delete(key, believed(server, "pods", key))
  }
  const createTwice = async (server: ApiServer): Promise<void> => {
    const key = objects.key("leases", objects.below(nodes))
    if (await server.caches.leases.storage.create(key, objects.value("leases"))) {
      history.violation(`${key.toString()} was created a second time`)
    }
  }

  /** What a quiet cluster of some size writes: heartbeats most, then pod status, then events. */
  const next = (): Promise<void> => {
    const server = both[objects.below(2)]!
    const dice = objects.random()
    if (dice < 0.45) return heartbeat(server, objects.below(nodes))
    if (dice < 0.69) return podStatus(server)
    if (dice < 0.73) return createPod(server)
    if (dice < 0.77) return pods.length > podsAtFirst / 2 ? deletePod(server) : createPod(server)
    if (dice < 0.78) return createTwice(server)
    return event(server)
  }

  const inFlight = new Set<Promise<void>>()
  const launch = (work: () => Promise<void>): void => {
    writes++
    const running = work()
      .catch((error: unknown) => history.violation(`a write failed: ${(error as Error).message}`))
      .finally(() => inFlight.delete(running))
    inFlight.add(running)
  }

  try {
    for (const server of both) await server.begin()
    await together(podsAtFirst, (n) => createPod(both[n % 2]!))
    await together(nodes, (n) => heartbeat(both[n % 2]!, n))

    const begun = performance.now()
    for (const total = seconds * writesPerSecond; writes < total;) {
      const due = Math.min(total, ((performance.now() - begun) / 1000) * writesPerSecond)
      while (writes < due && inFlight.size < inFlightMax) launch(next)
      await sleep(2)
    }
    await Promise.all(inFlight)
    const took = (performance.now() - begun) / 1000
    for (const server of both) await server.stop()

    const leasesEnd = Math.max(0, ...[...history.leases.values()].map((l) => l.answeredMillis + l.ttlSeconds * 1000))
    for (const until = leasesEnd + expiryGraceMillis; performance.now() < until; await sleep(100)) {
      if (both.every((server) => server.caches.events.held.size === 0)) break
    }
    for (const server of both) await server.settle()
    await judge(both, history)
    await judgeCompaction(endpoint, history)
    return {
      table: figures.table(took),
      figures,
      writes,
      writesPerSecond: writes / took,
      expiredLeases: history.leases.size,
      violations: history.violations
    }
  } finally {
    for (const server of both) server.close()
  }
}

/** What the cluster begins with, some at a time: one by one a slow bucket would take as long as the run itself. */
const together = async (count: number, work: (n: number) => Promise<void>): Promise<void> => {
  const some = 20
  for (let from = 0; from < count; from += some) {
    const ns = Array.from({ length: Math.min(some, count - from) }, (_, i) => from + i)
    await Promise.all(ns.map(work))
  }
}

const judge = async (servers: ReadonlyArray<ApiServer>, history: History): Promise<void> => {
  for (const { caches, options } of servers) {
    for (const kind of kinds) {
      const cache = caches[kind]
      const held = history.judge(`${options.name}, ${kind}`, prefixOf(kind), cache.start, cache.seen)
      for (const list of [await cache.storage.listWhole(), await cache.storage.list(7)]) {
        const difference = listDifference(list.items, held)
        if (difference !== undefined) history.violation(`${options.name}: the last list of ${kind}: ${difference}`)
      }
      const count = await cache.storage.count()
      if (count !== held.size)
        history.violation(`${options.name}: ${count} ${kind} are counted, ${held.size} are there`)
      if (kind === "events" && held.size > 0) history.violation(`${held.size} events outlived their leases`)
    }
  }
}

/** The past is gone with the error that the apiserver knows, for lists and for watches. */
const judgeCompaction = async (endpoint: string, history: History): Promise<void> => {
  const connection = new Connection(endpoint)
  try {
    const compacted = await compactedRevision(connection)
    if (compacted === 0) return history.violation("nothing was compacted")
    const prefix = prefixOf("pods")
    const request = { rangeEnd: prefixEnd(prefix), limit: 1 }
    await connection.range(rangeOf(Buffer.from(prefix), { ...request, revision: compacted }))
    const refused = await connection.range(rangeOf(Buffer.from(prefix), { ...request, revision: compacted - 1 })).then(
      () => undefined,
      (error: unknown) => error
    )
    if (!(refused instanceof CallFailed) || refused.code !== Code.OutOfRange || refused.text !== compactedText) {
      history.violation(`a list below revision ${compacted}, which is compacted, is answered with ${String(refused)}`)
    }
    const told = await new Promise<number | string>((resolve) => {
      const stream = connection.watch(
        ({ canceled, compactRevision }) => canceled && resolve(compactRevision),
        (error) => resolve(error.message)
      )
      stream.create({ key: Buffer.from(prefix), rangeEnd: prefixEnd(prefix), startRevision: compacted - 1 })
      setTimeout(() => resolve("nothing"), 10_000).unref()
    })
    if (told !== compacted) history.violation(`a watch below revision ${compacted} is told ${told}`)
  } finally {
    connection.close()
  }
}
