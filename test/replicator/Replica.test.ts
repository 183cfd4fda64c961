/** Each rule of design 6.6 by itself, with a Primary whom the test plays. */
import { chunkKey, snapshotKey } from "../../src/core/datafile/keys.ts"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { encodePrimaryMessage } from "../../src/core/wire/peer/codecs.ts"
import type { ReplicaMessage } from "../../src/core/wire/peer/messages.ts"
import { type FollowEnd, SetAside } from "../../src/layers/replicator/replica.ts"
import { storeChunk, storeSnapshot } from "../history/support.ts"
import {
  appendOf,
  boot,
  entriesOf,
  finish,
  heartbeatMillis,
  type Node,
  pass,
  positionIn,
  primaryInfo,
  self,
  settle,
  until,
  World
} from "./replicaWorld.ts"

/** A replica that holds this log, on its disk, and follows the Primary of `term`. */
const following = (log: ReadonlyArray<number>, term: number, commitIndex = 0) =>
  Effect.gen(function* () {
    const world = new World()
    world.elect({ term })
    const node = yield* boot(world)
    if (log.length > 0) {
      yield* node.log.append(entriesOf(log))
      node.shown.positions.push(...node.log.commit(commitIndex).map(({ index, term }) => ({ index, term })))
    }
    node.appends.length = 0
    const fiber = yield* Effect.forkScoped(node.replica.follow(primaryInfo, term), { startImmediately: true })
    yield* settle
    return { world, node, fiber }
  })

const receipt = (term: number, match: number, commitIndex: number): ReplicaMessage => ({
  kind: "receipt",
  term,
  match,
  commitIndex
})

/** Why following has ended. */
const ended = <E>(fiber: Fiber.Fiber<FollowEnd, E>) =>
  Effect.map(finish(fiber), (exit) => (Exit.isSuccess(exit) ? exit.value : String(Cause.squash(exit.cause))))

const logOf = (node: Node) =>
  Effect.map(node.local.entries(1, 1e6, 1e9), (entries) => entries.map((entry) => entry.term))

