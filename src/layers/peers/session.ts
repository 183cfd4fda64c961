/** What both sides of a connection between peers have in common: sizes, names of headers, and how silence is found. */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import type { Http2Session, Settings } from "node:http2"
import { clearInterval, setInterval } from "node:timers"
import { callsMax, silentTicksMax, tickMillis } from "./bounds.ts"

/** Who calls, where no certificate says it. */
export const fromHeader = "netsy-from"
/** Whom the caller takes the callee for: cluster id and node id. */
export const toHeader = "netsy-to"
/**
 * With an error that is the connection's and not the method's: `unsent` when the call has not been looked at, else
 * `unknown`.
 */
export const brokenHeader = "netsy-broken"

export const nodePath = (clusterId: string, nodeId: string): string => `${clusterId}/${nodeId}`

const windowBytes = 16 << 20

export const sessionOptions = {
  settings: {
    initialWindowSize: windowBytes,
    maxConcurrentStreams: callsMax,
    // A batch of entries in few frames, and a receipt not long behind one.
    maxFrameSize: 256 << 10,
    enablePush: false
  } satisfies Settings,
  /** MB: many streams may hold back their whole buffers. */
  maxSessionMemory: 1_024,
  peerMaxConcurrentStreams: callsMax,
  // Calls that are given up are everyday between nodes that know each other.
  streamResetBurst: 1_000_000,
  streamResetRate: 1_000_000,
  maxSessionRejectedStreams: callsMax
}

/** The window of the connection is shared by all its streams. */
export const widen = (session: Http2Session): void => session.setLocalWindowSize(4 * windowBytes)

/** Counts what came in: any of it is a sign of life. */
interface Counting {
  readonly bytesRead: number
}

/**
 * Pings while something is under way and calls `silent` when nothing comes back. Ticks are counted, not time: a process
 * that was held up itself first reads what has come in the meantime.
 */
export class SilenceWatch {
  readonly #session: Http2Session
  readonly #socket: Counting
  readonly #silent: (reason: string) => void
  #timer: NodeJS.Timeout | undefined
  #isBusy = false
  #ticks = 0
  #bytesRead = 0

  constructor(session: Http2Session, socket: Counting, silent: (reason: string) => void) {
    this.#session = session
    this.#socket = socket
    this.#silent = silent
  }

  /** Something is under way. */
  start(): void {
    if (!this.#isBusy) this.#ticks = 0
    this.#isBusy = true
    this.#timer ??= setInterval(() => this.#tick(), tickMillis)
  }

  /** Nothing is under way any more; the timer goes with its next tick, for calls follow each other closely. */
  rest(): void {
    this.#isBusy = false
  }

  stop(): void {
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tick(): void {
    if (this.#session.destroyed) {
      this.stop()
      return this.#silent("the connection is over")
    }
    if (!this.#isBusy) return this.stop()
    const { bytesRead } = this.#socket
    if (bytesRead !== this.#bytesRead) this.#ticks = 0
    this.#bytesRead = bytesRead
    if (++this.#ticks > silentTicksMax) {
      this.stop()
      return this.#silent(`nothing heard for ${silentTicksMax * tickMillis} ms`)
    }
    this.#ping()
  }

  #ping(): void {
    // False: earlier ones are still under way.
    this.#session.ping((error) => {
      if (error === null) this.#ticks = 0
    })
  }
}
