/** The committed state that the local log makes up to an index. */
import { Effect } from "effect"
import { assert } from "../../core/assert.ts"
import { LoadedState } from "../../core/state/LoggedState.ts"
import type { LocalStore, LocalStoreFailed } from "../../services/LocalStore.ts"

const pageRecords = 4_096
const pageBytes = 4 * 1024 * 1024

export const loadState = (
  local: LocalStore["Service"],
  upToIndex: number
): Effect.Effect<LoadedState, LocalStoreFailed> =>
  Effect.gen(function* () {
    const { floor } = yield* local.bounds
    const loaded = new LoadedState(floor)
    const view = yield* local.view(upToIndex)
    for (let done = false; !done;) {
      const page = yield* view.next(pageRecords, pageBytes)
      done = page.done
      loaded.add(page.records)
    }
    yield* view.close
    const term = upToIndex === 0 ? 0 : yield* local.termAt(upToIndex)
    assert(term !== undefined, `the log was loaded up to index ${upToIndex}, which it does not hold`)
    loaded.end({ index: upToIndex, term })
    return loaded
  })
