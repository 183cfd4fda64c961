/** What a new Primary does before it is Active (design 6.4): makes its log and the bucket's history one. */
import { Context, type Effect } from "effect"
import type { Position } from "../core/log/record.ts"
import type { HistoryError } from "./History.ts"
import type { LocalStoreFailed } from "./LocalStore.ts"
import type { Deposed } from "./Reign.ts"

export interface TakenOver {
  /** This term's no-op: committed. */
  readonly head: Position
  readonly revision: number
  readonly floor: number
  /** The newest snapshot on the bucket's path. */
  readonly snapshot: { readonly index: number; readonly bytes: number; readonly atMillis: number } | undefined
  /** Bytes of the chunks behind it. */
  readonly chunkBytes: number
}

export class Takeover extends Context.Service<
  Takeover,
  {
    /**
     * Reads the bucket, takes over what is higher in log order, appends this term's no-op, loads the state machine,
     * uploads what the bucket lacks and waits until the no-op may be committed.
     */
    readonly run: (options: {
      readonly term: number
      readonly load: Effect.Effect<void, LocalStoreFailed>
    }) => Effect.Effect<TakenOver, HistoryError | LocalStoreFailed | Deposed>
  }
>()("netsy/services/Takeover") {}
