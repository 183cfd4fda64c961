/**
 * All watches of a node as a state machine without clock or disk (reference etcd-api.md 2.6, rules W1–W18). Live
 * watches are found by key when a revision is published. Watches that are behind (an old start, or a receiver that was
 * full) wait in a queue; whoever drives this reads one slice of history at a time with `wanted`, `take` and `serve`.
 *
 * Invariants: a live watch has been sent every event up to `revision`; a watch that is behind, every event below its
 * `next`, and `next` is never below the floor; `next` only grows, by whole revisions, so nothing is sent twice.
 */
import { assert } from "../assert.ts"
import { keyString } from "../mvcc/keys.ts"
import { errors } from "../wire/errors.ts"
import type { Event, ResponseHeader, WatchCreateRequest, WatchRequest } from "../wire/messages.ts"
import { EventBatch } from "./EventBatch.ts"
import { eventOf, fragmentsOf, responseOf } from "./events.ts"
import { watchedRange } from "./keys.ts"
import { noWatch } from "./Outbox.ts"
import { Progress } from "./Progress.ts"
import { ReadyQueue } from "./ReadyQueue.ts"
import { RecentRevisions } from "./RecentRevisions.ts"
import type { Change, WatchSink, WatchStats, WatchStream } from "./types.ts"
import { Stream, Watch } from "./Watch.ts"
import { WatchIndex } from "./WatchIndex.ts"

export interface WatchesOptions {
  readonly header: (revision: number) => ResponseHeader
  /** Rule W9: bigger responses are split for watches that asked for it. */
  readonly fragmentBytes: number
  /** How much of the newest history is kept in memory. */
  readonly recentBytes: number
  /** About how much history a batch may hold; it always holds one revision. */
  readonly batchBytes: number
  readonly batchRevisions: number
  /** Answers that may wait on a stream whose receiver does not read. */
  readonly waitingAnswers: number
  /** Called when there is something to catch up; must not do it before it returns. */
  readonly onBehind: () => void
  /** Called when a stream has its first watch that wants progress notifications. */
  readonly onNotified: () => void
}

/** The slice of history that the first watch in the queue needs. */
export interface Wanted {
  readonly from: number
  readonly to: number
}

export class Watches {
  readonly #options: WatchesOptions
  readonly #index = new WatchIndex<Watch>()
  readonly #recent: RecentRevisions
  readonly #ready = new ReadyQueue()
  readonly #streams = new Set<Stream>()
  readonly #behind = new Set<Watch>()
  readonly #progressing = new Progress()
  #revision = 0
  #floor = 0
  #begun = false
  #count = 0
  #eventsSent = 0
  /** Reused by `publish`. */
  readonly #hits: Array<Watch> = []

  constructor(options: WatchesOptions) {
    this.#options = options
    this.#recent = new RecentRevisions(options.recentBytes)
  }

  get floor(): number {
    return this.#floor
  }

  get revision(): number {
    return this.#revision
  }

