/** `process_*` and `nodejs_*` under the names that Prometheus users know, read when somebody scrapes. */
import { readdirSync, readFileSync } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"
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
  const gauge = (name: string, help: string) => metrics.gauge({ name, help })
  const start = gauge("process_start_time_seconds", "Start of the process, seconds since 1970.")
  const resident = gauge("process_resident_memory_bytes", "Resident memory.")
  const openFds = gauge("process_open_fds", "Open file descriptors.")
  const maxFds = gauge("process_max_fds", "Most file descriptors that may be open.")
  const heapUsed = gauge("nodejs_heap_size_used_bytes", "Heap in use.")
  const heapTotal = gauge("nodejs_heap_size_total_bytes", "Heap taken from the system.")
  const external = gauge("nodejs_external_memory_bytes", "Memory of buffers outside of the heap.")
  const lag99 = gauge(
    "nodejs_eventloop_lag_p99_seconds",
    "99th percentile of the main loop's delay since the last scrape."
  )
  const lagMax = gauge("nodejs_eventloop_lag_max_seconds", "Longest delay of the main loop since the last scrape.")
  const cpu = metrics.counter({ name: "process_cpu_seconds_total", help: "User and system CPU time." })
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
