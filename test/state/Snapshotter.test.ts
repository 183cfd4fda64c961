/** Snapshots across the end of a reign: nothing is stored or deleted in its name afterwards. */
import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { chunkKey, snapshotKey } from "../../src/core/datafile/keys.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import type { Call, Fault } from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreFaulty from "../../src/layers/ObjectStoreFaulty.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SnapshotterBucket from "../../src/layers/SnapshotterBucket.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { type SnapshotBegin, Snapshotter } from "../../src/services/Snapshotter.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { puts } from "../localstore/records.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { eventually } from "../support/eventually.ts"

interface World {
  decide: (call: Call) => Fault | undefined
  readonly calls: Array<Call>
  mayDelete: boolean
  readonly begin: SnapshotBegin
  readonly folder: string
}

/** Twenty entries, their chunks in the bucket, and a threshold that every commit passes. */
const running = <A, E>(
  body: (world: World, snapshotter: Snapshotter["Service"], objects: ObjectStore["Service"]) => Effect.Effect<A, E>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const source = () => ({ index: 20, term: 1, revision: 20, floor: 0, ops: [] })
      const world: World = {
        decide: () => undefined,
        calls: [],
        mayDelete: true,
        begin: { source, last: undefined, chunkBytes: 0, mayDelete: () => world.mayDelete },
        folder
      }
      const settings = embeddedSettings({
        NETSY_DATA_DIR: folder,
        NETSY_SNAPSHOT_THRESHOLD_RECORDS: "1",
        NETSY_SNAPSHOT_CLEANUP_BATCH_SIZE: "5",
        NETSY_SNAPSHOT_HISTORY: "0s",
        NETSY_SNAPSHOT_KEEP: "1"
      })
      const objects = ObjectStoreFaulty.layer((call) => {
        world.calls.push(call)
        return world.decide(call)
      }).pipe(Layer.provide(ObjectStoreMemory.layer({ bucket: new ObjectStoreMemory.MemoryBucket() })))
      const layer = SnapshotterBucket.layer.pipe(
        Layer.provideMerge(Layer.mergeAll(objects, LocalStoreMemory.layer())),
        Layer.provide(Layer.mergeAll(LogMemory.layer([]), MetricsPrometheus.layer, SupervisorFatal.layer)),
        Layer.provide(SettingsValue.layer(settings))
      )
      return yield* Effect.gen(function* () {
        const store = yield* ObjectStore
        yield* (yield* LocalStore).append(puts(1, 20), 20)
        for (let index = 1; index <= 20; index++)
          yield* store.put(chunkKey(index), new Uint8Array(1), { ifAbsent: true })
        return yield* body(world, yield* Snapshotter, store)
      }).pipe(Effect.provide(layer))
    })
  )

const keysUnder = (objects: ObjectStore["Service"], prefix: string) =>
  Effect.map(objects.list({ prefix }), (page) => page.objects.map(({ key }) => key))

describe("the snapshotter", () => {
  it.live("gives up what it takes when the reign ends, and takes another in the next", () =>
    running((world, snapshotter, objects) =>
      Effect.gen(function* () {
        world.decide = ({ operation }) => (operation === "putStream" ? { kind: "hang", effect: false } : undefined)
        snapshotter.begin(world.begin)
        snapshotter.committed(20, 1_000)
        yield* eventually("the first snapshot is written", () =>
          world.calls.some(({ operation }) => operation === "putStream")
        )
        assert.lengthOf(readdirSync(world.folder), 1)
        snapshotter.rest()
        yield* eventually("the file is gone", () => readdirSync(world.folder).length === 0)
        world.decide = () => undefined
        snapshotter.committed(20, 1_000)
        yield* Effect.sleep(50)
        assert.deepStrictEqual(yield* keysUnder(objects, "snapshots/"), [])
        snapshotter.begin(world.begin)
        snapshotter.committed(20, 1_000)
        yield* eventually(
          "the second snapshot is written",
          () => world.calls.filter(({ operation }) => operation === "putStream").length === 2
        )
        yield* eventually("chunks are deleted", () => world.calls.some(({ operation }) => operation === "deleteMany"))
        assert.deepStrictEqual(yield* keysUnder(objects, "snapshots/"), [snapshotKey(20)])
      })
    )
  )

  it.live("deletes nothing from the moment at which the reign is over or may not acknowledge", () =>
    Effect.gen(function* () {
      for (const end of ["rest", "mayDelete"]) {
        yield* running((world, snapshotter, objects) =>
          Effect.gen(function* () {
            world.decide = ({ nth, operation }) => {
              if (operation !== "deleteMany" || nth < 2) return undefined
              if (end === "rest") snapshotter.rest()
              else world.mayDelete = false
              return undefined
            }
            snapshotter.begin(world.begin)
            snapshotter.committed(20, 1_000)
            const deletes = () => world.calls.filter(({ operation }) => operation === "deleteMany").length
            yield* eventually("both deletions", () => deletes() === 2)
            yield* Effect.sleep(500)
            assert.strictEqual(deletes(), 2)
            const left = yield* keysUnder(objects, "chunks/")
            assert.isAtLeast(left.length, 10)
            assert.include(left, chunkKey(20))
            assert.deepStrictEqual(yield* keysUnder(objects, "snapshots/"), [snapshotKey(20)])
          })
        )
      }
    })
  )
})
