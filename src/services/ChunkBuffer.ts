/**
 * Chunks on their way to the bucket. Owns their keys and bytes: what was sent once is sent again with the same bytes
 * until it is known to be stored (design 5, 6.5).
 */
import { Context, type Effect } from "effect"
import type { Entry } from "../core/log/record.ts"

export interface ChunkToStore {
  /** Contiguous, at least one. The key is made from the last one's index. */
  readonly entries: ReadonlyArray<Entry>
  /** Term of the entry before the first. */
  readonly prevTerm: number
  /** Term of the Primary that writes it. */
  readonly term: number
  /** Every index ≤ this is known to be in the bucket now. */
  readonly stored: number
  /** Compaction revision at this time, 0: none. */
  readonly floor: number
}

export class ChunkBuffer extends Context.Service<
  ChunkBuffer,
  {
    /**
     * Never fails: an unknown outcome is tried again and read back until it is known. `taken`: the key belongs to a dead
     * branch; the entries must go into a chunk that ends at another index.
     */
    readonly store: (chunk: ChunkToStore) => Effect.Effect<"stored" | "taken">
  }
>()("netsy/services/ChunkBuffer") {}
