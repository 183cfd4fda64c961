/** kube-apiserver's watch cache of one kind: a list, a watch behind it, and progress requests while a read waits. */
import { setTimeout as sleep } from "node:timers/promises"
import type { WatchResponse } from "../../src/core/wire/messages.ts"
import type { Connection, WatchStream } from "./connection.ts"
import type { Figures } from "./figures.ts"
import { type Held, type History, type Seen, seenEvent } from "./history.ts"
import { prefixEnd, prefixOf } from "./objects.ts"
import type { Storage } from "./storage.ts"

const progressPeriodMillis = 100
/** After this the apiserver reads from etcd instead. */
const giveUpMillis = 3_000
const initialPage = 10_000
const noWatch = -1n

export class WatchCache {
  readonly storage: Storage
  readonly seen: Array<Seen> = []
  readonly held = new Map<string, Held>()
  /** Everything up to here has been seen. */
  revision = 0
  start = 0
  readonly #connection: Connection
  readonly #figures: Figures
  readonly #history: History
  readonly #name: string
  #stream: WatchStream | undefined
  #createdId: bigint | undefined
  #cancelled = false

  constructor(name: string, storage: Storage, connection: Connection, figures: Figures, history: History) {
    this.#name = `watch of ${storage.kind} by ${name}`
    this.storage = storage
    this.#connection = connection
    this.#figures = figures
    this.#history = history
  }

  async begin(): Promise<void> {
    const list = await this.storage.list(initialPage)
    for (const [key, held] of list.items) this.held.set(key, held)
    this.revision = this.start = list.revision
    const broken = (error: Error): void => this.#history.violation(`${this.#name} broke: ${error.message}`)
    this.#stream = this.#connection.watch((response) => this.#on(response), broken)
    const prefix = prefixOf(this.storage.kind)
    this.#stream.create({
      key: Buffer.from(prefix),
      rangeEnd: prefixEnd(prefix),
      startRevision: this.start + 1,
      prevKv: true,
      progressNotify: true
    })
    while (this.#createdId === undefined) await sleep(5)
  }

  #on(response: WatchResponse): void {
    const revision = response.header?.revision ?? 0
    if (response.created) this.#createdId = response.watchId
    if (response.canceled) {
      this.#cancelled = true
      return this.#history.violation(
        `${this.#name} was cancelled at ${this.revision}: ${response.cancelReason}, compacted ${response.compactRevision}`
      )
    }
    if (response.created) return
    if (response.events.length === 0) {
      if (response.watchId === noWatch) this.#figures.count("progress on request")
      else this.#figures.count("progress by itself")
      if (revision < this.revision) {
        this.#history.violation(`${this.#name}: progress ${revision} came after ${this.revision}`)
      }
      this.revision = Math.max(this.revision, revision)
      return
    }
    if (response.watchId !== this.#createdId) {
      this.#history.violation(`${this.#name}: events of watch ${response.watchId}`)
    }
    for (const event of response.events) {
      const seen = seenEvent(event)
      // Progress has promised that all before it had come.
      if (seen.revision < this.revision) {
        this.#history.violation(`${this.#name}: revision ${seen.revision} came after ${this.revision} was reached`)
      }
      if (event.prevKv === undefined && seen.createRevision !== seen.revision) {
        this.#history.violation(`${this.#name}: revision ${seen.revision} is no creation and has no prev_kv`)
      }
      this.seen.push(seen)
      this.revision = Math.max(this.revision, seen.revision)
      if (seen.put) this.held.set(seen.key, seen)
      else this.held.delete(seen.key)
    }
    if (revision < this.revision) {
      this.#history.violation(`${this.#name}: events of revision ${this.revision} under a header of ${revision}`)
    }
    this.revision = Math.max(this.revision, revision)
  }

  /** Waits until everything up to `revision` has come, asking for progress; false: given up, or nothing comes any more. */
  async reach(revision: number, withProgress: boolean, limitMillis = giveUpMillis): Promise<boolean> {
    const until = performance.now() + limitMillis
    for (let next = 0; this.revision < revision; await sleep(2)) {
      const now = performance.now()
      if (now > until || this.#cancelled) return false
      if (withProgress && now >= next) {
        this.#stream!.requestProgress()
        next = now + progressPeriodMillis
      }
    }
    return true
  }

  end(): void {
    this.#stream?.cancel()
  }
}
