/** Drops in the background what a committed compaction allows to be dropped: in memory and on the disk (rules C2, C3, C6). */
import { Context } from "effect"

export interface CompactionTask {
  /** The floor that was committed. */
  readonly revision: number
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
