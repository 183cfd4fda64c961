/** The values that go into the watch machinery and come out of it, shared by the service and its layers. */
import type { LogRecord } from "../log/record.ts"
import type { KeyValue, WatchRequest, WatchResponse } from "../wire/messages.ts"

/** One committed key change with the version it replaced (undefined: there was none). */
export interface Change {
  readonly record: LogRecord
  readonly previous: KeyValue | undefined
}

/** Where a stream's responses go. */
export interface WatchSink {
  /**
   * False: the response was taken but the receiver's buffer is full; nothing more is sent to it until
   * `WatchStream.drained`, which must not be called before `send` has returned.
   */
  readonly send: (response: WatchResponse) => boolean
}

/** One bidirectional Watch stream. */
export interface WatchStream {
  /**
   * False: the request was not taken, because too many answers wait for a receiver that does not read. The caller
   * ends the stream (ResourceExhausted, `too many requests`). A create with a refusal is answered in its turn with that
   * reason (rule W3).
   */
  readonly request: (request: WatchRequest, refusal?: string) => boolean
  /** The receiver takes data again. */
  readonly drained: () => void
  /** Ends every watch of the stream; nothing is sent any more. */
  readonly close: () => void
}

/** How many watches there are, and how far they are behind. */
export interface WatchStats {
  readonly streams: number
  readonly watches: number
  /** Watches that are catching up from history. */
  readonly slow: number
  /** Lowest revision that some watch still needs; the current revision + 1 when there is none. */
  readonly minRevision: number
  readonly eventsSent: number
}
