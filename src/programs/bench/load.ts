/**
 * The load generator: closed loops, each with one request in flight, and what they measured. Plain callbacks: an Effect
 * per request would cost as much as the request.
 */
// Measures wall-clock time: that is what a benchmark is for.
// @effect-diagnostics globalTimersInEffect:off
import { Effect } from "effect"
import { BenchFailure } from "./failure.ts"
import type { LeanConnection } from "./leanConnection.ts"

/** No answer for so long means that the server hangs. */
const stallMillis = 30_000
const stallTickMillis = 1_000

export interface LoopOptions {
  readonly clients: ReadonlyArray<LeanConnection>
  readonly inFlight: number
  readonly method: string
  /** The next request; undefined: that was all. */
  readonly next: () => Buffer | undefined
  /** Judges an answer: what is wrong with it, if anything. */
  readonly answered: (response: Buffer, startedMillis: number, endedMillis: number) => string | undefined
}

/** Sends until `next` has no more, waits for the last answer; how many were answered. The first error ends it. */
export const closedLoops = (options: LoopOptions): Effect.Effect<number, BenchFailure> =>
  Effect.callback<number, BenchFailure>((resume) => {
    const { clients, inFlight, method, next, answered } = options
    let flying = 0
    let done = 0
    let over = false
    let lastAnswerMillis = performance.now()
    const finish = (result: Effect.Effect<number, BenchFailure>): void => {
      over = true
      clearInterval(stall)
      resume(result)
    }
    const fail = (message: string): void => finish(Effect.fail(new BenchFailure({ message: `${method}: ${message}` })))
    const issue = (client: LeanConnection): void => {
      const request = next()
      if (request === undefined) {
        if (flying === 0 && !over) finish(Effect.succeed(done))
        return
      }
      flying++
      const startedMillis = performance.now()
      client.send(method, request, (response, problem) => {
        flying--
        if (over) return
        if (response === undefined) return fail(problem)
        done++
        lastAnswerMillis = performance.now()
        const wrong = answered(response, startedMillis, lastAnswerMillis)
        if (wrong !== undefined) return fail(wrong)
        issue(client)
      })
    }
    const stall = setInterval(() => {
      if (performance.now() - lastAnswerMillis > stallMillis) {
        fail(`no answer for ${stallMillis / 1000} s with ${flying} requests in flight`)
      }
    }, stallTickMillis)
    for (let i = 0; i < inFlight && !over; i++) issue(clients[i % clients.length]!)
    return Effect.sync(() => {
      over = true
      clearInterval(stall)
    })
  })

export interface Measured {
  /** Every answered request, warm-up and last answers included: what a revision must have grown by. */
  readonly answered: number
  readonly opsPerSecond: number
  readonly p50Millis: number
  readonly p99Millis: number
  /** Share of one core that this process used while it measured. */
  readonly generatorCpu: number
}

export interface MeasureOptions {
  readonly clients: ReadonlyArray<LeanConnection>
  readonly inFlight: number
  readonly method: string
  readonly request: () => Buffer
  readonly judge: (response: Buffer) => string | undefined
  readonly warmupMillis: number
  readonly measureMillis: number
  /** Called when the measured time begins and ends. */
  readonly onWindow?: (edge: "begin" | "end") => void
}

/** The value below which the share `q` of the sorted values lies. */
export const percentile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * q) - 1))] ?? Number.NaN

/** Loops for the given time; counts the answers that arrived in the measured part of it. */
export const measure = (options: MeasureOptions): Effect.Effect<Measured, BenchFailure> =>
  Effect.suspend(() => {
    const beginMillis = performance.now() + options.warmupMillis
    const endMillis = beginMillis + options.measureMillis
    const latencies: Array<number> = []
    let cpuBefore: NodeJS.CpuUsage | undefined
    let generatorCpu = 0
    let closed = false
    const edges = (now: number): void => {
      if (cpuBefore === undefined && now >= beginMillis) {
        cpuBefore = process.cpuUsage()
        options.onWindow?.("begin")
      }
      if (!closed && now >= endMillis) {
        closed = true
        const used = process.cpuUsage(cpuBefore)
        generatorCpu = (used.user + used.system) / 1000 / options.measureMillis
        options.onWindow?.("end")
      }
    }
    return closedLoops({
      clients: options.clients,
      inFlight: options.inFlight,
      method: options.method,
      next: () => {
        const now = performance.now()
        edges(now)
        return now < endMillis ? options.request() : undefined
      },
      answered: (response, startedMillis, endedMillis) => {
        if (endedMillis >= beginMillis && endedMillis < endMillis) latencies.push(endedMillis - startedMillis)
        return options.judge(response)
      }
    }).pipe(
      Effect.map((answered) => {
        latencies.sort((a, b) => a - b)
        return {
          answered,
          opsPerSecond: (latencies.length * 1000) / options.measureMillis,
          p50Millis: percentile(latencies, 0.5),
          p99Millis: percentile(latencies, 0.99),
          generatorCpu
        }
      })
    )
  })
