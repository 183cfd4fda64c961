/** Read, change, write with a condition: for small objects that more than one node may write. */
import { Effect } from "effect"
import type { Log } from "../../services/Log.ts"
import { type Condition, type Denied, type ObjectStore, Unavailable } from "../../services/ObjectStore.ts"

/** More conditional writes lost in a row mean a quarrel, which whoever asked should hear of. */
const casAttemptsMax = 5

/** `write` undefined: it stands there already. */
export interface Change<A> {
  readonly write: Uint8Array | undefined
  readonly value: A
}

/**
 * Again when somebody else was faster or the outcome is unknown; `change` then judges what stands there now. A bucket that
 * cannot be read is not waited for.
 */
export const conditionalUpdate =
  (store: ObjectStore["Service"], log: Log["Service"]) =>
  <A, E>(
    key: string,
    change: (body: Uint8Array | undefined) => Effect.Effect<Change<A>, E>
  ): Effect.Effect<A, E | Unavailable | Denied> =>
    Effect.gen(function* () {
      for (let attempt = 1; attempt <= casAttemptsMax; attempt++) {
        const found = yield* store.get(key).pipe(
          Effect.map(({ body, etag }) => ({ body, condition: { ifMatch: etag } as Condition })),
          Effect.catchTag("NotFound", () =>
            Effect.succeed({ body: undefined, condition: { ifAbsent: true } as Condition })
          )
        )
        const { write, value } = yield* change(found.body)
        if (write === undefined) return value
        const landed = yield* store.put(key, write, found.condition).pipe(
          Effect.as(true),
          Effect.catchTag(["PreconditionFailed", "Conflict", "Unavailable"], (error) =>
            Effect.sync(() => {
              log.warn("conditional_write_retried", { key, attempt, error: error.message })
              return false
            })
          )
        )
        if (landed) return value
        if (attempt < casAttemptsMax) yield* Effect.sleep(25 * 2 ** attempt)
      }
      return yield* new Unavailable({
        operation: "PUT",
        key,
        reason: `${casAttemptsMax} conditional writes in a row did not land`
      })
    })
