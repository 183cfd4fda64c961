/**
 * All watches of this node. Fed with whole revisions at commit, in order; catches up from `LocalStore` where a
 * watch is behind. Source: etcd-api.md 2.6 (rules W1–W18).
 */
import { Context } from "effect"
import type { Change, WatchSink, WatchStats, WatchStream } from "../core/watch/types.ts"

export type { Change, WatchSink, WatchStats, WatchStream } from "../core/watch/types.ts"

/** Watches without a transport; `Client` is the comfortable way to them. */
export class WatchHub extends Context.Service<
  WatchHub,
  {
    /** Where the requests of one stream go; its answers go to `sink`. */
    readonly open: (sink: WatchSink) => WatchStream
    /** Once, before any `publish`: where the store stands after start. Requests made earlier wait for it. */
    readonly begin: (revision: number, floor: number) => void
    /**
     * The store was loaded again and stands at `revision`, which is not below where it stood: every watch catches up from
     * history, those that need something below the floor end as in rule W6.
     */
    readonly jumped: (revision: number, floor: number) => void
    /** One committed revision, all its changes in `sub` order. Revisions arrive dense and ascending (asserted). */
    readonly publish: (revision: number, changes: ReadonlyArray<Change>) => void
    /**
     * The floor moved: watches below it end as in rule W6. Called before `LocalStore.compact` removes anything, so that a
     * watch never mistakes removed history for silence.
     */
    readonly compacted: (floor: number) => void
    /** For the metrics. */
    readonly stats: () => WatchStats
  }
>()("netsy/services/WatchHub") {}
