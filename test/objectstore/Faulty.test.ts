import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as ObjectStoreFaulty from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { conformance } from "./conformance.ts"
import { openStore } from "./support.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const withFault = (fault: ObjectStoreFaulty.Fault) =>
  ObjectStoreFaulty.layer((call) => (call.operation === "put" && call.nth === 1 ? fault : undefined)).pipe(
    Layer.provide(ObjectStoreMemory.layer())
  )

conformance(
  "ObjectStoreFaulty without faults",
  ObjectStoreFaulty.layer(() => undefined).pipe(Layer.provide(ObjectStoreMemory.layer()))
)

describe("ObjectStoreFaulty", () => {
  const present = Effect.flatMap(ObjectStore, (store) => store.list({ prefix: "" })).pipe(
    Effect.map((page) => page.objects.length === 1)
  )

  it.effect("a failed put has no effect and the next one works", () =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      assert.strictEqual((yield* Effect.flip(store.put("k", bytes("x"))))._tag, "Unavailable")
      assert.isFalse(yield* present)
      yield* store.put("k", bytes("x"))
      assert.isTrue(yield* present)
    }).pipe(Effect.provide(withFault({ kind: "fail" })))
  )

  it.effect("a lost answer looks like a failure and has taken effect", () =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      assert.strictEqual((yield* Effect.flip(store.put("k", bytes("x"), { ifAbsent: true })))._tag, "Unavailable")
      const again = yield* Effect.flip(store.put("k", bytes("x"), { ifAbsent: true }))
      assert.strictEqual(again._tag, "PreconditionFailed")
    }).pipe(Effect.provide(withFault({ kind: "lose" })))
  )

  it.effect(
    "a late put lands after its failure, with the bytes it was given, and only if its condition still holds",
    () =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        const body = bytes("given")
        assert.strictEqual((yield* Effect.flip(store.put("k", body, { ifAbsent: true })))._tag, "Unavailable")
        body.fill(0)
        assert.isFalse(yield* present)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(new TextDecoder().decode((yield* store.get("k")).body), "given")
      }).pipe(Effect.provide(withFault({ kind: "late", millis: 10_000 })))
  )

  it.effect("a delayed put answers when the clock says so", () =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const fiber = yield* Effect.forkChild(store.put("k", bytes("x")), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      assert.isFalse(yield* present)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.isTrue(yield* present)
    }).pipe(Effect.provide(withFault({ kind: "delay", millis: 1000 })))
  )

  it.effect("a hanging put may have taken effect and ends only by interruption", () =>
    Effect.gen(function* () {
      const store = yield* ObjectStore
      const fiber = yield* Effect.forkChild(store.put("k", bytes("x")), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(fiber.pollUnsafe())
      assert.isTrue(yield* present)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(withFault({ kind: "hang", effect: true })))
  )
})

describe("ObjectStoreMemory", () => {
  it.effect("stores over one bucket see each other, and only one holds its lock", () =>
    Effect.gen(function* () {
      const bucket = new ObjectStoreMemory.MemoryBucket()
      const open = openStore(ObjectStoreMemory.layer({ bucket, exclusive: true }))
      const first = yield* open
      const second = yield* open
      yield* first.put("k", bytes("x"))
      assert.strictEqual((yield* second.head("k")).size, 1)
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isTrue(yield* first.exclusive!)
          assert.isFalse(yield* Effect.scoped(second.exclusive!))
        })
      )
      assert.isTrue(yield* Effect.scoped(second.exclusive!))
    })
  )
})
