/**
 * Drops in the background what a committed compaction allows to be dropped: in memory at once, on the disk when the
 * bucket has every entry that loses something (rules C2, C3, C6).
 */
import { Context } from "effect"
import type { StateAt } from "./LocalStore.ts"

export interface CompactionTask {
  /** The floor that was committed. */
  readonly revision: number
  /** The disk is left alone until everything up to this index is known to be in the bucket. */
  readonly index: number
  /** Entries up to it need not stay whole in the log, even above the floor; 0: all above the floor do. */
  readonly forgetUpTo?: number
  /**
   * The committed state now, which takes the place of the operations before it (`LocalStore.compact`); without it they
   * stay. Asked in the Compactor's own fiber, never amid a commit.
   */
  readonly state?: () => StateAt
  /** Frees memory for at most so many keys; true when nothing is left. */
  readonly sweep: (maxKeys: number) => boolean
  /**
   * Memory and disk are done (for `physical`). When the bucket lags, memory is done and the disk will be: nobody waits
   * longer than a second for it.
   */
  readonly done: () => void
}

export class Compactor extends Context.Service<
  Compactor,
  {
    /** Returns at once. Tasks run one after the other; a task below a floor that is done already is done at once. */
    readonly request: (task: CompactionTask) => void
    /** The bucket is known to hold every entry up to the index. */
    readonly stored: (index: number) => void
  }
>()("netsy/services/Compactor") {}
