/**
 * The arbiter object `leader/primary.json` (design 6.2): who is Primary in which term, and by which rule entries are
 * committed. This file owns its form and the pure rules around it; nobody else interprets its fields.
 */
import { assert } from "../assert.ts"

export const arbiterKey = "leader/primary.json"

/** A node is named by (node id, incarnation): one that lost its disk is another node. */
export interface NodeName {
  readonly nodeId: string
  readonly incarnation: string
}

export const sameNode = (a: NodeName, b: NodeName): boolean => a.nodeId === b.nodeId && a.incarnation === b.incarnation

export const showNode = (name: NodeName): string => `${name.nodeId}/${name.incarnation.slice(0, 8)}`

export interface Arbiter {
  readonly term: number
  readonly primary: NodeName
  readonly mode: "quorum" | "store"
  /** Mode quorum only; `[]` in mode store. */
  readonly voters: ReadonlyArray<NodeName>
  readonly required: number
  /** How long the Primary may decide and serve without another renewal, by its own monotonic clock. */
  readonly leaseMillis: number
  /** Deregistration timeout of mode quorum that all parties count; undefined: never. */
  readonly timeoutMillis: number | undefined
  /** Never repeats within a term. */
  readonly counter: number
  readonly resigned: boolean
  /**
   * Everything that was ever committed is in the bucket, so that nobody needs the voters any more. Written with
   * `resigned`; the next term begins with it, and its Primary, which commits nothing before its own first write has
   * landed, takes it back with that.
   */
  readonly allStored: boolean
  /** Set by a recovery with possible loss (design 6.4). */
  readonly recovered: { readonly term: number; readonly index: number } | undefined
}

/** `leader/primary.json` as it stands in the bucket. */
export const encodeArbiter = (arbiter: Arbiter): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      term: arbiter.term,
      primary: { node_id: arbiter.primary.nodeId, incarnation: arbiter.primary.incarnation },
      mode: arbiter.mode,
      voters: arbiter.voters.map((v) => ({ node_id: v.nodeId, incarnation: v.incarnation })),
      required: arbiter.required,
      lease_ms: arbiter.leaseMillis,
      ...(arbiter.timeoutMillis === undefined ? {} : { timeout_ms: arbiter.timeoutMillis }),
      counter: arbiter.counter,
      resigned: arbiter.resigned,
      ...(arbiter.allStored ? { all_stored: true } : {}),
      ...(arbiter.recovered === undefined ? {} : { recovered: arbiter.recovered })
    })
  )

/** What is wrong with the bytes, in one sentence, or the arbiter. */
export const decodeArbiter = (bytes: Uint8Array): Arbiter | string => {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
  if (typeof json !== "object" || json === null) return "not a JSON object"
  const o = json as Record<string, unknown>
  const primary = nodeName(o["primary"])
  if (primary === undefined) return "`primary` must be {node_id, incarnation}"
  if (!isCount(o["term"]) || o["term"] < 1) return "`term` must be a whole number of 1 or more"
  if (o["mode"] !== "quorum" && o["mode"] !== "store") return '`mode` must be "quorum" or "store"'
  if (!isCount(o["lease_ms"])) return "`lease_ms` must be milliseconds"
  if (!isCount(o["counter"])) return "`counter` must be a whole number"
  if (!Array.isArray(o["voters"])) return "`voters` must be a list"
  const voters = o["voters"].map(nodeName)
  if (voters.some((v) => v === undefined)) return "each of `voters` must be {node_id, incarnation}"
  if (!isCount(o["required"])) return "`required` must be a whole number"
  if (o["timeout_ms"] !== undefined && !isCount(o["timeout_ms"])) return "`timeout_ms` must be milliseconds"
  if (typeof o["resigned"] !== "boolean") return "`resigned` must be true or false"
  if (o["all_stored"] !== undefined && typeof o["all_stored"] !== "boolean") {
    return "`all_stored` must be true or false"
  }
  let recovered: Arbiter["recovered"]
  if (o["recovered"] !== undefined) {
    const r = o["recovered"] as Record<string, unknown> | null
    if (r === null || !isCount(r["term"]) || !isCount(r["index"])) return "`recovered` must be {term, index}"
    recovered = { term: r["term"], index: r["index"] }
  }
  return {
    term: o["term"],
    primary,
    mode: o["mode"],
    voters: voters as ReadonlyArray<NodeName>,
    required: o["required"],
    leaseMillis: o["lease_ms"],
    timeoutMillis: o["timeout_ms"],
    counter: o["counter"],
    resigned: o["resigned"],
    allStored: o["all_stored"] === true,
    recovered
  }
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0

const nodeName = (value: unknown): NodeName | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const o = value as Record<string, unknown>
  return typeof o["node_id"] === "string" && typeof o["incarnation"] === "string"
    ? { nodeId: o["node_id"], incarnation: o["incarnation"] }
    : undefined
}

