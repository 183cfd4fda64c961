/** What a new Primary does before it may commit (design 6.4): makes its log and the bucket's history one, and stores it. */
import { Context, type Effect } from "effect"
import type { Position } from "../core/log/record.ts"
import type { HistoryError } from "./History.ts"
import type { LocalStoreFailed } from "./LocalStore.ts"
import type { Deposed, Hold } from "./Reign.ts"

export interface TakenOver {
  /** This term's newest no-op: on disk and in the bucket with everything before it. */
  readonly head: Position
  readonly revision: number
  readonly floor: number
  /** The newest snapshot on the bucket's path. */
  readonly snapshot: { readonly index: number; readonly bytes: number; readonly atMillis: number } | undefined
  /** Bytes of the chunks behind it. */
  readonly chunkBytes: number
  /** The log was replaced by the bucket's history: whoever had loaded it loads again, up to this index; undefined: not. */
  readonly restored: { readonly index: number } | undefined
}

export class Takeover extends Context.Service<
  Takeover,
  {
    /**
     * Reads the bucket, takes over what is higher in log order, appends this term's no-op, and uploads what the bucket
     * lacks, entries of older terms too. Commits nothing.
     */
    readonly run: (
      hold: Hold,
      commitIndex: number
    ) => Effect.Effect<TakenOver, HistoryError | LocalStoreFailed | Deposed>
  }
>()("netsy/services/Takeover") {}
