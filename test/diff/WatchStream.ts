/** A watch stream of one server: sorts what arrives by watch, and notes what no server may do. */
import type { ClientDuplexStream, StatusObject } from "@grpc/grpc-js"
import { encode, messageType, type Plain } from "./messages.ts"
import type { StreamLog, WatchLog } from "./operations.ts"

interface Live {
  readonly log: WatchLog
  lastRevision: number
  /** What a progress response has promised to be complete. */
  bookmark: number
}

const revisionOf = (message: Plain): number => Number((message["header"] as Plain | undefined)?.["revision"] ?? 0)
export const eventRevision = (event: Plain): number => Number((event["kv"] as Plain)["mod_revision"])

export class WatchStream {
  readonly log: StreamLog
  readonly #call: ClientDuplexStream<Uint8Array, Buffer>
  readonly #bookmarksHold: boolean
  readonly #waiting: Array<WatchLog> = []
  readonly #live = new Map<string, Live>()
  /** Ended by a compaction: etcd keeps their ids in use until the client cancels them too. */
  readonly #compacted = new Set<string>()
  /** The watch of which a split response is under way. */
  #split: string | undefined
  #asked = -1
  finished = false

  constructor(
    operation: number,
    call: ClientDuplexStream<Uint8Array, Buffer>,
    read: (bytes: Uint8Array) => Plain,
    /** False for etcd 3.4, whose bookmarks may overtake events: a defect that later releases do not have. */
    bookmarksHold: boolean
  ) {
    this.#bookmarksHold = bookmarksHold
    this.log = { operation, watches: [], progress: [], canceledAgain: [], violations: [], ended: undefined }
    this.#call = call
    call.on("data", (bytes: Buffer) => this.#message(read(bytes)))
    call.on("status", ({ code, details }: StatusObject) => {
      this.log.ended = { code, details }
    })
  }

  get live(): ReadonlyArray<WatchLog> {
    return [...this.#live.values()].map(({ log }) => log)
  }

  isLive(id: number): boolean {
    return this.#live.has(String(id))
  }

  get ended(): boolean {
    return this.log.ended !== undefined
  }

  #send(request: Plain): void {
    if (!this.ended) this.#call.write(encode(messageType("WatchRequest"), request))
  }

  create(operation: number, request: Plain): WatchLog {
    const log: WatchLog = { operation, request, created: undefined, events: [], ended: undefined }
    this.log.watches.push(log)
    this.#waiting.push(log)
    this.#send({ create_request: request })
    return log
  }

  wasCompacted(id: number): boolean {
    return this.#compacted.has(String(id))
  }

  cancelWatch(operation: number, id: number): void {
    this.#asked = operation
    this.#send({ cancel_request: { watch_id: id } })
  }

  progress(operation: number): void {
    this.#asked = operation
    this.#send({ progress_request: {} })
  }

  /** The half-close: nothing more is asked, and events go on. */
  end(): void {
    this.finished = true
    this.#call.end()
  }

  cancel(): void {
    this.#call.cancel()
  }

  #violation(what: string, message: Plain): void {
    this.log.violations.push(`${what}: ${JSON.stringify(message).slice(0, 2000)}`)
  }

  #message(message: Plain): void {
    const id = String(message["watch_id"] ?? 0)
    if (this.#split !== undefined && this.#split !== id) this.#violation("between the pieces of a response", message)
    if (message["created"] === true) return this.#created(id, message)
    if (message["canceled"] !== true && id === "-1") {
      const revision = revisionOf(message)
      for (const one of this.#live.values()) one.bookmark = revision
      this.log.progress.push({ operation: this.#asked, revision })
      return
    }
    const live = this.#live.get(id)
    if (live === undefined) {
      if (message["canceled"] === true && this.#compacted.delete(id)) this.log.canceledAgain.push(this.#asked)
      else this.#violation("for a watch that is not there", message)
      return
    }
    if (message["canceled"] === true) {
      this.#live.delete(id)
      live.log.ended = message
      if (message["compact_revision"] !== undefined) this.#compacted.add(id)
    } else this.#events(id, live, message)
  }

  #created(id: string, message: Plain): void {
    const log = this.#waiting.shift()
    if (log === undefined) return this.#violation("created, but nothing was asked for", message)
    log.created = message
    if (message["canceled"] === true) log.ended = message
    else if (this.#live.has(id)) this.#violation("created with an id in use", message)
    else this.#live.set(id, { log, lastRevision: 0, bookmark: 0 })
  }

  #events(id: string, live: Live, message: Plain): void {
    const events = (message["events"] ?? []) as ReadonlyArray<Plain>
    const header = revisionOf(message)
    if (events.length === 0) {
      if (header < live.lastRevision) this.#violation("a bookmark below the last event", message)
      return
    }
    const first = eventRevision(events[0]!)
    if (this.#split === undefined && first <= live.lastRevision)
      this.#violation("a revision split or repeated", message)
    for (const event of events) {
      const revision = eventRevision(event)
      if (revision < live.lastRevision) this.#violation("events out of order", message)
      if (this.#bookmarksHold && revision <= live.bookmark)
        this.#violation(`an event after the bookmark ${live.bookmark}`, message)
      live.lastRevision = revision
      live.log.events.push(event)
    }
    if (header < live.lastRevision) this.#violation("a header below the last event", message)
    this.#split = message["fragment"] === true ? id : undefined
    if (this.#split !== undefined && live.log.request["fragment"] !== true) this.#violation("split unasked", message)
  }
}
