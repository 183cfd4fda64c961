/**
 * A replica learns beforehand what the bucket's history is made of: whoever becomes Primary reads it, and one request for
 * each chunk of a day would be the longest part of a change of Primary. While nothing is written nothing is listed.
 */
import { Effect } from "effect"
import type { ClusterView } from "../../services/ClusterView.ts"
import type { History } from "../../services/History.ts"
import type { Log } from "../../services/Log.ts"

const pollMillis = 100
/** In mode quorum a chunk a minute is usual. */
const againMillis = 10 * 60_000
/**
 * In mode store every batch is a chunk: new ones are looked for so often, for each thousand that are listed. What a stop
 * finds unread is what was written since.
 */
const storeMillis = 1_000
const pageObjects = 1_000
const retryMillis = 10_000

export interface WarmParts {
  readonly history: History["Service"]
  readonly view: ClusterView["Service"]
  readonly journal: Log["Service"]
  readonly nowMillis: () => number
  readonly storedIndex: () => number
  /** This node follows, and is not busy catching up. */
  readonly rests: () => boolean
}

export const makeWarm = ({ history, journal, nowMillis, rests, storedIndex, view }: WarmParts): Effect.Effect<never> =>
  Effect.gen(function* () {
    let warmedAt: number | undefined
    let warmedTo = 0
    let listed = 0
    let wasStore = false
    const untilBusy = Effect.gen(function* () {
      while (rests()) yield* Effect.sleep(pollMillis)
    })
    const isDue = (): boolean => {
      const { arbiter, nodes } = view.current()
      if (arbiter === undefined || nodes.length < 2 || !rests()) return false
      if (warmedAt === undefined) return true
      const isStore = arbiter.mode === "store"
      if (wasStore && !isStore) return true
      wasStore = isStore
      const pause = isStore ? storeMillis * (1 + Math.floor(listed / pageObjects)) : againMillis
      return nowMillis() - warmedAt >= pause && storedIndex() !== warmedTo
    }
    for (;;) {
      yield* Effect.sleep(pollMillis)
      if (!isDue()) continue
      const to = storedIndex()
      const begun = nowMillis()
      const recoveredTerm = view.current().arbiter?.recovered?.term
      const done = yield* history.warm({ recoveredTerm }).pipe(
        Effect.catch((error) => {
          journal.debug("history_warm_up_failed", { error: error.message })
          return Effect.as(Effect.sleep(retryMillis), undefined)
        }),
        Effect.raceFirst(Effect.as(untilBusy, undefined))
      )
      if (done === undefined) continue
      listed = done
      warmedAt = nowMillis()
      warmedTo = to
      wasStore = view.current().arbiter?.mode === "store"
      journal.debug("history_warm_up_completed", { stored_index: to, duration_ms: Math.round(warmedAt - begun) })
    }
  })
