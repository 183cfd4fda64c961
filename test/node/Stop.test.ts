/** What a clean stop leaves behind for the next start. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeWorld, MemoryDisk, put, range, startNode } from "./world.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "netsy-stop-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("a clean stop", () => {
  it.live("after many writes leaves a snapshot, from which a node without a disk starts", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
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

  it.live("after few writes leaves none", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
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
