/** A full database on a whole node: the quota, the NOSPACE alarm and the way out; the alarms' durability. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { errors } from "../../src/core/wire/errors.ts"
import { AlarmType, type DeleteRangeResponse } from "../../src/core/wire/messages.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Quota } from "../../src/services/Quota.ts"
import { Snapshotter } from "../../src/services/Snapshotter.ts"
import { asEffect, bytes, compact, everything, makeWorld, MemoryDisk, put, startNode } from "./world.ts"

const alarmList = Alarms.use((alarms) => asEffect<unknown>((reply) => alarms.list(AlarmType.None, reply)))

const disarm = Alarms.use((alarms) =>
  Effect.gen(function* () {
    for (const alarm of alarms.active()) yield* asEffect<unknown>((reply) => alarms.deactivate(alarm, reply))
  })
)

const remove = (key: string) =>
  Kv.use((kv) =>
    asEffect<DeleteRangeResponse>((reply) =>
      kv.deleteRange({ key: bytes(key), rangeEnd: new Uint8Array(0), prevKv: false }, reply)
    )
  )

const admit = (costBytes: number) => Quota.use((quota) => Effect.sync(() => quota.admit(costBytes)))

/** Until the alarm that a refusal raised is committed. */
const untilRaised = Effect.gen(function* () {
  const alarms = yield* Alarms
  while (alarms.active().length === 0) yield* Effect.sleep(5)
})

describe("a full database", () => {
  it.live("refuses what adds to it, goes on reading, deleting and compacting, until the alarm is disarmed", () =>
    Effect.gen(function* () {
      const world = makeWorld({ NETSY_LIMITS_QUOTA_BYTES: "100000" })
      const node = yield* startNode(world)
      yield* node.use(put("a", "1"))
      assert.strictEqual(yield* node.use(admit(1000)), undefined)
      assert.deepStrictEqual(yield* node.use(admit(200_000)), errors.noSpace)
      yield* node.use(untilRaised)
      assert.deepStrictEqual(yield* Effect.flip(node.use(put("b", "2"))), errors.noSpace)
      assert.strictEqual(yield* node.use(everything), "a=1")
      assert.strictEqual((yield* node.use(remove("a"))).deleted, 1)
      yield* node.use(compact(3))
      assert.deepStrictEqual(yield* Effect.flip(node.use(put("b", "2"))), errors.noSpace)
      yield* node.use(disarm)
      yield* node.use(put("b", "2"))
      assert.strictEqual(yield* node.use(everything), "b=2")
      yield* node.stop
    })
  )

  it.live("remembers its alarms after a restart, after a lost disk, and in a snapshot", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "netsy-full-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const world = makeWorld({ NETSY_DATA_DIR: folder })
      const alarm = { memberId: 7n, alarm: AlarmType.NoSpace }
      const first = yield* startNode(world)
      yield* first.use(Alarms.use((alarms) => asEffect<unknown>((reply) => alarms.activate(alarm, reply))))
      yield* first.stop
      const restarted = yield* startNode(world)
      assert.deepStrictEqual(yield* restarted.use(alarmList), [alarm])
      yield* restarted.stop
      world.disk = new MemoryDisk()
      const fromChunks = yield* startNode(world)
      assert.deepStrictEqual(yield* fromChunks.use(alarmList), [alarm])
      yield* fromChunks.use(Snapshotter.use((snapshotter) => snapshotter.take))
      yield* fromChunks.stop
      world.disk = new MemoryDisk()
      const fromSnapshot = yield* startNode(world)
      assert.deepStrictEqual(yield* fromSnapshot.use(alarmList), [alarm])
      assert.deepStrictEqual(yield* Effect.flip(fromSnapshot.use(put("b", "2"))), errors.noSpace)
      yield* fromSnapshot.stop
    })
  )

  it.live("serves nothing while a CORRUPT alarm is active", () =>
    Effect.gen(function* () {
      const node = yield* startNode(makeWorld())
      yield* node.use(put("a", "1"))
      const alarm = { memberId: 7n, alarm: AlarmType.Corrupt }
      yield* node.use(Alarms.use((alarms) => asEffect<unknown>((reply) => alarms.activate(alarm, reply))))
      assert.deepStrictEqual(yield* Effect.flip(node.use(everything)), errors.corrupt)
      assert.deepStrictEqual(yield* Effect.flip(node.use(put("b", "2"))), errors.corrupt)
      assert.deepStrictEqual(yield* Effect.flip(node.use(remove("a"))), errors.corrupt)
      yield* node.stop
    })
  )
})
