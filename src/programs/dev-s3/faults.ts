/**
 * Faults that dev-s3 plays on request, for benchmarks and fault tests. The object is mutable: a test changes it while
 * the server runs. All chances come from one seeded generator, so a run can be repeated.
 */

import type { Policy } from "./policy.ts"

/** What `--fail` and `--lose-answer` name. Multipart uploads count as `put`. */
const operationGroups = ["get", "head", "put", "copy", "delete", "list", "bucket", "sts"] as const
export type OperationGroup = (typeof operationGroups)[number]

/** `fail`: an error and no effect. `lose`: the effect, then a cut connection. `hang`: neither effect nor answer. */
export type Fault = "fail" | "lose" | "hang"

export interface Call {
  readonly group: OperationGroup
  /** IAM's name, e.g. `s3:PutObject`. */
  readonly action: string
  readonly bucket: string
  readonly key: string
}

export interface Latency {
  readonly medianMillis: number
  readonly p99Millis: number
}

export interface Faults {
  /** Log-normal; undefined: none. */
  latency: Latency | undefined
  /** Chance by group, 0 … 1: a 500 or 503 without effect. */
  fail: Partial<Record<OperationGroup, number>>
  /** Chance by group, 0 … 1: the effect happens, the connection is cut before the answer. */
  loseAnswer: Partial<Record<OperationGroup, number>>
  /** Every request gets a 503. */
  down: boolean
  /** IAM actions (`s3:PutObject`) or operations (`s3:ListObjectsV2`) that get a 403; `*` at the end matches the rest. */
  deny: ReadonlyArray<string>
  /** What it does not allow gets a 403; undefined: everything is allowed. */
  policy: Policy | undefined
  /** Decides for single calls, before everything else. */
  intercept: ((call: Call) => Fault | undefined) | undefined
}

export const noFaults = (): Faults => ({
  latency: undefined,
  fail: {},
  loseAnswer: {},
  down: false,
  deny: [],
  policy: undefined,
  intercept: undefined
})

/** Mulberry32: small, seeded, good enough for chances. */
export const seededRandom = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

// The 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408
const latencyMillisMax = 60_000

export const sampleLatencyMillis = (latency: Latency, random: () => number): number => {
  const sigma = Math.log(Math.max(1, latency.p99Millis / latency.medianMillis)) / z99
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Math.min(latencyMillisMax, latency.medianMillis * Math.exp(sigma * normal))
}

export const denies = (deny: ReadonlyArray<string>, action: string): boolean =>
  deny.some((pattern) => (pattern.endsWith("*") ? action.startsWith(pattern.slice(0, -1)) : action === pattern))

const parseMillis = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s)?$/.exec(text.trim())
  if (match === null) throw new Error(`"${text}" is not a duration such as 28ms`)
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1000 }[(match[2] ?? "ms") as "us" | "ms" | "s"]
}

/** `28ms,80ms` (median, 99th percentile) or `28ms` (constant). */
export const parseLatency = (text: string): Latency => {
  const parts = text.split(",").map(parseMillis)
  const [medianMillis, p99Millis = medianMillis] = parts
  if (parts.length > 2 || medianMillis === undefined || medianMillis <= 0 || p99Millis! < medianMillis) {
    throw new Error(`"${text}" is not MEDIAN,P99 such as 28ms,80ms`)
  }
  return { medianMillis, p99Millis: p99Millis! }
}

/** `put:0.01` or `all:0.01`; several separated by commas. */
export const parseChances = (text: string): Partial<Record<OperationGroup, number>> => {
  const chances: Partial<Record<OperationGroup, number>> = {}
  for (const item of text.split(",")) {
    const [group = "", chanceText = ""] = item.split(":")
    const chance = Number(chanceText)
    if (chanceText === "" || !(chance >= 0 && chance <= 1)) {
      throw new Error(`"${item}" is not OPERATION:CHANCE such as put:0.01`)
    }
    if (group === "all") for (const each of operationGroups) chances[each] = chance
    else if ((operationGroups as ReadonlyArray<string>).includes(group)) chances[group as OperationGroup] = chance
    else throw new Error(`unknown operation "${group}": ${operationGroups.join(", ")} or all`)
  }
  return chances
}
