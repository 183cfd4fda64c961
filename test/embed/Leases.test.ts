/** Leases that are kept alive, locks and elections, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Client, Netsy, Txn } from "../../src/index.ts"

const memory = () => Effect.provide(Netsy.layerMemory({ log: { to: "none" } }))

/** What is under way gets on, without time passing. */
const settle = Effect.gen(function* () {
  for (let i = 0; i < 20; i++) yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
})

describe("a lease", () => {
  it.effect("is kept alive as long as its scope is open, and then ended with its keys", () =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* client.lease({ ttl: "10 seconds" })
          assert.strictEqual(lease.ttlSeconds, 10)
          yield* client.put("alive", "1", { lease })
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* client.get("alive"))?.lease, lease.id)
          const info = yield* client.timeToLive(lease.id)
          assert.deepStrictEqual(
            [info?.grantedTtlSeconds, info?.keys.map((key) => Buffer.from(key).toString())],
            [10, ["alive"]]
          )
        })
      )
      assert.strictEqual(yield* client.get("alive"), undefined)
      assert.deepStrictEqual(yield* client.leases, [])
    }).pipe(memory())
  )

  it.effect("that nobody keeps alive ends by itself, unless it is renewed", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const { id } = yield* client.grant("10 seconds")
      yield* TestClock.adjust("8 seconds")
      assert.strictEqual(yield* client.keepAlive(id), 10)
      yield* TestClock.adjust("8 seconds")
      assert.isDefined(yield* client.timeToLive(id))
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(yield* client.timeToLive(id))
      assert.strictEqual((yield* Effect.flip(client.keepAlive(id)))._tag, "LeaseLost")
    }).pipe(memory())
  )

  it.effect("that is revoked by somebody is lost at the next renewal, and what ran with it is interrupted", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const id = yield* Deferred.make<bigint>()
      let interrupted = false
      const working = yield* client
        .withLease({ ttl: "9 seconds" }, (lease) =>
          Effect.andThen(
            Deferred.succeed(id, lease.id),
            Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true)))
          )
        )
        .pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
      yield* client.revoke(yield* Deferred.await(id))
      yield* TestClock.adjust("2 seconds")
      assert.isFalse(interrupted)
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(working)
      assert.strictEqual(error._tag, "LeaseLost")
      assert.isTrue(interrupted)
    }).pipe(memory())
  )

  it.effect("counts as lost when nobody confirms it for its whole time", () => {
    const network = Netsy.network()
    return Effect.gen(function* () {
      const client = yield* Client
      const lease = yield* client.lease({ ttl: "10 seconds" })
      const lost = yield* Effect.forkChild(Effect.flip(lease.lost), { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      // Without the bucket the Primary may not say anything any more.
      network.isolate("alone")
      yield* TestClock.adjust("6 seconds")
      assert.isUndefined(lost.pollUnsafe())
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(lost)).id, lease.id)
      network.rejoin("alone")
      yield* TestClock.adjust("5 seconds")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Netsy.layerMemory({ network, nodeId: "alone", replication: { storeLease: "1 second" }, log: { to: "none" } })
      )
    )
  })
})

describe("a lock", () => {
  it.effect("is held by one at a time, in the order in which they came", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const order: Array<number> = []
      let inside = 0
      const worker = (n: number) =>
        client.withLock("locks/a", () =>
          Effect.gen(function* () {
            assert.strictEqual(++inside, 1)
            order.push(n)
            yield* Effect.sleep("1 second")
            inside--
          })
        )
      const workers: Array<Fiber.Fiber<void, unknown>> = []
      for (const n of [1, 2, 3]) {
        workers.push(yield* Effect.forkChild(worker(n)))
        yield* settle
      }
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("1 second")
        yield* settle
      }
      for (const fiber of workers) yield* Fiber.join(fiber)
      assert.deepStrictEqual(order, [1, 2, 3])
      assert.strictEqual(yield* client.count({ prefix: "locks/" }), 0)
    }).pipe(memory())
  )

  it.effect("that is lost interrupts its holder, who can no longer write under it", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const held = yield* Deferred.make<Uint8Array>()
      const holder = yield* client
        .withLock("a", (lock) => Effect.andThen(Deferred.succeed(held, lock.key), Effect.never), { ttl: "6 seconds" })
        .pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
      const key = yield* Deferred.await(held)
      yield* client.delete(key)
      const { succeeded } = yield* client.txn({ if: [Txn.present(key)], then: [Txn.put("b", "1")] })
      assert.isFalse(succeeded)
      for (const id of yield* client.leases) yield* client.revoke(id)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(holder))._tag, "LeaseLost")
    }).pipe(memory())
  )

  it.effect("whose lease runs out in the line says so", () =>
    Effect.gen(function* () {
      const client = yield* Client
      yield* client.lock("a")
      const second = yield* Effect.forkChild(Effect.flip(Effect.scoped(client.lock("a", { ttl: "6 seconds" }))))
      yield* settle
      const [, own] = (yield* client.range({ prefix: "a/" }, { sort: { by: "createRevision" } })).entries
      yield* client.revoke(own!.lease)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(second))._tag, "LeaseLost")
    }).pipe(Effect.scoped, memory())
  )
})

describe("an election", () => {
  it.effect("has one leader, tells who it is and what it says, and goes on to the next", () =>
    Effect.gen(function* () {
      const client = yield* Client
      assert.isUndefined(yield* client.leader("e"))
      const seen: Array<string> = []
      yield* Effect.forkChild(
        Stream.runForEach(client.observe("e"), ({ value }) => Effect.sync(() => seen.push(value))),
        { startImmediately: true }
      )
      const term = yield* Scope.make()
      const first = yield* Scope.provide(client.campaign("e", "one"), term)
      const next = yield* Effect.forkChild(client.campaign("e", "two"))
      yield* settle
      assert.strictEqual((yield* client.leader("e"))?.value, "one")
      yield* first.proclaim("one, still")
      yield* settle
      yield* Scope.close(term, Exit.void)
      const second = yield* Fiber.join(next)
      assert.strictEqual((yield* client.leader("e"))?.key, Buffer.from(second.key).toString())
      yield* settle
      assert.deepStrictEqual(seen, ["one", "one, still", "two"])
    }).pipe(Effect.scoped, memory())
  )
})
