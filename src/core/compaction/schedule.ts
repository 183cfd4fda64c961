/**
 * When to compact by itself and to which revision: machines without a clock. Whoever drives one calls `tick` every
 * `tickMillis`, and `done` when the compaction that it asked for stands; what was not done is asked for again.
 */

export interface Now {
  /** Newest committed revision. */
  readonly revision: number
  /** Compaction revision, 0 when never compacted. */
  readonly floor: number
  /** Lowest revision that some watch still needs; `revision` + 1 when there is none. */
  readonly minWatchRevision: number
}

export interface Schedule {
  readonly tickMillis: number
  /** The revision to compact to now, if any. */
  readonly tick: (now: Now) => number | undefined
  readonly done: (revision: number) => void
}

const hourMillis = 3_600_000
const ticksPerInterval = 10
const revisionTickMillis = 300_000
/** However short the time that somebody asks for: a tick costs something. */
const tickMillisMin = 100
/** Longer waits do not fit a timer. */
const tickMillisMax = 2 ** 31 - 1

/**
 * etcd's mode `periodic` (rule C5): the history of the last `retentionMillis` stays. Runs after the first retention, then
 * every hour, or every retention if that is shorter; revisions are sampled ten times as often, and what failed is tried
 * again as soon.
 */
export class PeriodicSchedule implements Schedule {
  readonly tickMillis: number
  readonly #samplesMax: number
  readonly #samples: Array<number>
  #ticks = 0
  #ticksToWait: number
  #last = 0

  constructor(retentionMillis: number, revision: number) {
    const tick = Math.max(tickMillisMin, Math.min(retentionMillis, hourMillis) / ticksPerInterval)
    this.tickMillis = tick
    this.#ticksToWait = Math.ceil(retentionMillis / tick)
    this.#samplesMax = Math.floor(retentionMillis / tick) + 1
    this.#samples = [revision]
  }

  tick({ revision }: Now): number | undefined {
    this.#ticks++
    const oldest = this.#samples[0]!
    this.#samples.push(revision)
    if (this.#samples.length > this.#samplesMax) this.#samples.shift()
    return this.#ticks < this.#ticksToWait || oldest === this.#last ? undefined : oldest
  }

  done(revision: number): void {
    this.#last = revision
    this.#ticks = 0
    this.#ticksToWait = ticksPerInterval
  }
}

/** etcd's mode `revision`: the last `retentionRevisions` stay. Looks every five minutes. */
export class RevisionSchedule implements Schedule {
  readonly tickMillis = revisionTickMillis
  readonly #retentionRevisions: number
  #last = 0

  constructor(retentionRevisions: number) {
    this.#retentionRevisions = retentionRevisions
  }

  tick({ revision }: Now): number | undefined {
    const proposed = revision - this.#retentionRevisions
    return proposed <= 0 || proposed === this.#last ? undefined : proposed
  }

  done(revision: number): void {
    this.#last = revision
  }
}

/**
 * Netsy's `compaction_interval`: below what any watch still needs at its position, so that none is ever ended, with the
 * version before the first event that it gets; and nothing younger than one interval, so that a client that lost its
 * connection can go on where it was.
 */
export class IntervalSchedule implements Schedule {
  readonly tickMillis: number
  #before: number

  constructor(intervalMillis: number, revision: number) {
    this.tickMillis = Math.min(Math.max(intervalMillis, tickMillisMin), tickMillisMax)
    this.#before = revision
  }

  tick({ floor, minWatchRevision, revision }: Now): number | undefined {
    const proposed = Math.min(this.#before, minWatchRevision - 1)
    this.#before = revision
    return proposed <= floor ? undefined : proposed
  }

  done(): void {}
}
