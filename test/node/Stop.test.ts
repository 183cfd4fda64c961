/** What a clean stop leaves behind for the next start. */
import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { makeWorld, MemoryDisk, put, range, startNode } from "./world.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

describe("a clean stop", () => {
  it.live("after many writes leaves a snapshot, from which a node without a disk starts", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const world = makeWorld({ NETSY_DATA_DIR: folder })
      const node = yield* startNode(world)
      yield* Effect.forEach(
        Array.from({ length: 600 }, (_, i) => i),
        (i) => node.use(put(`k${i}`, "v")),
        { concurrency: 100 }
      )
      yield* node.stop
      const snapshots = world.bucket.keys().filter((key) => key.startsWith("snapshots/"))
      assert.strictEqual(snapshots.length, 1)
      assert.deepStrictEqual(
        readdirSync(folder).filter((name) => name.endsWith(".tmp")),
        []
      )
      world.disk = new MemoryDisk()
      let chunksRead = 0
      world.decide = (call) => {
        if (call.operation === "get" && call.key.startsWith("chunks/")) chunksRead++
        return undefined
      }
      const again = yield* startNode(world)
      assert.strictEqual((yield* again.use(range())).count, 600)
      // The chunks behind it are looked at by their headers.
      assert.isBelow(chunksRead, 100)
      yield* again.stop
      assert.strictEqual(world.bucket.keys().filter((key) => key.startsWith("snapshots/")).length, 1)
    })
  )

  it.effect("with writes that wait for a hanging bucket gives them all its time, and ends in 16 seconds", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const world = makeWorld({ NETSY_DATA_DIR: folder, NETSY_REPLICATION_STORE_LEASE: "5s" })
      /** Files are written in real time: virtual time goes on in steps that leave some to them. */
      const running = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(effect)
          while (fiber.pollUnsafe() === undefined) {
            yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
            yield* TestClock.adjust(20)
          }
          return yield* Fiber.join(fiber)
        })
      const node = yield* running(startNode(world))
      const writes = Array.from({ length: 600 }, (_, i) => node.use(put(`k${i}`, "v")))
      yield* running(Effect.all(writes, { concurrency: 100, discard: true }))
      world.decide = () => ({ kind: "hang", effect: false })
      const waiting = yield* Effect.forkChild(Effect.flip(node.use(put("k", "v"))))
      yield* Effect.yieldNow
      const before = yield* Clock.currentTimeMillis
      yield* running(node.stop)
      assert.isAtMost((yield* Clock.currentTimeMillis) - before, 16_000)
      assert.strictEqual((yield* Fiber.join(waiting)).message, "etcdserver: request timed out")
    })
  )

  it.live("after few writes leaves none", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const world = makeWorld({ NETSY_DATA_DIR: folder })
      const node = yield* startNode(world)
      yield* node.use(put("a", "1"))
      yield* node.stop
      assert.deepStrictEqual(
        world.bucket.keys().filter((key) => key.startsWith("snapshots/")),
        []
      )
    })
  )
})

describe("a threshold", () => {
  it.live("asks for one snapshot each time, also while writes go on", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const world = makeWorld({ NETSY_DATA_DIR: folder, NETSY_SNAPSHOT_THRESHOLD_RECORDS: "200" })
      const node = yield* startNode(world)
      yield* Effect.forEach(
        Array.from({ length: 500 }, (_, i) => i),
        (i) => node.use(put(`k${i}`, "v".repeat(500))),
        { concurrency: 10 }
      )
      const count = (): number => world.bucket.keys().filter((key) => key.startsWith("snapshots/")).length
      while (count() < 2) yield* Effect.sleep(10)
      yield* Effect.sleep(300)
      assert.strictEqual(count(), 2)
      yield* node.kill
    })
  )
})