/** The arbiter that starts term t+1 (or the first term): the Elector changes term, primary and counter, clears `resigned`, copies the rest. */
export const nextTerm = (
  current: Arbiter | undefined,
  winner: NodeName,
  first: { readonly highestTerm: number; readonly leaseMillis: number; readonly timeoutMillis?: number | undefined }
): Arbiter => {
  if (current === undefined) {
    return {
      term: first.highestTerm + 1,
      primary: winner,
      mode: "store",
      voters: [],
      required: 0,
      leaseMillis: first.leaseMillis,
      timeoutMillis: first.timeoutMillis,
      counter: 1,
      resigned: false,
      allStored: false,
      recovered: undefined
    }
  }
  return {
    ...current,
    term: current.term + 1,
    primary: winner,
    counter: current.counter + 1,
    resigned: false
  }
}

/**
 * With everything stored an arbiter in mode quorum is as good as one in mode store: when too few voters answer, the
 * election goes on from here. Undefined: there is no such shortcut.
 */
export const asModeStore = (current: Arbiter): Arbiter | undefined =>
  current.mode === "quorum" && current.allStored ? { ...current, mode: "store", voters: [], required: 0 } : undefined

/** Waiting for a holder's lease takes longer than the lease: both clocks run within 5 % of true time (design 6.3). */
export const waitFactor = 1.11

/** Why an election in mode store may go on at once, or how long it has to wait. */
export type StoreElection =
  | {
      readonly kind: "go"
      readonly because: "first term" | "resigned" | "the old process is proved dead" | "lease over"
    }
  | { readonly kind: "wait"; readonly untilMillis: number }

/**
 * Mode store: depose only after the lease is over, or a resignation, or a proof that the old process is dead.
 * `seenAtMillis`: when this process first saw this ETag, on its monotonic clock.
 */
export const storeElection = (
  current: Arbiter | undefined,
  seenAtMillis: number,
  nowMillis: number,
  provedDead: boolean
): StoreElection => {
  if (current === undefined) return { kind: "go", because: "first term" }
  assert(current.mode === "store", "an election by the store lease needs mode store")
  if (current.resigned) return { kind: "go", because: "resigned" }
  if (provedDead) return { kind: "go", because: "the old process is proved dead" }
  const until = seenAtMillis + Math.round(waitFactor * current.leaseMillis)
  return nowMillis >= until ? { kind: "go", because: "lease over" } : { kind: "wait", untilMillis: until }
}

/** What a Primary learns when it reads the arbiter after a CAS whose outcome it does not know (design 6.2, open CAS). */
export const judgeUnknownCas = (
  found: Arbiter,
  own: { readonly term: number; readonly counter: number }
): "deposed" | "landed" | "may still land" =>
  found.term > own.term || found.resigned ? "deposed" : found.counter === own.counter ? "landed" : "may still land"

/** Default of `replication.store_lease` (design 6.3), milliseconds. */
export const defaultStoreLeaseMillis = (provider: string, aloneByConfiguration: boolean): number => {
  if (provider === "directory" || provider === "memory") return 3_000
  if (aloneByConfiguration) return 30_000
  return provider === "gcs" ? 12_000 : 6_000
}