  begin(revision: number, floor: number): void {
    assert(!this.#begun, "watches: begun twice")
    assert(floor <= revision, `watches: floor ${floor} above revision ${revision}`)
    this.#begun = true
    this.#revision = revision
    this.#floor = floor
    for (const stream of this.#streams) {
      const { early } = stream
      stream.early = []
      for (const { refusal, request } of early) this.#request(stream, request, refusal)
    }
  }

  /**
   * The store has gone on to `revision` without its changes being published: everybody catches up from history, and who
   * would need something below the floor ends (rule W6).
   */
  jumped(revision: number, floor: number): void {
    assert(this.#begun && revision >= this.#revision, `watches: jump from revision ${this.#revision} to ${revision}`)
    assert(floor <= revision, `watches: floor ${floor} above revision ${revision}`)
    const before = this.#revision
    this.#revision = revision
    if (revision > before) this.#recent.clear()
    for (const stream of this.#streams) {
      for (const watch of stream.watches.values()) {
        const next = Math.max(before + 1, watch.start)
        if (watch.state === "live" && next <= revision) this.#fallBehind(watch, next)
      }
    }
    this.compacted(floor)
  }

  open(sink: WatchSink): WatchStream {
    const stream = new Stream(sink)
    this.#streams.add(stream)
    return {
      request: (request, refusal) => {
        if (stream.closed) return true
        if (stream.outbox.waiting + stream.early.length >= this.#options.waitingAnswers) return false
        if (this.#begun) this.#request(stream, request, refusal)
        else stream.early.push({ request, refusal })
        return true
      },
      drained: () => {
        if (stream.closed) return
        stream.outbox.drained()
        if (!stream.outbox.blocked) for (const watch of stream.behind) this.#enqueue(watch)
      },
      close: () => this.#close(stream)
    }
  }

  /** One committed revision: hands its events to the live watches. */
  publish(revision: number, changes: ReadonlyArray<Change>): void {
    assert(this.#begun && revision === this.#revision + 1, `watches: ${revision} published after ${this.#revision}`)
    this.#revision = revision
    this.#recent.add(revision, changes)
    if (this.#index.size === 0) return
    const touched: Array<Watch> = []
    const hits = this.#hits
    for (const { previous, record } of changes) {
      hits.length = 0
      this.#index.collect(keyString(record.key), hits)
      let plain: Event | undefined
      let withPrevious: Event | undefined
      for (const watch of hits) {
        if (revision < watch.start || !watch.wants(record.deleted)) continue
        const event = watch.wantsPrevious
          ? (withPrevious ??= eventOf(record, previous))
          : (plain ??= eventOf(record, undefined))
        if (watch.gathered !== undefined) watch.gathered.push(event)
        else {
          watch.gathered = [event]
          touched.push(watch)
        }
      }
    }
    hits.length = 0
    if (touched.length === 0) return
    const header = this.#options.header(revision)
    for (const watch of touched) {
      const events = watch.gathered!
      watch.gathered = undefined
      // A receiver that took an earlier event may have closed the stream.
      if (watch.state !== "live") continue
      if (watch.stream.outbox.blocked) this.#fallBehind(watch, revision)
      else this.#send(watch, header, events)
    }
  }

  /** The floor moved: watches that still need something below it end (rule W6). */
  compacted(floor: number): void {
    assert(floor >= this.#floor, `watches: floor moved back from ${this.#floor} to ${floor}`)
    assert(floor <= this.#revision, `watches: floor ${floor} above revision ${this.#revision}`)
    this.#floor = floor
    for (const watch of this.#behind) if (watch.next < floor) this.#endCompacted(watch)
  }

  stats(): WatchStats {
    let minRevision = this.#revision + 1
    for (const watch of this.#behind) minRevision = Math.min(minRevision, watch.next)
    return {
      streams: this.#streams.size,
      watches: this.#count,
      slow: this.#behind.size,
      minRevision,
      eventsSent: this.#eventsSent
    }
  }

  /** What to read next; undefined when nobody can be caught up now. */
  wanted(): Wanted | undefined {
    for (let watch = this.#ready.first(); watch !== undefined; watch = this.#ready.first()) {
      if (watch.next <= this.#revision) {
        return { from: watch.next, to: Math.min(watch.next + this.#options.batchRevisions - 1, this.#revision) }
      }
      this.#ready.drop()
      this.#becomeLive(watch)
    }
    return undefined
  }

  /** The batch from memory; undefined when it has to be read from disk. */
  recent(wanted: Wanted): EventBatch | undefined {
    const found = this.#recent.read(wanted.from, wanted.to, this.#options.batchBytes)
    return found === undefined ? undefined : new EventBatch(wanted.from, found.to, found.changes)
  }

  /** Takes the watches that the batch serves out of the queue; each must be given to `serve`. */
  take(batch: EventBatch): ReadonlyArray<Watch> {
    return this.#ready.take(batch)
  }

  /** Sends a watch its part of the batch. Returns how many events it got. */
  serve(watch: Watch, batch: EventBatch): number {
    watch.queued = false
    // Since it was taken: cancelled, compacted, or its receiver became full (then `drained` queues it again).
    if (watch.state !== "behind" || watch.stream.outbox.blocked) return 0
    if (watch.next > batch.to) {
      this.#enqueue(watch)
      return 0
    }
    const events: Array<Event> = []
    for (const position of batch.positions(watch, watch.next)) {
      const { record } = batch.change(position)
      if (!watch.wants(record.deleted)) continue
      // Rule C2: of the compacted revision only the newest version of each key counts, removed already or not.
      if (record.revision <= this.#floor && !batch.isNewest(position)) continue
      events.push(batch.event(position, watch.wantsPrevious, this.#floor))
    }
    watch.next = batch.to + 1
    // Before sending: the receiver may close the stream while it takes the response.
    if (watch.next > this.#revision) this.#becomeLive(watch)
    if (events.length > 0) this.#send(watch, this.#options.header(batch.to), events)
    if (watch.state === "behind") this.#enqueue(watch)
    return events.length
  }

  get hasNotified(): boolean {
    return !this.#progressing.isIdle
  }

  /** Rule W14: one step of time; `draw` says after how many steps a stream's next notification is due. */
  progressStep(draw: () => number): void {
    for (const stream of this.#progressing.step(draw)) this.#notify(stream)
  }

  #notify(stream: Stream): void {
    const header = this.#options.header(this.#revision)
    for (const watch of stream.notified) {
      if (watch.quiet && this.#isCaughtUp(watch) && !stream.outbox.blocked) {
        stream.outbox.push(responseOf(header, watch.id, {}))
      }
      watch.quiet = true
    }
  }

  #request(stream: Stream, request: WatchRequest, refusal: string | undefined): void {
    if (stream.closed) return
    if (request.kind === "create") this.#create(stream, request.create, refusal)
    else if (request.kind === "cancel") this.#cancel(stream, request.watchId)
    else if (request.kind === "progress") this.#progress(stream)
  }

  #create(stream: Stream, request: WatchCreateRequest, refusal: string | undefined): void {
    if (request.startRevision < 0) return this.#refuse(stream, errors.compacted.message)
    if (refusal !== undefined) return this.#refuse(stream, refusal)
    const range = watchedRange(request.key, request.rangeEnd)
    if (range === undefined) return this.#refuse(stream, "mvcc: watcher range is empty")
    if (request.watchId !== 0n && stream.isTaken(request.watchId)) {
      return this.#refuse(stream, "mvcc: duplicate watch ID provided on the WatchStream")
    }
    const id = request.watchId === 0n ? stream.chooseId() : request.watchId
    const start = request.startRevision === 0 ? this.#revision + 1 : request.startRevision
    const watch = new Watch(stream, id, range, start, request)
    stream.watches.set(id, watch)
    this.#count++
    this.#index.add(watch)
    if (watch.progressNotify) {
      this.#progressing.add(watch)
      this.#options.onNotified()
    }
    // Not live yet for an old start, but nothing is published before this returns.
    stream.outbox.push(responseOf(this.#options.header(this.#revision), id, { created: true }))
    if (watch.state === "ended" || start > this.#revision) return
    if (start < this.#floor) this.#endCompacted(watch)
    else this.#fallBehind(watch, start)
  }

  /** Rule W3. */
  #refuse(stream: Stream, cancelReason: string): void {
    const header = this.#options.header(this.#revision)
    stream.outbox.push(responseOf(header, noWatch, { created: true, canceled: true, cancelReason }))
  }

  /** Rule W13. */
  #cancel(stream: Stream, id: bigint): void {
    const watch = stream.watches.get(id)
    if (watch !== undefined) this.#end(watch)
    else if (!stream.compacted.delete(id)) return
    stream.outbox.push(responseOf(this.#options.header(this.#revision), id, { canceled: true }))
  }

  /** Rule W15: from memory, behind every event that was sent. */
  #progress(stream: Stream): void {
    if (stream.watches.size === 0) return
    for (const watch of stream.watches.values()) if (!this.#isCaughtUp(watch)) return
    stream.outbox.push(responseOf(this.#options.header(this.#revision), noWatch, {}))
  }

  /** Everything up to the current revision was sent, and that is not below what the client asked for (rule W7). */
  #isCaughtUp(watch: Watch): boolean {
    return watch.state === "live" && watch.asked <= this.#revision
  }

  #send(watch: Watch, header: ResponseHeader, events: ReadonlyArray<Event>): void {
    watch.quiet = false
    this.#eventsSent += events.length
    const response = responseOf(header, watch.id, { events })
    if (!watch.fragment) return watch.stream.outbox.push(response)
    for (const piece of fragmentsOf(response, this.#options.fragmentBytes)) watch.stream.outbox.push(piece)
  }

  #fallBehind(watch: Watch, next: number): void {
    this.#index.remove(watch)
    watch.state = "behind"
    watch.next = next
    this.#behind.add(watch)
    watch.stream.behind.add(watch)
    this.#enqueue(watch)
  }

  #becomeLive(watch: Watch): void {
    this.#behind.delete(watch)
    watch.stream.behind.delete(watch)
    watch.state = "live"
    this.#index.add(watch)
  }

  #enqueue(watch: Watch): void {
    if (watch.stream.outbox.blocked) return
    this.#ready.add(watch)
    this.#options.onBehind()
  }

  /** Rule W6: revision 0 in the header and no reason. */
  #endCompacted(watch: Watch): void {
    this.#end(watch)
    watch.stream.compacted.add(watch.id)
    const header = this.#options.header(0)
    watch.stream.outbox.push(responseOf(header, watch.id, { canceled: true, compactRevision: this.#floor }))
  }

  #end(watch: Watch): void {
    if (watch.state === "live") this.#index.remove(watch)
    this.#behind.delete(watch)
    watch.state = "ended"
    this.#count--
    const { stream } = watch
    stream.behind.delete(watch)
    stream.watches.delete(watch.id)
    this.#progressing.remove(watch)
  }

  #close(stream: Stream): void {
    if (stream.closed) return
    stream.closed = true
    stream.outbox.close()
    for (const watch of stream.watches.values()) this.#end(watch)
    this.#streams.delete(stream)
  }
}
