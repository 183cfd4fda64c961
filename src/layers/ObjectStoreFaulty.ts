/**
 * `ObjectStore` over another one, with faults on request, for tests and the simulator. Time is the `Clock`'s, so a
 * virtual clock sees every delay. What cannot happen on a real store does not happen here: a failed conditional write
 * never lands, and whoever hangs is freed by interruption.
 */
import { Effect, Layer, type Scope } from "effect"
import { ObjectStore, Unavailable } from "../services/ObjectStore.ts"

export type Operation = "get" | "getStream" | "head" | "put" | "putStream" | "copy" | "delete" | "deleteMany" | "list"

export interface Call {
  readonly operation: Operation
  /** The target of a copy, the first key of a bulk delete, the prefix of a listing. */
  readonly key: string
  /** How many calls of this operation there have been, this one included. */
  readonly nth: number
}

export type Fault =
  /** Takes effect and answers after this time. */
  | { readonly kind: "delay"; readonly millis: number }
  /** Unavailable, no effect. */
  | { readonly kind: "fail" }
  /** Takes effect; the answer is lost: Unavailable. */
  | { readonly kind: "lose" }
  /** Unavailable now; takes effect after this time. */
  | { readonly kind: "late"; readonly millis: number }
  /** Never answers; takes effect or not. */
  | { readonly kind: "hang"; readonly effect: boolean }

const inject = <A, E>(
  call: Call,
  fault: Fault | undefined,
  scope: Scope.Scope,
  effect: Effect.Effect<A, E>
): Effect.Effect<A, E | Unavailable> => {
  if (fault === undefined) return effect
  const lost = Effect.fail(
    new Unavailable({ operation: call.operation, key: call.key, reason: `injected: ${fault.kind}` })
  )
  switch (fault.kind) {
    case "delay":
      return Effect.delay(effect, fault.millis)
    case "fail":
      return lost
    case "lose":
      return Effect.andThen(Effect.exit(effect), lost)
    case "late":
      return Effect.andThen(Effect.forkIn(Effect.exit(Effect.delay(effect, fault.millis)), scope), lost)
    case "hang":
      return fault.effect ? Effect.andThen(Effect.exit(effect), Effect.never) : Effect.never
  }
}

/** `decide` is asked at every call, when it is made. */
export const layer = (decide: (call: Call) => Fault | undefined): Layer.Layer<ObjectStore, never, ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const scope = yield* Effect.scope
      const counts = new Map<Operation, number>()
      const at = <A, E>(
        operation: Operation,
        key: string,
        effect: Effect.Effect<A, E>
      ): Effect.Effect<A, E | Unavailable> =>
        Effect.suspend(() => {
          const nth = (counts.get(operation) ?? 0) + 1
          counts.set(operation, nth)
          const call = { operation, key, nth }
          return inject(call, decide(call), scope, effect)
        })
      return ObjectStore.of({
        ...store,
        get: (key, options) => at("get", key, store.get(key, options)),
        getStream: (key) => at("getStream", key, store.getStream(key)),
        head: (key) => at("head", key, store.head(key)),
        put: (key, body, condition) => {
          // What lands late is what was given now.
          const given = body.slice()
          return at("put", key, store.put(key, given, condition))
        },
        putStream: (key, body, condition) => at("putStream", key, store.putStream(key, body, condition)),
        copy: (from, to) => at("copy", to, store.copy(from, to)),
        delete: (key) => at("delete", key, store.delete(key)),
        deleteMany: (keys) => at("deleteMany", keys[0] ?? "", store.deleteMany(keys)),
        list: (options) => at("list", options.prefix, store.list(options))
      })
    })
  )
