/** Replicas that find the new Primary before it has begun its term. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeWorld, pass, play, startNode, until, type World } from "./clusterWorld.ts"

const withoutChunks = (world: World): void => {
  world.decide = ({ operation }) => (operation === "list" ? { kind: "fail" } : undefined)
}

describe("a term that is still being begun", () => {
  it.effect("takes who said hello meanwhile as soon as it has begun, and of two streams of a node the later one", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const node = yield* startNode(world, "a")
      const b = yield* play(world, "b")
      withoutChunks(world)
      world.put({ primary: node.name })
      world.tell()
      yield* until(world, () => node.replicator.role() === "starting")
      b.follow(node.info)
      yield* pass(1_000, world)
      b.follow(node.info)
      yield* pass(1_000, world)
      assert.deepStrictEqual([b.closed, b.received.length], [1, 0])
      world.healBucket()
      yield* until(world, () => b.received.length > 0)
      yield* until(world, () => node.replicator.role() === "active")
      assert.strictEqual(b.closed, 1)
    })
  )

  it.effect("refuses them when it ends before", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld
      const node = yield* startNode(world, "a")
      const b = yield* play(world, "b")
      withoutChunks(world)
      world.put({ primary: node.name })
      world.tell()
      yield* until(world, () => node.replicator.role() === "starting")
      b.follow(node.info)
      yield* pass(500, world)
      world.put({ primary: b.name })
      yield* until(world, () => b.closed === 1)
      assert.deepStrictEqual(b.received, [])
    })
  )
})
