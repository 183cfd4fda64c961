/** Drops in the background what a committed compaction allows to be dropped: in memory and on the disk (rules C2, C3, C6). */
import { Context } from "effect"
import type { StateAt } from "./LocalStore.ts"

export interface CompactionTask {
  /** The floor that was committed. */
  readonly revision: number
  /**
   * The committed state now, which takes the place of the operations before it (`LocalStore.compact`); without it they
   * stay. Asked in the Compactor's own fiber, never amid a commit.
   */
  readonly state?: () => StateAt
  /** Frees memory for at most so many keys; true when nothing is left. */
  readonly sweep: (maxKeys: number) => boolean
  /** Memory and disk are done (for `physical`). */
  readonly done: () => void
}

export class Compactor extends Context.Service<
  Compactor,
  {
    /** Returns at once. Tasks run one after the other; a task below a floor that is done already is done at once. */
    readonly request: (task: CompactionTask) => void
  }
>()("netsy/services/Compactor") {}
