/** One connection to a peer, from dialling to its end, and what is under way on it. */
import { type ClientHttp2Session, connect } from "node:http2"
import type { Socket } from "node:net"
import type { PeerAddress } from "../../services/PeerNetwork.ts"
import { dial, type DialOptions } from "./dial.ts"
import { sessionOptions, SilenceWatch, widen } from "./session.ts"

/** A call or a stream that wants to go over the connection. */
export interface Use {
  /** The connection is there. May throw when it is not any more. */
  readonly start: (session: ClientHttp2Session) => void
  /** The connection cannot be had, or is gone. `goaway`: streams above it were not looked at by the peer. */
  readonly broke: (reason: string, goaway: number) => void
}

export interface LinkEvents {
  readonly opened: () => void
  /** No new use may be given to it; what is under way may go on. */
  readonly closing: () => void
  /** Why, and whether it had ever been open. Every use has been told. */
  readonly gone: (reason: string, wasOpen: boolean) => void
}

export class Link {
  readonly #events: LinkEvents
  readonly #uses = new Set<Use>()
  #session: ClientHttp2Session | undefined
  #socket: Socket | undefined
  #watch: SilenceWatch | undefined
  #stopDialling: (() => void) | undefined
  #goaway = Number.MAX_SAFE_INTEGER
  #isGone = false
  #isClosing = false

  constructor(to: PeerAddress, options: DialOptions, events: LinkEvents) {
    this.#events = events
    this.#stopDialling = dial(to, options, (result) => {
      this.#stopDialling = undefined
      if (typeof result === "string") return this.#end(result)
      const { authority, socket } = result
      const session = connect(authority, { ...sessionOptions, createConnection: () => socket })
      this.#session = session
      this.#socket = socket
      this.#watch = new SilenceWatch(session, socket, (reason) => this.#end(reason))
      session.on("error", (error) => this.#end(error.message))
      // A session that has a write under way when TLS finds damaged bytes tells nobody of its end, and leaves the socket open.
      socket.once("error", (error) => this.#end(error.message))
      socket.once("close", () => this.#end("the connection was closed by the peer"))
      session.on("goaway", (_code, last) => {
        if (last !== undefined) this.#goaway = last
        this.#close()
      })
      session.once("close", () => this.#end("the connection was closed by the peer"))
      socket.once("end", () => this.#end("the connection was closed by the peer"))
      session.once("connect", () => {
        widen(session)
        this.#events.opened()
        if (this.#uses.size > 0) this.#watch?.start()
        for (const use of this.#uses) this.#begin(use, session)
      })
    })
  }

  get size(): number {
    return this.#uses.size
  }

  add(use: Use): void {
    this.#uses.add(use)
    const session = this.#session
    if (session === undefined || session.connecting) return
    this.#watch?.start()
    this.#begin(use, session)
  }

  remove(use: Use): void {
    this.#uses.delete(use)
    if (this.#uses.size > 0) return
    this.#watch?.rest()
    if (this.#isClosing) this.#session?.close()
  }

  /** Ends it now. */
  destroy(reason: string): void {
    this.#end(reason)
  }

  #begin(use: Use, session: ClientHttp2Session): void {
    try {
      use.start(session)
    } catch (error) {
      // The session has just learned that it is over.
      this.#uses.delete(use)
      use.broke(error instanceof Error ? error.message : String(error), 0)
    }
  }

  #close(): void {
    if (this.#isClosing || this.#isGone) return
    this.#isClosing = true
    this.#events.closing()
    if (this.#uses.size === 0) this.#session?.close()
  }

  #end(reason: string): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#stopDialling?.()
    this.#watch?.stop()
    const wasOpen = this.#session !== undefined && !this.#session.connecting
    this.#events.gone(reason, wasOpen)
    const uses = Array.from(this.#uses)
    this.#uses.clear()
    for (const use of uses) use.broke(reason, this.#goaway)
    this.#session?.destroy()
    const socket = this.#socket
    // After what the session says to the end; a write that hangs does not keep the socket.
    if (socket !== undefined) setImmediate(() => socket.destroy())
  }
}
