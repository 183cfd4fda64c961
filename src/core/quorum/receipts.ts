/**
 * What the followers of one reign have on their disks: one instance per term, so that no receipt of another term counts.
 * Owns the commit index that mode quorum allows (design 5), who answers, and who has been caught up since when.
 * Asked on every batch: no allocation in `receipt` and `committable`.
 */
import { type NodeName, sameNode } from "../election/arbiter.ts"
import type { CommitRule } from "./rule.ts"

/** One node that has followed this reign. */
export interface Follower {
  readonly name: NodeName
  readonly match: number
  /** -Infinity: it has sent none. */
  readonly lastReceiptMillis: number
  /** Since when it has held what was committed, without interruption; undefined: it does not now. */
  readonly caughtUpSinceMillis: number | undefined
}

interface Slot {
  readonly name: NodeName
  match: number
  joinedMillis: number
  lastReceiptMillis: number
  connected: boolean
  caughtUpSinceMillis: number | undefined
}

/** Nodes that have left are remembered for what they hold, up to this many nodes in all. */
const slotsMax = 256
const defaultLagMillis = 2_000

export class Receipts {
  readonly #self: NodeName
  readonly #lagMillis: number
  readonly #slots: Array<Slot> = []
  /** The other voters of `#rule` that have a slot; found again when either changes. */
  #rule: CommitRule | undefined
  readonly #voters: Array<Slot> = []
  /** The highest matches seen while counting, descending. */
  readonly #top: Array<number> = []
  /** The commit index as it was, sampled every half lag: `#earlier` is what a follower has to hold. */
  #earlierIndex = 0
  #sampledIndex = 0
  #sampledMillis = Number.NEGATIVE_INFINITY
  #observedMillis = Number.NEGATIVE_INFINITY
  #listeningSinceMillis = Number.POSITIVE_INFINITY

  /** A follower counts as caught up with what was committed up to `lagMillis` ago. */
  constructor(self: NodeName, options?: { readonly lagMillis?: number }) {
    this.#self = self
    this.#lagMillis = options?.lagMillis ?? defaultLagMillis
  }

  /** Its stream is open. An older incarnation of the node is forgotten: it has no disk any more. */
  joined(name: NodeName, nowMillis: number): void {
    if (sameNode(name, this.#self)) return
    for (let i = this.#slots.length - 1; i >= 0; i--) {
      const { nodeId, incarnation } = this.#slots[i]!.name
      if (nodeId === name.nodeId && incarnation !== name.incarnation) this.#slots.splice(i, 1)
    }
    const slot = this.#slot(name)
    if (slot !== undefined) {
      slot.connected = true
      slot.joinedMillis = nowMillis
      slot.caughtUpSinceMillis = undefined
    } else {
      if (this.#slots.length >= slotsMax) this.#forgetOne()
      this.#slots.push({
        name,
        match: 0,
        joinedMillis: nowMillis,
        lastReceiptMillis: Number.NEGATIVE_INFINITY,
        connected: true,
        caughtUpSinceMillis: undefined
      })
    }
    this.#rule = undefined
  }

  /** Its stream has ended. What it holds it still holds. */
  left(name: NodeName): void {
    const slot = this.#slot(name)
    if (slot === undefined) return
    slot.connected = false
    slot.caughtUpSinceMillis = undefined
  }

  /** Everything up to `match` is on its disk. Never goes back; ignored for a node that has not joined. */
  receipt(name: NodeName, match: number, nowMillis: number): void {
    const slot = this.#slot(name)
    if (slot === undefined) return
    if (match > slot.match) slot.match = match
    slot.lastReceiptMillis = nowMillis
  }

  match(name: NodeName): number | undefined {
    return this.#slot(name)?.match
  }

  /**
   * The highest index that the Primary (`persisted`) and `required` other voters of exactly that incarnation hold. 0: none,
   * and always where the rule requires nobody, which is mode store's and a recovery's, and commits nothing this way.
   */
  committable(rule: CommitRule, persisted: number): number {
    const { required } = rule
    if (rule.mode !== "quorum" || required < 1) return 0
    this.#settle(rule)
    if (this.#voters.length < required) return 0
    const top = this.#top
    top.length = 0
    for (const { match } of this.#voters) {
      if (top.length === required) {
        if (match <= top[required - 1]!) continue
        top.length = required - 1
      }
      let at = top.length
      top.push(match)
      for (; at > 0 && top[at - 1]! < match; at--) top[at] = top[at - 1]!
      top[at] = match
    }
    return Math.min(persisted, top[required - 1]!)
  }

  /** Other voters that sent a receipt within the last `withinMillis`. */
  answering(rule: CommitRule, nowMillis: number, withinMillis: number): number {
    this.#settle(rule)
    let count = 0
    for (const slot of this.#voters) if (nowMillis - slot.lastReceiptMillis <= withinMillis) count++
    return count
  }

  /** To be called once per heartbeat or more often: a follower silent for more than `freshMillis` is not caught up. */
  observe(commitIndex: number, nowMillis: number, freshMillis: number): void {
    if (!(nowMillis - this.#observedMillis <= freshMillis)) this.#listeningSinceMillis = nowMillis
    this.#observedMillis = nowMillis
    if (nowMillis - this.#sampledMillis >= this.#lagMillis / 2) {
      const first = this.#sampledMillis === Number.NEGATIVE_INFINITY
      this.#earlierIndex = first ? commitIndex : this.#sampledIndex
      this.#sampledIndex = commitIndex
      this.#sampledMillis = nowMillis
    }
    for (const slot of this.#slots) {
      const caughtUp =
        slot.connected && slot.match >= this.#earlierIndex && nowMillis - slot.lastReceiptMillis <= freshMillis
      if (!caughtUp) slot.caughtUpSinceMillis = undefined
      else slot.caughtUpSinceMillis ??= nowMillis
    }
  }

  /**
   * Since when this process has looked without a pause longer than `freshMillis`: nobody's silence counts from earlier.
   * Infinity: not at all so far.
   */
  listeningSinceMillis(): number {
    return this.#listeningSinceMillis
  }

  followers(): ReadonlyArray<Follower> {
    return this.#slots.map(({ name, match, lastReceiptMillis, caughtUpSinceMillis }) => ({
      name,
      match,
      lastReceiptMillis,
      caughtUpSinceMillis
    }))
  }

  #slot(name: NodeName): Slot | undefined {
    for (const slot of this.#slots) if (sameNode(slot.name, name)) return slot
    return undefined
  }

  #settle(rule: CommitRule): void {
    if (this.#rule === rule) return
    this.#rule = rule
    this.#voters.length = 0
    for (const slot of this.#slots) {
      if (rule.voters.some((voter) => sameNode(voter, slot.name))) this.#voters.push(slot)
    }
  }

  /** The one that left and was heard of longest ago; the caller's bound on streams keeps some that left among so many. */
  #forgetOne(): void {
    let oldest = -1
    let oldestHeard = Number.POSITIVE_INFINITY
    for (const [i, slot] of this.#slots.entries()) {
      const heard = Math.max(slot.joinedMillis, slot.lastReceiptMillis)
      if (slot.connected || heard >= oldestHeard) continue
      oldest = i
      oldestHeard = heard
    }
    if (oldest >= 0) this.#slots.splice(oldest, 1)
  }
}