describe("a replica and its Primary", () => {
  it.effect("says who it is, how far its log goes and what it is fenced at", () =>
    Effect.gen(function* () {
      const { world } = yield* following([1, 1], 3, 1)
      assert.deepStrictEqual(world.line.take(), [
        { kind: "hello", name: self, memberId: 9n, fenced: 0, last: { index: 2, term: 1 }, commitIndex: 1 }
      ])
    })
  )

  it.effect("sends a receipt only when entries and promise are on the disk", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([], 3)
      world.line.take()
      world.disk.holdSyncs()
      world.line.send(appendOf([3, 3], 0, 2))
      yield* settle
      assert.deepStrictEqual(world.line.take(), [])
      assert.strictEqual(node.log.fenced, 3)
      assert.deepStrictEqual(world.durable(), { terms: [], fenced: 0, baseIndex: 0 })
      world.disk.releaseSyncs()
      yield* settle
      assert.deepStrictEqual(world.line.take(), [receipt(3, 2, 0)])
      assert.deepStrictEqual(world.durable(), { terms: [3, 3], fenced: 3, baseIndex: 0 })
    })
  )

  it.effect("writes what has queued up behind an fsync in one transaction", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([], 3)
      const log = Array.from({ length: 41 }, () => 3)
      world.line.send(appendOf(log, 0, 1))
      yield* settle
      world.line.take()
      world.disk.holdSyncs()
      for (let i = 1; i < 41; i++) world.line.send(appendOf(log, i, i + 1, { commitIndex: i }))
      yield* settle
      world.disk.releaseSyncs()
      yield* settle
      assert.deepStrictEqual(node.appends, [1, 40])
      assert.deepStrictEqual(world.line.take(), [receipt(3, 41, 1)])
      assert.strictEqual(node.shown.index, 40)
    })
  )

  it.effect("commits no more than what was matched with this term's Primary", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([1, 1, 2, 2], 3)
      const log = [1, 1, 3, 3, 3]
      // Does not fit: nothing is known to be the Primary's.
      world.line.send(appendOf(log, 4, 4, { commitIndex: 3 }))
      yield* settle
      assert.strictEqual(node.shown.index, 0)
      world.line.send(appendOf(log, 1, 1, { commitIndex: 3 }))
      yield* settle
      assert.strictEqual(node.shown.index, 1)
      world.line.send(appendOf(log, 1, 4, { commitIndex: 5 }))
      yield* settle
      assert.deepStrictEqual(
        node.shown.positions,
        [1, 2, 3, 4].map((index) => positionIn(log, index))
      )
      assert.deepStrictEqual(yield* logOf(node), [1, 1, 3, 3])
      // A heartbeat moves it too.
      world.line.send(appendOf(log, 4, 5, { commitIndex: 4 }))
      yield* settle
      assert.strictEqual(node.shown.index, 4)
      world.line.send(appendOf(log, 5, 5, { commitIndex: 5 }))
      yield* settle
      assert.strictEqual(node.shown.index, 5)
    })
  )

  it.effect("names the newest entry that may fit and drops only its own uncommitted ones", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([1, 1, 2, 2, 2], 4, 2)
      const log = [1, 1, 3, 3, 3, 4]
      world.line.take()
      world.line.send(appendOf(log, 6, 6))
      yield* settle
      assert.deepStrictEqual(world.line.take(), [{ kind: "mismatch", term: 4, at: { index: 5, term: 2 } }])
      world.line.send(appendOf(log, 5, 5))
      yield* settle
      assert.deepStrictEqual(world.line.take(), [{ kind: "mismatch", term: 4, at: { index: 2, term: 1 } }])
      world.line.send(appendOf(log, 2, 6))
      yield* settle
      assert.deepStrictEqual(world.line.take(), [receipt(4, 6, 2)])
      assert.deepStrictEqual(world.durable().terms, log)
      assert.deepStrictEqual(yield* logOf(node), log)
    })
  )

  it.effect("answers what it holds already, and takes the rest", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([1, 1, 2], 2, 2)
      const log = [1, 1, 2, 2, 2]
      world.line.take()
      world.line.send(appendOf(log, 3, 3))
      yield* settle
      world.line.send(appendOf(log, 0, 5))
      yield* settle
      world.line.send(appendOf(log, 1, 3))
      yield* settle
      assert.deepStrictEqual(world.line.take(), [receipt(2, 3, 2), receipt(2, 5, 2), receipt(2, 5, 2)])
      assert.deepStrictEqual(node.appends, [2])
    })
  )

  it.effect("confirms a read round at once, whatever the disk does", () =>
    Effect.gen(function* () {
      const { world } = yield* following([], 3)
      world.disk.holdSyncs()
      world.line.send(appendOf([3], 0, 1))
      yield* settle
      world.line.take()
      world.line.send({ kind: "round", term: 3, round: 5 })
      assert.deepStrictEqual(world.line.take(), [{ kind: "confirm", term: 3, round: 5 }])
      world.disk.releaseSyncs()
    })
  )

  it.effect("ignores what is older than its stream's term and refuses what it is fenced above", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([], 3)
      world.line.take()
      world.line.send(appendOf([2, 2], 0, 2))
      world.line.send({ kind: "round", term: 2, round: 1 })
      yield* settle
      assert.deepStrictEqual(world.line.take(), [])
      assert.deepStrictEqual(yield* logOf(node), [])
      world.line.send(appendOf([3], 0, 1))
      yield* settle
      world.line.take()
      world.line.send({ kind: "round", term: 2, round: 2 })
      assert.deepStrictEqual(world.line.take(), [{ kind: "refusal", term: 3 }])
    })
  )

  it.effect("goes on in the higher term that its Primary speaks of", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([], 3)
      world.line.send(appendOf([3, 3], 0, 2, { commitIndex: 1 }))
      yield* settle
      world.line.take()
      // Nothing is matched with the new term's log yet.
      world.line.send(appendOf([3, 4], 2, 2, { commitIndex: 2 }))
      yield* settle
      assert.deepStrictEqual(world.line.take(), [{ kind: "mismatch", term: 4, at: { index: 1, term: 3 } }])
      world.line.send(appendOf([3, 4], 1, 2, { commitIndex: 2 }))
      yield* settle
      assert.deepStrictEqual(world.line.take(), [receipt(4, 2, 1)])
      assert.strictEqual(world.durable().fenced, 4)
      assert.deepStrictEqual(yield* logOf(node), [3, 4])
    })
  )

  it.effect("tells the state machine what the bucket has, never beyond what is committed", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([], 3)
      const log = [3, 3, 3]
      world.line.send(appendOf(log, 0, 3, { commitIndex: 1, storedIndex: 2 }))
      yield* settle
      assert.strictEqual(node.shown.stored, 1)
      world.line.send(appendOf(log, 3, 3, { commitIndex: 3, storedIndex: 2 }))
      yield* settle
      assert.strictEqual(node.shown.stored, 2)
    })
  )

  it.effect("breaks off when more comes than may be under way, or what no Primary may send", () =>
    Effect.gen(function* () {
      const { world } = yield* following([], 3)
      world.disk.holdSyncs()
      const mebibyte = new Uint8Array(1 << 20)
      const { line } = world
      for (let i = 1; i <= 20; i++) {
        const records = entriesOf([...Array(i).fill(3)], i - 1)[0]!.records.map((r) => ({ ...r, value: mebibyte }))
        const entry = { index: i, term: 3, revision: i, records }
        const prev = { index: i - 1, term: i === 1 ? 0 : 3 }
        line.send({ kind: "append", term: 3, prev, commitIndex: 0, storedIndex: 0, entries: [entry] })
      }
      assert.isTrue(line.over)
      world.disk.releaseSyncs()
      yield* pass(1_000)
      assert.isAbove(world.streams.length, 1)
      const bytes = encodePrimaryMessage({ ...appendOf([3], 0, 1), entries: entriesOf([4]) })
      world.line.sendBytes(bytes)
      assert.isTrue(world.line.over)
      assert.deepStrictEqual(
        world
          .events("follow_broken")
          .map(({ fields }) => /16777216 bytes wait|term 4 comes in term 3/.test(String(fields["error"]))),
        [true]
      )
    })
  )
})

