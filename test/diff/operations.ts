/** What a sequence is made of, and what a server answers to it. Both are plain data, so that a run can be repeated. */
import type { Plain } from "./messages.ts"

export interface Call {
  readonly kind: "call"
  readonly method: string
  readonly request: Plain
  /** The user whose last token is sent along; a text beginning with `!` is sent as the token itself. */
  readonly as?: string
  /** The label of the lease that this grants with an id of the server's choice. */
  readonly grants?: string
  /** Changes nothing, so it may run beside its neighbours. */
  readonly reads?: boolean
}

/** Authenticate; the token is the user's from now on. */
export interface Login {
  readonly kind: "login"
  readonly user: string
  readonly password: string
}

/** Bytes as they are. */
export interface Raw {
  readonly kind: "raw"
  readonly path: string
  readonly body: string
}

/** The same request as Range and as the concatenation of RangeStream's pieces. */
export interface RangeStream {
  readonly kind: "rangeStream"
  readonly request: Plain
  readonly as?: string
}

export interface KeepAlive {
  readonly kind: "keepAlive"
  readonly ids: ReadonlyArray<unknown>
  readonly as?: string
}

/** A short lease with keys runs out while nothing else happens. */
export interface Expire {
  readonly kind: "expire"
  readonly id: number
  readonly ttl: number
  readonly keys: ReadonlyArray<string>
  /** Kept alive once, after this time. */
  readonly renewAfterMillis?: number
}

export interface OpenStream {
  readonly kind: "open"
  readonly stream: number
  readonly as?: string
}

export interface Watch {
  readonly kind: "watch"
  readonly stream: number
  readonly create: Plain
}

export interface CancelWatch {
  readonly kind: "cancelWatch"
  readonly stream: number
  readonly id: number
}

export interface Progress {
  readonly kind: "progress"
  readonly stream: number
}

export interface EndStream {
  readonly kind: "endStream"
  readonly stream: number
}

export type Operation =
  | Call
  | Login
  | Raw
  | RangeStream
  | KeepAlive
  | Expire
  | OpenStream
  | Watch
  | CancelWatch
  | Progress
  | EndStream

export interface Answer {
  /** gRPC's; 0 is success. */
  readonly code: number
  readonly details: string
  readonly body: Plain | undefined
}

/** What one watch of a stream was told, however it was split over responses. */
export interface WatchLog {
  /** Number of the operation that asked for it. */
  readonly operation: number
  readonly request: Plain
  created: Plain | undefined
  readonly events: Array<Plain>
  ended: Plain | undefined
}

export interface StreamLog {
  /** Number of the operation that opened it. */
  readonly operation: number
  readonly watches: Array<WatchLog>
  /** Manual progress responses, by the operation that asked. */
  readonly progress: Array<{ readonly operation: number; readonly revision: number }>
  /** Cancel requests that were answered though a compaction had ended the watch before. */
  readonly canceledAgain: Array<number>
  /** Promises of the protocol that this server broke on this stream. */
  readonly violations: Array<string>
  ended: { readonly code: number; readonly details: string } | undefined
}

/** Everything a server said in a run. */
export interface Transcript {
  readonly answers: Array<Answer | undefined>
  readonly streams: Array<StreamLog>
}

/** What was known when an operation was sent: the rules for differences ask for it. */
export interface Context {
  readonly head: number
  readonly compact: number
  /** Requests of the watches alive on the stream of a progress request. */
  readonly watches: ReadonlyArray<Plain>
  /** Whether authentication is on. */
  readonly auth: boolean
  /** What was sent as the token: nothing, something made up, or what an earlier login gave. */
  readonly token: "none" | "made up" | "given"
  /** For a watch from the compacted revision: the events of that revision, the newest of every key. */
  readonly compacted: ReadonlyArray<Plain>
}
