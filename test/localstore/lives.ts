/** Small tools of the common suite: one life of a store, and a test over a store on an empty disk. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, type Layer, type Scope } from "effect"
import { InvariantViolation } from "../../src/core/assert.ts"
import type { LogRecord } from "../../src/core/log/record.ts"
import { LocalStore, type LocalStoreFailed } from "../../src/services/LocalStore.ts"

/** Makes the layer over a new, empty disk; every use of the layer is one life of a node on that disk. */
export type Disk = Effect.Effect<Layer.Layer<LocalStore, LocalStoreFailed>, never, Scope.Scope>
type Service = LocalStore["Service"]

/** One life of the store: opened, used, closed. */
export const life = <A, E>(
  layer: Layer.Layer<LocalStore, LocalStoreFailed>,
  use: (store: Service) => Effect.Effect<A, E>
) => Effect.flatMap(LocalStore, use).pipe(Effect.provide(layer))

/** A test over one life of a store on an empty disk. */
export const onFresh =
  (disk: Disk) =>
  (title: string, use: (store: Service) => Effect.Effect<void, unknown>): void =>
    it.effect(title, () => Effect.flatMap(disk, (layer) => life(layer, use)))

/** An invariant refused it. */
export const broken = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof InvariantViolation

/** All records of a view, by pages of three. */
export const viewed = Effect.fnUntraced(function* (store: Service, upToIndex: number, floor = 0) {
  const view = yield* store.view(upToIndex, floor)
  const records: Array<LogRecord> = []
  for (;;) {
    const page = yield* view.next(3, 1e9)
    assert.isAtMost(page.records.length, 3)
    records.push(...page.records)
    if (page.done) break
  }
  yield* view.close
  return records
})
