/** One watch and one stream as the hub keeps them: state only, the rules are in `Watches.ts`. */
import { type Event, type WatchCreateRequest, WatchFilter, type WatchRequest } from "../wire/messages.ts"
import type { KeyRange } from "./keys.ts"
import { Outbox } from "./Outbox.ts"
import type { WatchSink } from "./types.ts"

/**
 * `live`: has been sent everything up to the current revision and is fed at commit. `behind`: everything below `next`
 * was sent, the rest comes from history. `ended`: cancelled, compacted or its stream closed.
 */
export type WatchState = "live" | "behind" | "ended"

export class Watch implements KeyRange {
  readonly stream: Stream
  readonly id: bigint
  readonly begin: string
  readonly end: string | undefined
  /** First revision the client wants to see. */
  readonly start: number
  /** What it asked for: 0 is from now on. */
  readonly asked: number
  readonly wantsPrevious: boolean
  readonly fragment: boolean
  readonly progressNotify: boolean
  readonly #filters: ReadonlyArray<number>
  state: WatchState = "live"
  /** While behind: the first revision that was not sent. */
  next = 0
  /** Stands in the queue for catching up. */
  queued = false
  /** Nothing was sent since the last progress tick (rule W14). */
  quiet = true
  /** Events of the revision that is being published. */
  gathered: Array<Event> | undefined

  constructor(stream: Stream, id: bigint, range: KeyRange, start: number, request: WatchCreateRequest) {
    this.stream = stream
    this.id = id
    this.begin = range.begin
    this.end = range.end
    this.start = start
    this.asked = request.startRevision
    this.wantsPrevious = request.prevKv
    this.fragment = request.fragment
    this.progressNotify = request.progressNotify
    this.#filters = request.filters
  }

  /** Rule W11. */
  wants(deleted: boolean): boolean {
    return this.#filters.length === 0 || !this.#filters.includes(deleted ? WatchFilter.NoDelete : WatchFilter.NoPut)
  }
}

export interface EarlyRequest {
  readonly request: WatchRequest
  readonly refusal: string | undefined
}

export class Stream {
  readonly outbox: Outbox
  readonly watches = new Map<bigint, Watch>()
  /** Those of `watches` that are behind. */
  readonly behind = new Set<Watch>()
  /** Those of `watches` that asked for progress notifications. */
  readonly notified = new Set<Watch>()
  /** Ids of watches that a compaction ended: they stay in use until the client cancels them too. */
  readonly compacted = new Set<bigint>()
  /** Requests from before the store was loaded; they are taken up when it is. */
  early: Array<EarlyRequest> = []
  closed = false
  /** Steps until the next progress tick; 0: not drawn yet. */
  stepsToProgress = 0
  #nextId = 0n

  constructor(sink: WatchSink) {
    this.outbox = new Outbox(sink)
  }

  isTaken(id: bigint): boolean {
    return this.watches.has(id) || this.compacted.has(id)
  }

  /** Rule W2: 0, 1, 2 … without the ids in use. */
  chooseId(): bigint {
    while (this.isTaken(this.#nextId)) this.#nextId++
    return this.#nextId++
  }
}
