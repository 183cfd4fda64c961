/** What only the memory disk can do: hold syncs, crash, come back older, refuse writes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { puts } from "./records.ts"

const { MemoryDisk } = LocalStoreMemory

const use = <A, E>(
  disk: LocalStoreMemory.MemoryDisk,
  body: (store: LocalStore["Service"]) => Effect.Effect<A, E>,
  syncDelay?: string
) =>
  Effect.flatMap(LocalStore, body).pipe(
    Effect.provide(LocalStoreMemory.layer(syncDelay === undefined ? { disk } : { disk, syncDelay: "10 millis" }))
  )

const lastIndex = (disk: LocalStoreMemory.MemoryDisk) => use(disk, (store) => Effect.succeed(store.opened.last.index))

describe("MemoryDisk", () => {
  it.effect("loses in a crash what was not synced, and fails who waited for it", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      yield* use(disk, (store) =>
        Effect.gen(function* () {
          yield* store.append(puts(1, 2), 0)
          disk.holdSyncs()
          const waiting = yield* Effect.forkChild(store.append(puts(3, 4), 0), { startImmediately: true })
          assert.strictEqual((yield* store.bounds).last.index, 4)
          assert.strictEqual(disk.unsyncedCount, 1)
          disk.crash()
          assert.include((yield* Effect.flip(Fiber.join(waiting))).message, "the node has crashed")
          assert.include((yield* Effect.flip(store.bounds)).message, "closed")
        })
      )
      assert.strictEqual(yield* lastIndex(disk), 2)
    })
  )

  it.effect("may keep the oldest of the unsynced writes", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      yield* use(disk, (store) =>
        Effect.gen(function* () {
          disk.holdSyncs()
          for (const index of [1, 2, 3]) {
            yield* Effect.forkChild(store.append(puts(index, index), 0), { startImmediately: true })
          }
          disk.crash(2)
        })
      )
      assert.strictEqual(yield* lastIndex(disk), 2)
    })
  )

  it.effect("lets held writes succeed when the sync is released", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      yield* use(disk, (store) =>
        Effect.gen(function* () {
          disk.holdSyncs()
          const waiting = yield* Effect.forkChild(store.promise({ fenced: 3, reigned: 0 }), { startImmediately: true })
          assert.strictEqual(disk.unsyncedCount, 1)
          disk.releaseSyncs()
          yield* Fiber.join(waiting)
          disk.crash()
        })
      )
      assert.strictEqual((yield* use(disk, (store) => Effect.succeed(store.opened.promises))).fenced, 3)
    })
  )

  it.effect("takes its time to sync, on the clock of the test", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      yield* use(
        disk,
        (store) =>
          Effect.gen(function* () {
            const append = yield* Effect.forkChild(store.append(puts(1, 1), 0), { startImmediately: true })
            yield* TestClock.adjust("9 millis")
            assert.strictEqual(disk.unsyncedCount, 1)
            yield* TestClock.adjust("1 millis")
            yield* Fiber.join(append)
            assert.strictEqual(disk.unsyncedCount, 0)
          }),
        "10 millis"
      )
    })
  )

  it.effect("comes back older than it was, with its incarnation and fewer starts", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      const incarnation = yield* use(disk, (store) => Effect.as(store.append(puts(1, 2), 0), store.opened.incarnation))
      const older = disk.snapshot()
      yield* use(disk, (store) => store.append(puts(3, 9), 0))
      disk.putBack(older)
      const { last, ...found } = yield* use(disk, (store) => Effect.succeed(store.opened))
      assert.deepStrictEqual([found.incarnation, found.starts, last.index], [incarnation, 2, 2])
    })
  )

  it.effect("refuses writes as a full disk does, and reads on", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      yield* use(disk, (store) =>
        Effect.gen(function* () {
          yield* store.append(puts(1, 2), 0)
          disk.failWrites("database or disk is full")
          const error = yield* Effect.flip(store.append(puts(3, 3), 0))
          assert.strictEqual(error.message, "append on :memory:: database or disk is full")
          assert.lengthOf(yield* store.entries(1, 9, 1e9), 2)
        })
      )
    })
  )

  it.effect("draws the incarnation from the test's randomness, so a run repeats", () =>
    Effect.gen(function* () {
      const opened = (disk: LocalStoreMemory.MemoryDisk) =>
        use(disk, (store) => Effect.succeed(store.opened.incarnation))
      assert.match(yield* opened(new MemoryDisk()), /^[0-9a-f]{32}$/)
    })
  )

  it.effect("offers the rows of a Netsy 1.x database until they are imported", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      disk.offerImport(puts(1, 5).flatMap((entry) => entry.records))
      yield* use(disk, (store) =>
        Effect.gen(function* () {
          assert.strictEqual(store.opened.imported?.lastRevision, 5)
          assert.lengthOf(yield* store.readImported(2, 3), 3)
          yield* store.importDone
        })
      )
      assert.strictEqual((yield* use(disk, (store) => Effect.succeed(store.opened))).imported, undefined)
    })
  )
})
