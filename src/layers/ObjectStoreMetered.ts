/** `ObjectStore` over another one, with reads counted and timed (netsy-1x.md 14.2). Writes are counted by who makes them. */
import { Clock, Effect, Layer } from "effect"
import { catalog } from "../core/metrics/catalog.ts"
import { Metrics } from "../services/Metrics.ts"
import { ObjectStore } from "../services/ObjectStore.ts"

const success = Object.freeze({ result: "success" })
const failure = Object.freeze({ result: "error" })

export const layer: Layer.Layer<ObjectStore, never, ObjectStore | Metrics> = Layer.effect(
  ObjectStore,
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const metrics = yield* Metrics
    const clock = yield* Clock.Clock
    const reads = metrics.counter(catalog.objectStorageReads)
    const seconds = metrics.histogram(catalog.objectStorageReadDuration)
    /** An object that is not there is an answer, not a failure. */
    const counted = <A, E extends { readonly _tag: string }, R>(read: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        const startedAt = clock.monotonicTimeNanosUnsafe()
        return read.pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              const found =
                exit._tag === "Success" ||
                exit.cause.reasons.some((r) => r._tag === "Fail" && r.error._tag === "NotFound")
              const labels = found ? success : failure
              reads.inc(labels)
              seconds.observe(Number(clock.monotonicTimeNanosUnsafe() - startedAt) / 1e9, labels)
            })
          )
        )
      })
    return ObjectStore.of({
      ...store,
      get: (key, options) => counted(store.get(key, options)),
      getStream: (key) => counted(store.getStream(key)),
      head: (key) => counted(store.head(key))
    })
  })
)
