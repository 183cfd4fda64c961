/** `process_*` and `nodejs_*` under the names that Prometheus users know, read when somebody scrapes. */
import { readdirSync, readFileSync } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { processCatalog } from "../../core/metrics/serverCatalog.ts"
import type { Metrics } from "../../services/Metrics.ts"

/** Absent where the system has no /proc. */
const orAbsent = (read: () => number): number | undefined => {
  try {
    const value = read()
    return Number.isFinite(value) ? value : undefined
  } catch {
    return undefined
  }
}

const maxFileDescriptors = (): number => {
  const match = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))
  return match === null ? Number.NaN : Number(match[1])
}

export type EventLoopMonitor = ReturnType<typeof monitorEventLoopDelay>

export const eventLoopMonitor = (): EventLoopMonitor => monitorEventLoopDelay({ resolution: 20 })

export const register = (metrics: Metrics["Service"], startSeconds: number, delays: EventLoopMonitor): void => {
  const start = metrics.gauge(processCatalog.start)
  const resident = metrics.gauge(processCatalog.resident)
  const openFds = metrics.gauge(processCatalog.openFds)
  const maxFds = metrics.gauge(processCatalog.maxFds)
  const heapUsed = metrics.gauge(processCatalog.heapUsed)
  const heapTotal = metrics.gauge(processCatalog.heapTotal)
  const external = metrics.gauge(processCatalog.external)
  const lag99 = metrics.gauge(processCatalog.lag99)
  const lagMax = metrics.gauge(processCatalog.lagMax)
  const cpu = metrics.counter(processCatalog.cpu)
  let cpuSeen = 0

  metrics.onScrape(() => {
    start.set(startSeconds)
    const memory = process.memoryUsage()
    resident.set(memory.rss)
    heapUsed.set(memory.heapUsed)
    heapTotal.set(memory.heapTotal)
    external.set(memory.external)
    const { user, system } = process.cpuUsage()
    const seconds = (user + system) / 1e6
    cpu.inc(undefined, seconds - cpuSeen)
    cpuSeen = seconds
    // Listing the directory holds one descriptor itself.
    const open = orAbsent(() => readdirSync("/proc/self/fd").length - 1)
    if (open !== undefined) openFds.set(open)
    const most = orAbsent(maxFileDescriptors)
    if (most !== undefined) maxFds.set(most)
    if (delays.count > 0) {
      lag99.set(delays.percentile(99) / 1e9)
      lagMax.set(delays.max / 1e9)
      delays.reset()
    }
  })
}
