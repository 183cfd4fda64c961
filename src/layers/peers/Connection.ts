/** The way to one peer: one link at a time, dialled when something wants to go, with pauses after failures. */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { clearTimeout, setTimeout } from "node:timers"
import type { PeerAddress } from "../../services/PeerNetwork.ts"
import { callsMax } from "./bounds.ts"
import type { DialOptions } from "./dial.ts"
import { Link, type Use } from "./Link.ts"

const pauseMillisMin = 20
const pauseMillisMax = 500
/** A connection that nothing uses is closed after so long. */
const idleMillis = 60_000

export interface ConnectionOptions extends DialOptions {
  readonly now: () => number
  readonly opened: () => void
  /** `missed`: something was under way or is wanted, and this node does not stop. */
  readonly failed: (reason: string, missed: boolean) => void
  /** Nothing is left of it; it may be forgotten. */
  readonly idle: () => void
}

export class Connection {
  readonly #to: PeerAddress
  readonly #options: ConnectionOptions
  #link: Link | undefined
  /** Older ones that come to their end. */
  readonly #old = new Set<Link>()
  #failures = 0
  #retryAt = 0
  #lastReason = ""
  #idleTimer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(to: PeerAddress, options: ConnectionOptions) {
    this.#to = to
    this.#options = options
  }

  /** Returns how to take the use away; `broke` is never called inside this call. */
  use(use: Use): () => void {
    let link = this.#link
    if (link === undefined) {
      const reason = this.#stopped
        ? "this node stops"
        : this.#options.now() < this.#retryAt
          ? this.#lastReason
          : undefined
      if (reason !== undefined) return refuse(use, reason)
      link = this.#dial()
    }
    if (link.size >= callsMax) return refuse(use, `more than ${callsMax} calls to it are under way`)
    if (this.#idleTimer !== undefined) clearTimeout(this.#idleTimer)
    this.#idleTimer = undefined
    const used = link
    used.add(use)
    return () => {
      used.remove(use)
      if (this.#link === used && used.size === 0) this.#rest()
    }
  }

  stop(): void {
    this.#stopped = true
    if (this.#idleTimer !== undefined) clearTimeout(this.#idleTimer)
    this.#link?.destroy("this node stops")
    for (const link of this.#old) link.destroy("this node stops")
  }

  #dial(): Link {
    const link: Link = new Link(this.#to, this.#options, {
      opened: () => {
        this.#failures = 0
        this.#options.opened()
      },
      closing: () => {
        this.#old.add(link)
        if (this.#link === link) this.#link = undefined
      },
      gone: (reason, wasOpen) => {
        this.#old.delete(link)
        if (this.#link === link) this.#link = undefined
        this.#lastReason = reason
        if (wasOpen) return this.#options.failed(reason, !this.#stopped && link.size > 0)
        const pause = Math.min(pauseMillisMax, pauseMillisMin * 2 ** this.#failures)
        if (this.#failures === 0) this.#options.failed(reason, !this.#stopped)
        if (pause < pauseMillisMax) this.#failures++
        this.#retryAt = this.#options.now() + pause
        this.#rest()
      }
    })
    this.#link = link
    return link
  }

  #rest(): void {
    if (this.#stopped) return
    if (this.#idleTimer !== undefined) clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      this.#idleTimer = undefined
      this.#link?.destroy("nothing used it for a while")
      this.#options.idle()
    }, idleMillis)
    this.#idleTimer.unref()
  }
}

const refuse = (use: Use, reason: string): (() => void) => {
  let wanted = true
  queueMicrotask(() => {
    if (wanted) use.broke(reason, 0)
  })
  return () => {
    wanted = false
  }
}
