/**
 * The bucket as one process sees it, in virtual time: each call takes effect and is answered when the plan says so. What
 * was sent takes effect whether or not the process that sent it still lives.
 */
import { Clock, Effect, Exit, Layer, type Scope } from "effect"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import type { MemoryBucket } from "../../src/layers/ObjectStoreMemory.ts"
import { collectBody } from "../../src/layers/objectstore/streams.ts"
import { ObjectStore, Unavailable } from "../../src/services/ObjectStore.ts"
import { clockOf, Life, type VirtualTime } from "./virtual.ts"

/** In virtual milliseconds from the call on; undefined: never. */
export interface Plan {
  readonly effectAfter: number | undefined
  readonly answerAfter: number | undefined
  /** The answer is an Unavailable, whatever happened. */
  readonly lost: boolean
}

export interface WalkBucketOptions {
  readonly time: VirtualTime
  readonly bucket: MemoryBucket
  readonly life: Life
  readonly plan: () => Plan
  readonly exclusive: boolean
}

const holders = new WeakMap<MemoryBucket, Life>()

export const walkBucket = ({ bucket, exclusive, life, plan, time }: WalkBucketOptions): Layer.Layer<ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const storeClock = clockOf(time, new Life(time, 1, 0))
      const at = <A, E>(
        operation: string,
        key: string,
        effect: Effect.Effect<A, E>
      ): Effect.Effect<A, E | Unavailable> =>
        Effect.callback<A, E | Unavailable>((resume) => {
          if (life.dead) return
          const { answerAfter, effectAfter, lost } = plan()
          let exit: Exit.Exit<A, E> | undefined
          if (effectAfter !== undefined) {
            time.after(effectAfter, () => {
              exit = Effect.runSyncExit(Effect.provideService(effect, Clock.Clock, storeClock))
            })
          }
          if (answerAfter === undefined) return
          time.after(answerAfter, () =>
            life.deliver(() => {
              if (operation.startsWith("get") && /^(chunks|snapshots)/.test(key)) time.expectRealWork()
              const answer =
                lost || exit === undefined ? Exit.fail(new Unavailable({ operation, key, reason: "injected" })) : exit
              resume(answer)
            })
          )
        })
      const lock: Effect.Effect<boolean, never, Scope.Scope> = Effect.acquireRelease(
        Effect.sync(() => {
          const holder = holders.get(bucket)
          if (holder !== undefined && !holder.dead) return false
          holders.set(bucket, life)
          return true
        }),
        (taken) =>
          Effect.sync(() => {
            if (taken && holders.get(bucket) === life) holders.delete(bucket)
          })
      )
      return ObjectStore.of({
        ...store,
        get: (key, options) => at("get", key, store.get(key, options)),
        getStream: (key) => at("getStream", key, store.getStream(key)),
        head: (key) => at("head", key, store.head(key)),
        put: (key, body, condition) => {
          const given = body.slice()
          return at("put", key, store.put(key, given, condition))
        },
        putStream: (key, body, condition) =>
          Effect.flatMap(collectBody("put", key, body), (given) =>
            at("putStream", key, store.put(key, given, condition))
          ),
        copy: (from, to) => at("copy", to, store.copy(from, to)),
        delete: (key) => at("delete", key, store.delete(key)),
        deleteMany: (keys) => at("deleteMany", keys[0] ?? "", store.deleteMany(keys)),
        list: (options) => at("list", options.prefix, store.list(options)),
        exclusive: exclusive ? lock : undefined
      })
    })
  ).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket })))
