/**
 * All watches of this node. Fed with whole revisions at commit, in order; catches up from `LocalStore` where a
 * watch is behind. Source: etcd-api.md 2.6 (rules W1–W18).
 */
import { Context } from "effect"
import type { LogRecord } from "../core/log/record.ts"
import type { KeyValue, WatchRequest, WatchResponse } from "../core/wire/messages.ts"

/** One committed key change with the version it replaced (undefined: there was none). */
export interface Change {
  readonly record: LogRecord
  readonly previous: KeyValue | undefined
}

/** Where a stream's responses go. */
export interface WatchSink {
  /** False: the receiver's buffer is full; nothing more is sent to it until `WatchStream.drained`. */
  readonly send: (response: WatchResponse) => boolean
}

/** One bidirectional Watch stream. */
export interface WatchStream {
  readonly request: (request: WatchRequest) => void
  /** The receiver takes data again. */
  readonly drained: () => void
  /** Ends every watch of the stream; nothing is sent any more. */
  readonly close: () => void
}

export interface WatchStats {
  readonly streams: number
  readonly watches: number
  /** Watches that are catching up from history. */
  readonly slow: number
  /** Lowest revision that some watch still needs; the current revision + 1 when there is none. */
  readonly minRevision: number
  readonly eventsSent: number
}

export class WatchHub extends Context.Service<WatchHub, {
  readonly open: (sink: WatchSink) => WatchStream
  /** Once, before any `publish`: where the store stands after start. */
  readonly begin: (revision: number, floor: number) => void
  /** One committed revision, all its changes in `sub` order. Revisions arrive dense and ascending (asserted). */
  readonly publish: (revision: number, changes: ReadonlyArray<Change>) => void
  /** The floor moved: watches below it end as in rule W6. */
  readonly compacted: (floor: number) => void
  readonly stats: () => WatchStats
}>()("netsy/services/WatchHub") {}
