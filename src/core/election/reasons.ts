/** When the Elector acts (design 6.4), from the arbiter as it last read it and the map of nodes. */
import { type Arbiter, sameNode, showNode } from "./arbiter.ts"
import type { NodeEntry } from "./heartbeats.ts"

/** So many heartbeats in a row without being able to acknowledge are enough; as many may be spent on beginning. */
export const refusalsMax = 3

export interface Reigning {
  /** Undefined: there has never been one. */
  readonly arbiter: Arbiter | undefined
  /** When this Elector learned of the arbiter's term, by its monotonic clock. */
  readonly namedAtMillis: number
  /** How long a Primary that answers may take until it is Active, or to drain. */
  readonly patienceMillis: number
  readonly heartbeatMillis: number
}

/**
 * `gone`: nobody reigns, or it cannot be heard. `term`: a higher term is needed, the Primary may be the same. `unable`:
 * the Primary answers and cannot do its work; electing it again is no use.
 */
export interface Reason {
  readonly kind: "gone" | "term" | "unable"
  /** As a sentence without its full stop. */
  readonly why: string
}

/** Undefined: the Primary reigns, or is about to. */
export const reasonToAct = (
  { arbiter, namedAtMillis, patienceMillis, heartbeatMillis }: Reigning,
  nodes: ReadonlyArray<NodeEntry>,
  now: number
): Reason | undefined => {
  if (arbiter === undefined) return { kind: "gone", why: "there is no Primary yet" }
  const { primary, term } = arbiter
  const who = `the Primary ${showNode(primary)} of term ${term}`
  const gone = (why: string): Reason => ({ kind: "gone", why: `${who} ${why}` })
  if (arbiter.resigned) return gone("has resigned")
  const entry = nodes.find(({ info }) => info.name.nodeId === primary.nodeId)
  if (entry === undefined) return gone("is not registered")
  if (!sameNode(entry.info.name, primary)) return gone(`is gone: its node runs as ${showNode(entry.info.name)}`)
  if (entry.leaving) return gone("has left")
  if (entry.degradedSince !== undefined) return gone("misses its heartbeats")
  if (entry.restartedAt !== undefined && entry.restartedAt >= namedAtMillis) return gone("was started anew")
  const fenced = nodes.find(({ report }) => report !== undefined && report.fenced > term)
  if (fenced !== undefined) {
    const { info, report } = fenced
    return { kind: "term", why: `${showNode(info.name)} is fenced at term ${report!.fenced}, above term ${term}` }
  }

  const { report } = entry
  if (report === undefined) return undefined
  if (report.primary === "active") {
    // It may still be the reign of a term before, which the news of this one ends.
    if (report.term !== term) return undefined
    if (report.refusedTerm > term) return { kind: "term", why: `${who} is refused with term ${report.refusedTerm}` }
    return entry.refusals >= refusalsMax ? { kind: "unable", why: `${who} cannot acknowledge` } : undefined
  }
  const waited = now - Math.max(namedAtMillis, entry.roleSince)
  if (report.primary !== "replica") {
    const why = `${who} has been ${report.primary} for ${Math.round(waited)} ms`
    return waited >= patienceMillis ? { kind: "unable", why } : undefined
  }
  // A replica that knows its term does not begin it: it has reigned in it before, or has resigned unheard.
  const limit = report.term >= term ? Math.min(patienceMillis, refusalsMax * heartbeatMillis) : patienceMillis
  return waited >= limit ? gone(`has not begun for ${Math.round(waited)} ms`) : undefined
}

/**
 * How long the next Primary may take: terms that nobody made use of show that beginning takes long here, and an
 * election in the middle of it would only start it over.
 */
export const patience = (primaryPriorTimeoutMillis: number, fruitlessTerms: number): number =>
  primaryPriorTimeoutMillis * 2 ** Math.min(fruitlessTerms, 6)