describe("a replica whose Primary is gone", () => {
  it.effect("suspects one that says nothing for three heartbeats and opens a new stream", () =>
    Effect.gen(function* () {
      const { world } = yield* following([], 3)
      world.line.send(appendOf([3], 0, 1))
      yield* pass(2.5 * heartbeatMillis)
      assert.deepStrictEqual(world.suspected, [])
      world.line.send(appendOf([3], 1, 1))
      yield* pass(2.5 * heartbeatMillis)
      assert.deepStrictEqual(world.suspected, [])
      const first = world.line
      yield* pass(heartbeatMillis)
      assert.deepStrictEqual(world.suspected, ["p"])
      assert.isTrue(first.over)
      assert.match(world.troubles.get("follow")!, /nothing was heard for 3000 ms/)
      yield* pass(1_000)
      assert.strictEqual(world.streams.length, 2)
      world.line.send(appendOf([3], 1, 1, { commitIndex: 1 }))
      yield* settle
      assert.strictEqual(world.troubles.size, 0)
      assert.isUndefined(world.waiting)
    })
  )

  it.effect("opens its stream again as often as it breaks, and says what it waits for", () =>
    Effect.gen(function* () {
      const { fiber, world } = yield* following([], 3)
      world.reachable = false
      world.line.close()
      yield* pass(heartbeatMillis - 100)
      assert.match(world.waiting!.what, /the Primary p at p:8086 to answer/)
      assert.strictEqual(world.troubles.size, 0, "an election takes no longer")
      yield* pass(5_000)
      assert.match(world.troubles.get("follow")!, /^the Primary p at p:8086 is not followed: /)
      assert.deepStrictEqual(new Set(world.suspected), new Set(["p"]))
      assert.match(world.waiting!.what, /the Primary p at p:8086 to answer/)
      assert.isUndefined(fiber.pollUnsafe())
      world.reachable = true
      yield* pass(1_000)
      assert.strictEqual(world.streams.length, 2)
      world.line.send(appendOf([3], 0, 1))
      yield* settle
      assert.isUndefined(world.waiting)
      assert.isAtMost(world.events("follow_broken").length, 2)
    })
  )

  it.effect("ends when the cluster's state names another term, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const { fiber, world } = yield* following([], 3)
      world.reachable = false
      world.line.close()
      yield* pass(1_000)
      world.elect({ term: 4, primary: self })
      assert.strictEqual(yield* ended(fiber), "deposed by view")
      assert.deepStrictEqual([world.waiting, world.troubles.size, world.listeners.size], [undefined, 0, 0])
    })
  )

  it.effect("ends when the Primary has resigned and its stream is over", () =>
    Effect.gen(function* () {
      const { fiber, node, world } = yield* following([], 3)
      world.elect({ resigned: true })
      world.line.send(appendOf([3], 0, 1))
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      world.line.send(appendOf([3, 3], 1, 2))
      world.line.close()
      assert.strictEqual(yield* ended(fiber), "closed")
      // What came before the end is kept.
      assert.deepStrictEqual(yield* logOf(node), [3, 3])
    })
  )

  it.effect("has caught up when it shows what the Primary had committed at first", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([], 3)
      let told = 0
      node.replica.onCaughtUp(() => told++)
      const log = [3, 3, 3]
      world.line.send(appendOf(log, 0, 0, { commitIndex: 2 }))
      yield* settle
      world.line.send(appendOf(log, 0, 1, { commitIndex: 2 }))
      yield* settle
      assert.isFalse(node.replica.caughtUp())
      assert.match(world.waiting!.what, /entries up to index 2/)
      assert.strictEqual(node.replica.lag().entries, 1)
      yield* pass(400)
      assert.deepStrictEqual(node.replica.lag(), { entries: 1, millis: 400 })
      world.line.send(appendOf(log, 1, 3, { commitIndex: 3 }))
      yield* settle
      assert.isTrue(node.replica.caughtUp())
      assert.strictEqual(told, 1)
      assert.isUndefined(world.waiting)
      assert.deepStrictEqual(node.replica.lag(), { entries: 0, millis: 0 })
    })
  )

  it.effect("asks to leave, and goes when it may, when the stream breaks, or when the time is over", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([], 3)
      world.line.take()
      const leave = () => Effect.forkScoped(node.replica.leave(5_000), { startImmediately: true })
      const first = yield* leave()
      assert.deepStrictEqual(world.line.take(), [{ kind: "leaving" }])
      world.line.send({ kind: "mayLeave" })
      yield* settle
      assert.isDefined(first.pollUnsafe())
      world.line.close()
      yield* pass(1_000)
      const second = yield* leave()
      world.line.close()
      yield* settle
      assert.isDefined(second.pollUnsafe())
      yield* pass(1_000)
      const third = yield* leave()
      yield* pass(2_000)
      assert.isUndefined(third.pollUnsafe())
      world.line.send(appendOf([3], 0, 1))
      yield* pass(3_100)
      assert.isDefined(third.pollUnsafe())
    })
  )
})

