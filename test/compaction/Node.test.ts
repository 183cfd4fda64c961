/** Compaction on a whole node: what is left on the disk, in memory and in the bucket, and what a restart finds. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { decodeOp, type Op } from "../../src/core/log/op.ts"
import type { LogRecord } from "../../src/core/log/record.ts"
import { AlarmType, type DeleteRangeResponse } from "../../src/core/wire/messages.ts"
import { errors, isEtcdError } from "../../src/core/wire/errors.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { History } from "../../src/services/History.ts"
import { Kv } from "../../src/services/Kv.ts"
import { ReplicatedState } from "../../src/services/ReplicatedState.ts"
import { Snapshotter } from "../../src/services/Snapshotter.ts"
import {
  asEffect,
  bytes,
  compact,
  everything,
  makeWorld,
  MemoryDisk,
  put,
  range,
  startNode,
  type World
} from "../node/world.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const folderWorld = temporaryFolder.pipe(Effect.map((folder) => makeWorld({ NETSY_DATA_DIR: folder })))

const remove = (key: string) =>
  Kv.use((kv) =>
    asEffect<DeleteRangeResponse>((reply) =>
      kv.deleteRange({ key: bytes(key), rangeEnd: new Uint8Array(0), prevKv: false }, reply)
    )
  )

const operate = (op: Op) =>
  ReplicatedState.use((state) =>
    asEffect<void>((reply) => {
      const next = state.next()
      if (isEtcdError(next)) return reply.fail(next)
      state.append(next, [], op, { done: () => reply.succeed(), failed: reply.fail })
    })
  )

const grant = (id: bigint) => operate({ kind: "leaseGrant", id, ttlSeconds: 3600, remainingTtlSeconds: 0 })
const revoke = (id: bigint) => operate({ kind: "leaseRevoke", id })

const raise = (memberId: bigint) =>
  Alarms.use((alarms) => asEffect<unknown>((reply) => alarms.activate({ memberId, alarm: AlarmType.NoSpace }, reply)))
const disarm = (memberId: bigint) =>
  Alarms.use((alarms) => asEffect<unknown>((reply) => alarms.deactivate({ memberId, alarm: AlarmType.NoSpace }, reply)))

/** What is beside the keys. */
const state = Effect.gen(function* () {
  const { alarms, leases } = yield* ReplicatedState
  return {
    leases: [1n, 2n, 3n, 4n, 5n].filter((id) => leases.has(id)),
    alarms: alarms().map(({ memberId }) => memberId)
  }
})

const onDisk = (world: World): ReadonlyArray<LogRecord> => world.disk.contents.table.records

const nameOf = ({ deleted, key, revision }: LogRecord): string =>
  `${Buffer.from(key).toString()}@${revision}${deleted ? "-" : ""}`

const changesOf = (records: ReadonlyArray<LogRecord>): ReadonlyArray<string> =>
  records.filter((record) => record.op === undefined).map(nameOf)

const opsOf = (records: ReadonlyArray<LogRecord>): ReadonlyArray<string> =>
  records.flatMap(({ op }) => (op === undefined ? [] : [decodeOp(op).kind]))

const snapshotRecords = Effect.gen(function* () {
  const found = yield* History.use((history) => history.read({ recoveredTerm: "unknown" }))
  return (yield* Stream.runCollect(found.snapshotRecords())).flat()
})

const takeSnapshot = Snapshotter.use((snapshotter) => snapshotter.take)

