/**
 * What the Elector knows while it holds the lock: the map of nodes, the arbiter as it last read it, who is to be handed
 * over to. Tells everybody when it changes.
 */
import { type Arbiter, sameNode } from "../../core/election/arbiter.ts"
import { type NodeEntry, NodeMap } from "../../core/election/heartbeats.ts"
import { patience, type Reason, reasonToAct } from "../../core/election/reasons.ts"
import type { ClusterState, NodeReport } from "../../core/wire/peer/messages.ts"
import type { ElectorParts, FoundArbiter } from "./parts.ts"
import type { Pusher } from "./Pusher.ts"

/** A Primary that has announced its resignation has so long to write it. */
const handOverMillis = 5_000

export interface HandOver {
  readonly term: number
  readonly from: string
  /** "": anybody. */
  readonly to: string
  readonly untilMillis: number
}

/** A Primary that drains resigns, or has resigned and ends. */
const isLeaving = ({ leaving, report }: NodeEntry): boolean => leaving || report?.primary === "draining"

export class Standing {
  readonly map: NodeMap
  /** How often `tick` is to be called. */
  readonly tickMillis: number
  /** The map has been filled: heartbeats are answered. */
  isReady = false
  readonly #parts: ElectorParts
  readonly #pusher: Pusher
  #found: FoundArbiter | undefined
  #seen: { readonly etag: string; readonly at: number } | undefined
  #namedAt = 0
  #fruitless = 0
  #isFruitful = true
  #handOver: HandOver | undefined
  #serial = 0

  constructor(parts: ElectorParts, pusher: Pusher) {
    const { heartbeatIntervalMillis, elector } = parts.settings
    this.#parts = parts
    this.#pusher = pusher
    this.tickMillis = Math.min(500, Math.ceil(heartbeatIntervalMillis / 2))
    this.map = new NodeMap({
      degradedAfterMillis: elector.degradationCount * heartbeatIntervalMillis,
      deregisteredAfterMillis: elector.deregistrationTimeoutMillis,
      tickMillis: Math.max(200, this.tickMillis)
    })
  }

  get arbiter(): Arbiter | undefined {
    return this.#found?.arbiter
  }
  get etag(): string {
    return this.#found?.etag ?? ""
  }
  get handOver(): HandOver | undefined {
    const announced = this.#handOver
    if (announced === undefined) return undefined
    if (announced.term < (this.arbiter?.term ?? 0) || this.#parts.nowMillis() >= announced.untilMillis) {
      this.#handOver = undefined
    }
    return this.#handOver
  }

  announce(from: string, to: string, term: number): void {
    this.#handOver = { from, to, term, untilMillis: this.#parts.nowMillis() + handOverMillis }
  }

  /** When this process first saw the ETag; called with every reading of the bucket, and with nothing else. */
  seenAt(etag: string): number {
    if (this.#seen?.etag !== etag) this.#seen = { etag, at: this.#parts.nowMillis() }
    return this.#seen.at
  }

  /** Takes what is newer; everybody is told. */
  adopt(found: FoundArbiter | undefined): void {
    const before = this.arbiter
    if (found === undefined || found.etag === this.#found?.etag) return
    const { term, counter } = found.arbiter
    if (before !== undefined && (term < before.term || (term === before.term && counter < before.counter))) return
    if (before?.term !== term) {
      this.#namedAt = this.#parts.nowMillis()
      this.#fruitless = before === undefined || this.#isFruitful ? 0 : this.#fruitless + 1
      this.#isFruitful = false
    }
    this.#found = found
    this.tell()
  }

  reason(): Reason | undefined {
    const { settings, nowMillis } = this.#parts
    const entry = this.arbiter === undefined ? undefined : this.map.get(this.arbiter.primary.nodeId)
    if (entry?.report?.primary === "active" && entry.report.term === this.arbiter?.term) this.#isFruitful = true
    return reasonToAct(
      {
        arbiter: this.arbiter,
        namedAtMillis: this.#namedAt,
        patienceMillis: patience(settings.elector.primaryPriorTimeoutMillis, this.#fruitless),
        heartbeatMillis: settings.heartbeatIntervalMillis
      },
      this.map.entries(),
      nowMillis()
    )
  }

  /** This process was started after the term that names it had begun: it will not go on with it. */
  noticeOwnRestart(): void {
    const { membership, local, reports, nowMillis } = this.#parts
    const { arbiter } = this
    if (arbiter === undefined || !sameNode(arbiter.primary, membership.self())) return
    if (arbiter.term > local.opened.promises.reigned || reports.current().primary !== "replica") return
    this.map.restarted(arbiter.primary.nodeId, nowMillis())
  }

  /** The Primary says that it has changed the rule since the arbiter was read. */
  ruleHasChanged(): boolean {
    const { arbiter } = this
    const report = arbiter === undefined ? undefined : this.map.get(arbiter.primary.nodeId)?.report
    if (arbiter === undefined || report === undefined) return false
    if (report.primary !== "active" || report.term !== arbiter.term) return report.term > arbiter.term
    return (
      report.mode !== arbiter.mode ||
      report.required !== arbiter.required ||
      report.voters.length !== arbiter.voters.length ||
      report.voters.some((voter) => !arbiter.voters.some((other) => sameNode(other, voter)))
    )
  }

  /** It has said that it stops or gives its role away: elected, it would begin nothing. */
  isLeaving(nodeId: string): boolean {
    const entry = this.map.get(nodeId)
    return entry !== undefined && isLeaving(entry)
  }

  /** Nodes that are about to stop. */
  stopping(): ReadonlySet<string> {
    const ids = new Set(this.map.entries().flatMap((entry) => (isLeaving(entry) ? [entry.info.name.nodeId] : [])))
    const { handOver } = this
    if (handOver !== undefined) ids.add(handOver.from)
    return ids
  }

  /** Another node could be Primary. */
  hasOthers(): boolean {
    const self = this.#parts.settings.nodeId
    const mayReign = (entry: NodeEntry) =>
      entry.info.name.nodeId !== self && entry.degradedSince === undefined && !isLeaving(entry)
    return this.map.entries().some(mayReign)
  }

  heardSelf(isHeartbeat: boolean): void {
    const report: NodeReport = this.#parts.reports.current()
    if (this.map.heard(report, this.#parts.nowMillis(), isHeartbeat)) this.tell()
  }

  state(): ClusterState {
    return {
      elector: this.#parts.settings.nodeId,
      serial: this.#serial,
      arbiter: this.arbiter,
      etag: this.etag,
      nodes: this.map.infos()
    }
  }

  /** Everybody, this node too. Nobody is told of a map that is not filled yet. */
  tell(): void {
    if (!this.isReady) return
    const { view, clock } = this.#parts
    // Higher than what any Elector before has said, this process included.
    this.#serial = Math.max(this.#serial + 1, view.current().serial + 1, clock.currentTimeMillisUnsafe())
    const state = this.state()
    view.offer(state)
    this.#pusher.push(state)
  }
}