describe("a conflict with what is committed", () => {
  it.effect("stops the node when no recovery explains it", () =>
    Effect.gen(function* () {
      const { fiber, node, world } = yield* following([1, 1, 2], 4, 3)
      world.elect({ recovered: { term: 4, index: 4 } })
      world.line.send(appendOf([1, 1, 4], 3, 3))
      const exit = yield* finish(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.match(
        String(Exit.isFailure(exit) && Cause.squash(exit.cause)),
        /differs at index 3, which is committed here/
      )
      assert.deepStrictEqual(yield* logOf(node), [1, 1, 2])
    })
  )

  it.effect("after a recovery with possible loss the database is set aside", () =>
    Effect.gen(function* () {
      const { fiber, node, world } = yield* following([1, 1, 2], 4, 3)
      world.elect({ recovered: { term: 3, index: 3 } })
      world.line.send(appendOf([1, 1, 4], 3, 3))
      const exit = yield* finish(fiber)
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(error, SetAside)
      yield* node.stop
      const again = yield* boot(world)
      assert.strictEqual(again.local.opened.last.index, 0)
      assert.match(again.local.opened.setAside!.reason, /recovery of term 3/)
    })
  )

  it.effect("waits for the cluster's state of that term before it judges", () =>
    Effect.gen(function* () {
      const { fiber, world } = yield* following([1, 1, 2], 4, 3)
      world.line.send(appendOf([1, 1, 5], 3, 3))
      yield* pass(500)
      assert.isUndefined(fiber.pollUnsafe())
      assert.match(world.waiting!.what, /state of term 5/)
      world.elect({ term: 5 })
      assert.strictEqual(yield* ended(fiber), "deposed by view")
    })
  )
})

describe("a replica that is too far behind", () => {
  const log = [1, 1, 1, 2, 2, 2, 3, 3]
  const fill = (world: World, snapshotAt: number, to: number) => {
    const records = entriesOf(log, 0, snapshotAt).flatMap((entry) => entry.records)
    const term = log[snapshotAt - 1]!
    storeSnapshot(world.bucket, records, { term, lastIndex: snapshotAt, lastTerm: term, revision: snapshotAt })
    if (to > snapshotAt)
      storeChunk(world.bucket, entriesOf(log, snapshotAt, to), { term: log[to - 1]!, prevTerm: term })
  }

  it.effect("restores from the bucket, is fenced at what it took, shows the snapshot's end, and follows again", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([1], 4, 1)
      fill(world, 4, 7)
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 6 })
      world.line.close()
      yield* until(() => world.streams.length === 2)
      assert.deepStrictEqual(node.shown.loads, [4])
      assert.deepStrictEqual([node.log.commitIndex, node.log.last.index, node.log.firstIndex], [4, 7, 5])
      assert.strictEqual(world.durable().fenced, 3)
      assert.deepStrictEqual(world.durable().terms, [2, 2, 3])
      assert.deepStrictEqual(world.line.take(), [
        { kind: "hello", name: self, memberId: 9n, fenced: 3, last: { index: 7, term: 3 }, commitIndex: 4 }
      ])
      world.line.send(appendOf([...log, 4], 7, 9, { commitIndex: 9 }))
      yield* settle
      assert.strictEqual(node.shown.index, 9)
      assert.deepStrictEqual(world.line.take(), [receipt(4, 9, 7)])
    })
  )

  it.effect("keeps its log where it holds the snapshot's end, and shows up to there", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([1, 1, 1, 2, 2], 4, 1)
      fill(world, 4, 8)
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 7 })
      yield* until(() => world.streams.length === 2)
      assert.deepStrictEqual(node.shown.loads, [])
      assert.strictEqual(node.shown.index, 4)
      assert.deepStrictEqual(yield* logOf(node), log)
    })
  )

  it.effect("waits, and says for what, until the bucket is higher than its log and far enough", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([1, 1, 1, 3], 4, 1)
      fill(world, 4, 6)
      const ask = () => world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 8 })
      ask()
      yield* until(() => /the bucket ends at/.test(world.waiting?.what ?? ""))
      yield* pass(900)
      assert.match(world.waiting!.what, /its log begins at index 8, the bucket ends at 6, this node's log at 4/)
      assert.deepStrictEqual(yield* logOf(node), [1, 1, 1, 3])
      storeChunk(world.bucket, entriesOf(log, 6, 7), { term: 3, prevTerm: 2 })
      yield* pass(1_000)
      assert.strictEqual(world.streams.length, 2)
      ask()
      yield* until(() => world.streams.length === 3)
      assert.deepStrictEqual(world.durable().terms, [2, 2, 3])
      world.line.send(appendOf([...log, 4], 7, 7, { commitIndex: 7 }))
      yield* settle
      assert.isUndefined(world.waiting)
    })
  )

  it.effect("stops following when the bucket holds entries of a higher term", () =>
    Effect.gen(function* () {
      const { fiber, world } = yield* following([1], 2, 1)
      fill(world, 4, 8)
      world.line.send({ kind: "tooFarBehind", term: 2, firstIndex: 6 })
      yield* until(() => world.streams.length === 2)
      assert.strictEqual(world.durable().fenced, 3)
      world.line.send(appendOf([1, 1, 1, 2, 2], 5, 5))
      assert.deepStrictEqual(world.line.take().at(-1), { kind: "refusal", term: 3 })
      assert.strictEqual(yield* ended(fiber), "fenced")
    })
  )

  it.effect("drops nothing that is committed for the bucket's sake", () =>
    Effect.gen(function* () {
      const { fiber, node, world } = yield* following([1, 1, 2, 2], 4, 4)
      fill(world, 3, 8)
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 6 })
      const exit = yield* finish(fiber)
      assert.match(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), /bucket's history differs at index 3/)
      assert.deepStrictEqual(yield* logOf(node), [1, 1, 2, 2])
    })
  )

  it.effect("compares with the bucket from where a compaction has left its log", () =>
    Effect.gen(function* () {
      const long = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3]
      const { node, world } = yield* following(long.slice(0, 12), 4, 12)
      const records = entriesOf(long, 0, 2).flatMap((entry) => entry.records)
      storeSnapshot(world.bucket, records, { term: 1, lastIndex: 2, lastTerm: 1, revision: 2 })
      storeChunk(world.bucket, entriesOf(long, 2), { term: 3, prevTerm: 1 })
      // Keys repeat after five: older versions go.
      yield* node.local.compact(12)
      assert.strictEqual((yield* node.local.bounds).firstIndex, 8)
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 14 })
      yield* until(() => world.streams.length === 2)
      assert.deepStrictEqual(node.shown.loads, [])
      assert.deepStrictEqual(world.durable().terms, long.slice(7))
      // And with a Primary that begins before it.
      world.line.send(appendOf([...long, 4], 0, 3, { commitIndex: 12 }))
      yield* settle
      assert.deepStrictEqual(world.line.take().at(-1), { kind: "mismatch", term: 4, at: { index: 12, term: 2 } })
    })
  )

  it.effect("leaves a whole, shorter log when it is interrupted in the middle of the restore", () =>
    Effect.gen(function* () {
      const { fiber, node, world } = yield* following([1], 4, 1)
      fill(world, 4, 7)
      // The promise goes through; the restore stops where it drops the old log.
      yield* node.log.promise({ fenced: 4, reigned: 0 })
      world.disk.holdSyncs()
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 6 })
      yield* until(() => node.log.last.index === 0)
      const interrupted = yield* Effect.forkScoped(Fiber.interrupt(fiber), { startImmediately: true })
      yield* settle
      world.disk.releaseSyncs()
      yield* until(() => interrupted.pollUnsafe() !== undefined)
      const bounds = yield* node.local.bounds
      assert.deepStrictEqual(node.log.last, bounds.last)
      assert.strictEqual(node.shown.index, node.log.commitIndex)
      const again = yield* Effect.forkScoped(node.replica.follow(primaryInfo, 4), { startImmediately: true })
      yield* settle
      const { length } = world.streams
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 6 })
      yield* until(() => world.streams.length > length)
      assert.strictEqual(node.log.last.index, 7)
      assert.strictEqual(node.shown.index, 4)
      assert.isUndefined(again.pollUnsafe())
    })
  )

  it.effect("reads the bucket again when what it reads is deleted behind a newer snapshot", () =>
    Effect.gen(function* () {
      const { node, world } = yield* following([1], 4, 1)
      fill(world, 4, 7)
      yield* node.log.promise({ fenced: 4, reigned: 0 })
      world.disk.holdSyncs()
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 6 })
      yield* until(() => node.log.last.index === 0)
      for (const key of [snapshotKey(4), chunkKey(7)]) world.bucket.delete(key)
      fill(world, 6, 8)
      world.disk.releaseSyncs()
      yield* until(() => world.lines.some((line) => line.event === "bucket_unavailable"))
      yield* pass(1_500)
      yield* until(() => world.streams.length === 2)
      assert.deepStrictEqual(node.log.last, (yield* node.local.bounds).last)
      world.line.send({ kind: "tooFarBehind", term: 4, firstIndex: 6 })
      yield* until(() => world.streams.length === 3)
      assert.deepStrictEqual([node.log.commitIndex, node.log.last.index, node.shown.index], [6, 8, 6])
    })
  )
})