describe("compaction of a node", () => {
  it.live("C2: leaves on the disk, in memory and in a snapshot exactly what readers at the floor can see", () =>
    Effect.gen(function* () {
      const world = yield* folderWorld
      const node = yield* startNode(world)
      let seed = 11
      const below = (bound: number): number => {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
        return Math.floor((seed / 2 ** 32) * bound)
      }
      const written: Array<{ readonly key: string; readonly revision: number; readonly deleted: boolean }> = []
      let revision = 1
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 40; i++) {
          const key = `k${below(6)}`
          const live = written.findLast((row) => row.key === key)?.deleted === false
          const deleted = live && below(3) === 0
          yield* node.use(deleted ? Effect.asVoid(remove(key)) : Effect.asVoid(put(key, `v${i}`)))
          written.push({ key, revision: ++revision, deleted })
          if (i % 8 === 0) {
            yield* node.use(grant(1n))
            yield* node.use(revoke(1n))
          }
        }
        const floor = revision - below(20)
        yield* node.use(compact(floor))
        const expected = written
          .filter((row, at) => {
            if (row.revision > floor) return true
            const superseded = written.slice(at + 1).some((later) => later.key === row.key && later.revision <= floor)
            return !superseded && (!row.deleted || row.revision === floor)
          })
          .map((row) => `${row.key}@${row.revision}${row.deleted ? "-" : ""}`)
        assert.deepStrictEqual(changesOf(onDisk(world)), ["_netsy@1", ...expected])
        // Entries at and below the floor have no operations any more.
        assert.lengthOf(
          onDisk(world).filter((record) => record.op !== undefined && record.revision <= floor),
          0
        )
        const { versions } = yield* node.use(ReplicatedState.use(({ store }) => Effect.succeed(store.stats)))
        assert.strictEqual(versions, expected.length)
        yield* node.use(takeSnapshot)
        const snapshot = yield* node.use(snapshotRecords)
        assert.deepStrictEqual([...changesOf(snapshot)].sort(), ["_netsy@1", ...expected].sort())
        assert.deepStrictEqual(opsOf(snapshot), ["compaction"])
      }
      yield* node.stop
    })
  )

  it.live("keeps leases and alarms whose operations are gone: after a restart, and from a snapshot", () =>
    Effect.gen(function* () {
      const world = yield* folderWorld
      const first = yield* startNode(world)
      for (const id of [1n, 2n, 3n]) yield* first.use(grant(id))
      yield* first.use(revoke(2n))
      yield* first.use(put("a", "1"))
      yield* first.use(put("a", "2"))
      yield* first.use(raise(7n))
      yield* first.use(raise(8n))
      yield* first.use(compact(3))
      yield* first.use(disarm(8n))
      yield* first.use(grant(4n))
      assert.deepStrictEqual(opsOf(onDisk(world)), ["alarm", "leaseGrant"])
      const expected = { leases: [1n, 3n, 4n], alarms: [7n] }
      assert.deepStrictEqual(yield* first.use(state), expected)
      yield* first.stop
      const second = yield* startNode(world)
      assert.deepStrictEqual(yield* second.use(state), expected)
      yield* second.use(disarm(7n))
      yield* second.use(put("a", "3"))
      yield* second.use(compact(4))
      yield* second.use(raise(9n))
      yield* second.use(takeSnapshot)
      yield* second.stop
      world.disk = new MemoryDisk()
      const third = yield* startNode(world)
      assert.deepStrictEqual(yield* third.use(state), { ...expected, alarms: [9n] })
      assert.strictEqual(yield* third.use(everything), "a=3")
      yield* third.use(revoke(1n))
      yield* third.stop
      const fourth = yield* startNode(world)
      assert.deepStrictEqual(yield* fourth.use(state), { leases: [3n, 4n], alarms: [9n] })
      yield* fourth.stop
    })
  )

  it.live("does not grow with operations that come and go, as long as it is compacted", () =>
    Effect.gen(function* () {
      const world = yield* folderWorld
      const node = yield* startNode(world)
      for (let round = 0; round < 10; round++) {
        for (let i = 0; i < 10; i++) {
          yield* node.use(grant(5n))
          yield* node.use(put("a", `${round} ${i}`))
          yield* node.use(revoke(5n))
        }
        yield* node.use(compact(2 + 10 * round))
        assert.isBelow(onDisk(world).length, 60)
      }
      yield* node.stop
    })
  )

  it.live("makes a compaction good that a crash has broken off", () =>
    Effect.gen(function* () {
      const world = yield* folderWorld
      const first = yield* startNode(world)
      for (let i = 0; i < 30; i++) yield* first.use(put(`k${i % 3}`, `${i}`))
      yield* first.use(grant(1n))
      world.disk.holdSyncs()
      yield* Effect.forkChild(first.use(compact(31)), { startImmediately: true })
      const inBucket = first.use(History.use((history) => history.read({ recoveredTerm: "unknown" })))
      while ((yield* inBucket).last.index < 33) yield* Effect.sleep(5)
      yield* first.kill
      const second = yield* startNode(world)
      assert.strictEqual(yield* second.use(everything), "k0=27 k1=28 k2=29")
      const error = yield* Effect.flip(second.use(compact(31)))
      assert.deepStrictEqual(error, errors.compacted)
      assert.deepStrictEqual(yield* Effect.flip(second.use(range({ revision: 30 }))), errors.compacted)
      // The start asked for the dropping; a physical one behind it waits for it.
      yield* second.use(put("z", "1"))
      yield* second.use(compact(32))
      assert.deepStrictEqual(changesOf(onDisk(world)), ["_netsy@1", "k0@29", "k1@30", "k2@31", "z@32"])
      assert.deepStrictEqual((yield* second.use(state)).leases, [1n])
      yield* second.stop
    })
  )

  it.live("C1: Compact(0) succeeds once, also across restarts and from a snapshot", () =>
    Effect.gen(function* () {
      const world = yield* folderWorld
      const first = yield* startNode(world)
      yield* first.use(put("a", "1"))
      yield* first.use(compact(0))
      assert.deepStrictEqual(yield* Effect.flip(first.use(compact(0))), errors.compacted)
      yield* first.stop
      const second = yield* startNode(world)
      assert.deepStrictEqual(yield* Effect.flip(second.use(compact(0))), errors.compacted)
      yield* second.use(takeSnapshot)
      yield* second.stop
      world.disk = new MemoryDisk()
      const third = yield* startNode(world)
      assert.deepStrictEqual(yield* Effect.flip(third.use(compact(0))), errors.compacted)
      yield* third.use(compact(2))
      yield* third.stop
    })
  )
})
