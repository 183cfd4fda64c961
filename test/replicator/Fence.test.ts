/** `Fence`: what it stops at once, what it waits for, and what it reports. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodeFenceAnswer, encodeFenceRequest } from "../../src/core/wire/peer/codecs.ts"
import type { FenceAnswer } from "../../src/core/wire/peer/messages.ts"
import {
  appendOf,
  boot,
  entriesOf,
  heartbeatMillis,
  type Node,
  pass,
  primaryInfo,
  settle,
  World
} from "./replicaWorld.ts"

interface Asked {
  answer?: FenceAnswer
  failed?: string
}

const ask = (node: Node, term: number): Asked => {
  const asked: Asked = {}
  node.replica.fence(encodeFenceRequest({ term }), "elector", {
    succeed: (bytes) => {
      asked.answer = decodeFenceAnswer(bytes)
    },
    fail: (_code, reason) => {
      asked.failed = reason
    },
    onCancelled: () => {}
  })
  return asked
}

const following = Effect.gen(function* () {
  const world = new World()
  world.elect({ term: 3 })
  const node = yield* boot(world)
  const fiber = yield* Effect.forkScoped(node.replica.follow(primaryInfo, 3), { startImmediately: true })
  yield* settle
  world.line.send(appendOf([3, 3], 0, 2, { commitIndex: 1 }))
  yield* settle
  world.line.take()
  return { world, node, fiber }
})

describe("a fence", () => {
  it.effect("is told at once and answered when it is on the disk", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following
      world.disk.holdSyncs()
      const asked = ask(node, 5)
      assert.deepStrictEqual([node.fencedAt, node.log.fenced], [[5], 5])
      yield* settle
      assert.isUndefined(asked.answer)
      assert.strictEqual(world.durable().fenced, 3)
      world.disk.releaseSyncs()
      yield* settle
      assert.isTrue(asked.answer!.fenced)
      assert.strictEqual(world.durable().fenced, 5)
      const { commitIndex, fenced, last } = asked.answer!.report
      assert.deepStrictEqual({ commitIndex, fenced, last }, { commitIndex: 1, fenced: 5, last: { index: 2, term: 3 } })
    })
  )

  it.effect("counts appends that were handed to the disk before it, and their receipts do not leave any more", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following
      world.disk.holdSyncs()
      const log = [3, 3, 3, 3, 3]
      world.line.send(appendOf(log, 2, 4))
      yield* settle
      const asked = ask(node, 5)
      world.line.send(appendOf(log, 4, 5))
      world.line.send({ kind: "round", term: 3, round: 1 })
      yield* settle
      assert.isUndefined(asked.answer)
      world.disk.releaseSyncs()
      yield* settle
      assert.deepStrictEqual(asked.answer!.report.last, { index: 4, term: 3 })
      assert.deepStrictEqual(world.durable().terms, [3, 3, 3, 3])
      assert.deepStrictEqual(new Set(world.line.take().map(({ kind }) => kind)), new Set(["refusal"]))
    })
  )

  it.effect("reports only what is on the disk", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following
      world.disk.holdSyncs()
      // A Primary of this node would do this: at head, and not yet handed to the disk.
      for (const entry of entriesOf([3, 3, 3], 2)) node.log.took(entry)
      const asked = ask(node, 5)
      world.disk.releaseSyncs()
      yield* settle
      assert.deepStrictEqual(asked.answer!.report.last, { index: 2, term: 3 })
    })
  )

  it.effect("is answered again for the same term, and refused below it", () =>
    Effect.gen(function* () {
      const { node } = yield* following
      ask(node, 5)
      yield* settle
      const again = ask(node, 5)
      const lower = ask(node, 4)
      yield* settle
      assert.isTrue(again.answer!.fenced)
      assert.isFalse(lower.answer!.fenced)
      assert.strictEqual(lower.answer!.report.fenced, 5)
      assert.deepStrictEqual(node.fencedAt, [5])
    })
  )

  it.effect("is not granted any more when a higher one came before it was on the disk", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following
      world.disk.holdSyncs()
      const lower = ask(node, 5)
      yield* settle
      const higher = ask(node, 6)
      world.disk.releaseSyncs()
      yield* settle
      assert.isFalse(lower.answer!.fenced)
      assert.isTrue(higher.answer!.fenced)
      assert.strictEqual(world.durable().fenced, 6)
    })
  )

  it.effect("holds after a crash", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following
      ask(node, 5)
      yield* settle
      world.disk.crash()
      yield* node.stop
      const again = yield* boot(world)
      assert.strictEqual(again.log.fenced, 5)
      yield* Effect.forkScoped(again.replica.follow(primaryInfo, 3), { startImmediately: true })
      yield* settle
      world.line.send({ kind: "round", term: 3, round: 7 })
      assert.deepStrictEqual(world.line.take().at(-1), { kind: "refusal", term: 5 })
    })
  )

  it.effect("ends what is followed in a lower term, after the Primary was told", () =>
    Effect.gen(function* () {
      const { fiber, node, world } = yield* following
      ask(node, 5)
      yield* settle
      world.line.send(appendOf([3, 3], 2, 2))
      assert.deepStrictEqual(world.line.take(), [{ kind: "refusal", term: 5 }])
      yield* pass(heartbeatMillis)
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("of what cannot be read is refused", () =>
    Effect.gen(function* () {
      const { node } = yield* following
      let failed = ""
      node.replica.fence(new Uint8Array([255]), "elector", {
        succeed: () => {},
        fail: (_code, reason) => {
          failed = reason
        },
        onCancelled: () => {}
      })
      assert.notStrictEqual(failed, "")
      assert.strictEqual(node.log.fenced, 3)
    })
  )
})
