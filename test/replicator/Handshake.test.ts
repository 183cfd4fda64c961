/** The Primary's end of the stream (`Follower`) and the replica's, joined: they find where their logs meet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { entryBytes } from "../../src/core/log/entry.ts"
import { Pipeline } from "../../src/core/log/pipeline.ts"
import { decodePrimaryMessage } from "../../src/core/wire/peer/codecs.ts"
import { Follower, makeEncoded } from "../../src/layers/replicator/Follower.ts"
import { boot, entriesOf, positionIn, primaryInfo, self, settle, World } from "./replicaWorld.ts"

const join = (
  own: ReadonlyArray<number>,
  committed: number,
  primary: ReadonlyArray<number>,
  primaryCommitted: number
) =>
  Effect.gen(function* () {
    const term = primary[primary.length - 1]!
    const world = new World()
    world.elect({ term })
    const node = yield* boot(world)
    if (own.length > 0) yield* node.log.append(entriesOf(own))
    node.shown.positions.push(...node.log.commit(committed).map(({ index, term }) => ({ index, term })))
    const pipeline = new Pipeline(
      {
        head: positionIn(primary, primary.length),
        committed: positionIn(primary, primaryCommitted),
        uncommitted: entriesOf(primary, primaryCommitted),
        storedIndex: primary.length
      },
      entryBytes
    )
    let match = 0
    const make = () => {
      const { line } = world
      return new Follower(
        self,
        {
          send: (bytes) => {
            line.send(decodePrimaryMessage(bytes))
            return true
          },
          close: () => line.close()
        },
        {
          term,
          pipeline,
          nowMillis: () => 0,
          firstIndex: () => 1,
          entriesFrom: (index, count, _bytes, use) => {
            queueMicrotask(() => use(entriesOf(primary, index - 1, Math.min(primary.length, index - 1 + count))))
          },
          termOnDisk: (index, use) => {
            queueMicrotask(() => use(positionIn(primary, index).term))
          },
          encoded: makeEncoded(),
          onReceipt: (_name, upTo) => {
            match = upTo
          },
          onConfirm: () => {},
          onRefused: () => {}
        }
      )
    }
    yield* Effect.forkScoped(node.replica.follow(primaryInfo, term), { startImmediately: true })
    yield* settle
    const follower = make()
    for (let rounds = 0; rounds < 20; rounds++) {
      for (const message of world.line.take()) {
        if (message.kind === "hello") follower.begin(message.last)
        else follower.message(message)
      }
      yield* settle
    }
    return { world, node, match: () => match, follower, pipeline }
  })

describe("the two ends of a stream", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<number>, number, ReadonlyArray<number>, number]> = [
    ["an empty log", [], 0, [1, 1, 2], 1],
    ["a log that is only shorter", [1, 1], 1, [1, 1, 1, 2], 2],
    ["the same log", [1, 2], 2, [1, 2], 2],
    ["a tail of a lost term", [1, 1, 2, 2, 2, 2], 2, [1, 1, 3, 3, 4], 2],
    ["a tail that is longer than the Primary's log", [1, 1, 2, 2, 2, 2, 2, 2], 1, [1, 1, 3], 2],
    ["many short terms", [1, 2, 3, 5, 5, 7, 7, 9], 1, [1, 2, 4, 4, 6, 8, 8, 8, 10], 1]
  ]
  for (const [name, own, committed, primary, primaryCommitted] of cases) {
    it.effect(`meet from ${name}`, () =>
      Effect.gen(function* () {
        const { match, node, world } = yield* join(own, committed, primary, primaryCommitted)
        assert.deepStrictEqual(world.durable().terms, primary)
        assert.strictEqual(match(), primary.length)
        assert.strictEqual(node.shown.index, Math.max(committed, primaryCommitted))
        assert.strictEqual(world.streams.length, 1)
      })
    )
  }
})
