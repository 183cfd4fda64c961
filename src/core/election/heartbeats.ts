/**
 * The Elector's map of nodes: what each last said, when it was last heard, since when it is degraded. Times are
 * milliseconds of one monotonic clock. In memory only: a new Elector starts with everybody just heard.
 */
import type { NodeInfo, NodeReport } from "../wire/peer/messages.ts"
import { sameNode } from "./arbiter.ts"

export interface HeartbeatTiming {
  /** `elector.degradation_count` × `heartbeat_interval`. */
  readonly degradedAfterMillis: number
  /** Degraded for so long: it is taken out; undefined: never. */
  readonly deregisteredAfterMillis: number | undefined
  /** `tick` comes at least so often, unless this process stood still itself. */
  readonly tickMillis: number
}

export interface NodeEntry {
  readonly info: NodeInfo
  /** Undefined: it has not said anything to this Elector yet. */
  readonly report: NodeReport | undefined
  readonly heardAt: number
  /** Undefined: not degraded. */
  readonly degradedSince: number | undefined
  /** Since when `report.primary` is what it is. */
  readonly roleSince: number
  /** Its process was seen to be a newer one than before. */
  readonly restartedAt: number | undefined
  /** Heartbeats in a row in which it reigned and could not acknowledge. */
  readonly refusals: number
  /** It has said that it stops. */
  readonly leaving: boolean
}

/** A pause of this process longer than this many ticks is nobody else's silence. */
const pauseTicks = 3

export class NodeMap {
  readonly #timing: HeartbeatTiming
  readonly #entries = new Map<string, NodeEntry>()
  #tickedAt: number | undefined

  constructor(timing: HeartbeatTiming) {
    this.#timing = timing
  }

  get size(): number {
    return this.#entries.size
  }
  get(nodeId: string): NodeEntry | undefined {
    return this.#entries.get(nodeId)
  }
  entries(): ReadonlyArray<NodeEntry> {
    return [...this.#entries.values()]
  }
  /** Ascending by member id, as everybody is told. */
  infos(): ReadonlyArray<NodeInfo> {
    return this.entries()
      .map(({ info }) => info)
      .sort((a, b) => (a.memberId < b.memberId ? -1 : a.memberId > b.memberId ? 1 : 0))
  }

  /** A registration was read. Another incarnation is another node: nothing of the old one's entry counts for it. */
  register(info: NodeInfo, now: number): boolean {
    const known = this.#entries.get(info.name.nodeId)
    if (known !== undefined && sameNode(known.info.name, info.name)) {
      if (sameInfo(known.info, info)) return false
      this.#set({ ...known, info })
      return true
    }
    this.#set({
      info,
      report: undefined,
      heardAt: now,
      degradedSince: undefined,
      roleSince: now,
      restartedAt: undefined,
      refusals: 0,
      leaving: false
    })
    return true
  }

  /**
   * A heartbeat of a registered node, or its answer to a question, which counts for no heartbeat; either heals. True:
   * what everybody is told about it has changed.
   */
  heard(report: NodeReport, now: number, isHeartbeat = true): boolean {
    const known = this.#entries.get(report.name.nodeId)
    if (known === undefined || !sameNode(known.info.name, report.name)) return false
    const before = known.report
    const restarted = before !== undefined && report.startedAtSeconds > before.startedAtSeconds
    const info = { ...known.info, peerAddress: report.peerAddress, clientAddress: report.clientAddress }
    this.#set({
      info,
      report,
      heardAt: now,
      degradedSince: undefined,
      roleSince: before?.primary === report.primary && !restarted ? known.roleSince : now,
      restartedAt: restarted ? now : known.restartedAt,
      refusals: report.primary === "active" && !report.mayAcknowledge ? known.refusals + Number(isHeartbeat) : 0,
      leaving: known.leaving && !restarted
    })
    return !sameInfo(known.info, info)
  }

  /** It has certainly missed its heartbeats: nothing listens where it was. */
  missed(nodeId: string, now: number): void {
    const known = this.#entries.get(nodeId)
    if (known !== undefined && known.degradedSince === undefined) this.#set({ ...known, degradedSince: now })
  }

  /** This process knows that the node's was started anew, though it has not said so. */
  restarted(nodeId: string, now: number): void {
    const known = this.#entries.get(nodeId)
    if (known !== undefined) this.#set({ ...known, restartedAt: now })
  }

  leaving(nodeId: string, leaving: boolean): void {
    const known = this.#entries.get(nodeId)
    if (known !== undefined) this.#set({ ...known, leaving })
  }

  remove(nodeId: string): boolean {
    return this.#entries.delete(nodeId)
  }

  /** Returns who has just become degraded. */
  tick(now: number): ReadonlyArray<NodeEntry> {
    const pause = now - (this.#tickedAt ?? now)
    this.#tickedAt = now
    if (pause > pauseTicks * this.#timing.tickMillis) this.#grant(pause)
    const degraded: Array<NodeEntry> = []
    for (const entry of this.entries()) {
      if (entry.degradedSince !== undefined || now - entry.heardAt < this.#timing.degradedAfterMillis) continue
      const next = { ...entry, degradedSince: now }
      this.#set(next)
      degraded.push(next)
    }
    return degraded
  }

  /** Degraded for longer than a node may be. */
  overdue(now: number): ReadonlyArray<NodeEntry> {
    const limit = this.#timing.deregisteredAfterMillis
    if (limit === undefined) return []
    return this.entries().filter(({ degradedSince }) => degradedSince !== undefined && now - degradedSince >= limit)
  }

  /** This process stood still for so long: what arrived meanwhile has not been read yet. */
  #grant(pause: number): void {
    for (const entry of this.entries()) {
      const { heardAt, degradedSince } = entry
      this.#set({
        ...entry,
        heardAt: heardAt + pause,
        degradedSince: degradedSince === undefined ? undefined : degradedSince + pause
      })
    }
  }

  #set(entry: NodeEntry): void {
    this.#entries.set(entry.info.name.nodeId, entry)
  }
}

const sameInfo = (a: NodeInfo, b: NodeInfo): boolean =>
  sameNode(a.name, b.name) &&
  a.memberId === b.memberId &&
  a.peerAddress === b.peerAddress &&
  a.clientAddress === b.clientAddress
