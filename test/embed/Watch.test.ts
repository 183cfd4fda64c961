/** Watches as streams. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Stream } from "effect"
import { type ChangeEvent, Client, Netsy, WatchHub } from "../../src/index.ts"

const memory = () => Effect.provide(Netsy.layerMemory({ log: { to: "none" } }))

const shown = ({ entry, previous, type }: ChangeEvent): string =>
  `${type} ${entry.key}=${entry.value}${previous === undefined ? "" : ` was ${previous.value}`}`

const openWatches = WatchHub.use((hub) => Effect.sync(() => hub.stats().watches))

describe("a watch", () => {
  it.effect("tells every change from its revision on, with what was there before, or one kind of them", () =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* client.put("a", "1")
      yield* client.put("b", "1")
      yield* client.put("a", "2")
      yield* client.delete("a")
      const all = yield* client
        .watch({ prefix: "a" }, { revision: 1, previous: true })
        .pipe(Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual([...all].map(shown), ["put a=1", "put a=2 was 1", "delete a= was 2"])
      const deletes = yield* client
        .watch({ prefix: "" }, { revision: 1, only: "delete" })
        .pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual([...deletes].map(shown), ["delete a="])
      assert.strictEqual(yield* openWatches, 0)
    }).pipe(memory())
  )

  it.effect("of the present tells what happens after it was begun", () =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* client.put("a", "before")
      const begun = yield* Stream.toPull(client.watch("a"))
      const first = yield* Effect.forkChild(begun)
      while ((yield* openWatches) === 0) yield* Effect.yieldNow
      yield* client.put("a", "after")
      assert.deepStrictEqual((yield* Fiber.join(first)).map(shown), ["put a=after"])
    }).pipe(Effect.scoped, memory())
  )

  it.effect("that is closed or interrupted ends in the store too", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const fibers = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(Stream.runDrain(client.watch({ prefix: "" })), { startImmediately: true })
      )
      assert.strictEqual(yield* openWatches, 3)
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* openWatches, 0)
    }).pipe(memory())
  )

  it.effect("that is not read holds little, and misses nothing", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const count = 600
      const go = yield* Latch.make(false)
      let held = 0
      const reader = yield* client.watch({ prefix: "k" }, { revision: 1 }).pipe(
        Stream.tap(() =>
          Effect.andThen(
            Effect.sync(() => held++),
            go.await
          )
        ),
        Stream.take(count),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      for (let i = 0; i < count; i++) yield* client.put(`k${i}`, "x".repeat(4_000))
      assert.strictEqual(held, 1)
      const { slow, eventsSent } = yield* WatchHub.use((hub) => Effect.sync(() => hub.stats()))
      // The rest waits in the store's history.
      assert.strictEqual(slow, 1)
      assert.isBelow(eventsSent, count)
      yield* go.open
      const events = yield* Fiber.join(reader)
      assert.deepStrictEqual(
        [...events].map(({ entry }) => entry.key),
        Array.from({ length: count }, (_, i) => `k${i}`)
      )
    }).pipe(memory())
  )

  it.effect("of what has been compacted fails, and says where the history begins", () =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* client.put("a", "1")
      const { revision } = yield* client.put("a", "2")
      yield* client.compact(revision, { physical: true })
      const error = yield* Effect.flip(Stream.runDrain(client.watch("a", { revision: 2 })))
      assert.ok(error._tag === "EtcdCompacted")
      assert.strictEqual(error.compactRevision, revision)
      assert.strictEqual(error.message, "etcdserver: mvcc: required revision has been compacted")
    }).pipe(memory())
  )

  it.live("tells how far it is when it is asked to", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const { revision } = yield* client.put("other", "1")
      const [event] = yield* client
        .watch("a", { progress: true })
        .pipe(Stream.take(1), Stream.runCollect, Effect.timeout("5 seconds"))
      assert.deepStrictEqual(event, { type: "progress", revision })
    }).pipe(Effect.provide(Netsy.layerMemory({ watch: { progressInterval: "100 millis" } })))
  )
})
