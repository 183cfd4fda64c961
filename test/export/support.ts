/** A whole node with a data directory of its own, a model of its keys, and its exported file read back. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import * as LeadershipClientNone from "../support/LeadershipClientNone.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { cluster, node as nodeLayer, stores } from "../../src/programs/node.ts"
import { EtcdExport } from "../../src/services/EtcdExport.ts"
import { Kv } from "../../src/services/Kv.ts"
import { type Bucket, type Item, readDatabase } from "../bbolt/reader.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { del, put, txnRequest } from "../mvcc/requests.ts"
import { asEffect, compact, makeWorld, startNode } from "../node/world.ts"
import type { Model, Row } from "./model.ts"
import type { Random } from "../wire/random.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

export interface Node {
  readonly use: <A, E>(effect: Effect.Effect<A, E, Kv | EtcdExport>) => Effect.Effect<A, E>
}

/** A node over memory in a directory that goes with the scope. */
export const nodeIn = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const world = makeWorld({ NETSY_DATA_DIR: folder })
  const node = yield* Effect.acquireRelease(startNode(world), (running) => running.stop)
  return { world, node, filesLeft: () => readdirSync(folder) }
})

/** A node over a directory and a database file, as the daemon has them. */
export const nodeOnDisk = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const given = embeddedSettings({ NETSY_DATA_DIR: join(folder, "data") })
  const settings = { ...given, storage: { ...given.storage, path: join(folder, "bucket") } }
  const scope = yield* Effect.acquireRelease(Scope.make(), (opened) => Scope.close(opened, Exit.void))
  const whole = nodeLayer(settings).pipe(
    Layer.provideMerge(cluster(settings)),
    Layer.provideMerge(
      Layer.mergeAll(PeerNetworkMemory.layer(new PeerNetworkMemory.MemoryPeers()), LeadershipClientNone.layer)
    ),
    Layer.provideMerge(stores(settings)),
    Layer.provideMerge(NodeStatusMemory.layer),
    Layer.provideMerge(Layer.mergeAll(LogMemory.layer([]), MetricsPrometheus.layer, SupervisorFatal.layer)),
    Layer.provideMerge(SettingsValue.layer(settings))
  )
  const context = yield* Layer.buildWithScope(Layer.fresh(whole), scope)
  const node: Node = { use: (effect) => Effect.provide(effect, context) }
  return { node }
})

/** A transaction of puts and deletes, on node and model. */
export const write = (
  node: Node,
  model: Model,
  changes: ReadonlyArray<{ readonly key: string; readonly value: string | undefined }>
) => {
  const ops = changes.map(({ key, value }) => (value === undefined ? del(key) : put(key, value)))
  return node
    .use(Kv.use((kv) => asEffect<unknown>((reply) => kv.txn(txnRequest([], ops), reply))))
    .pipe(Effect.tap(() => Effect.sync(() => model.write(changes))))
}

export const compactBoth = (node: Node, model: Model, revision: number) =>
  node.use(compact(revision)).pipe(Effect.tap(() => Effect.sync(() => (model.compacted = revision))))

/** Few keys, so that they collide; now and then many changes at once. */
export const randomWrite = (node: Node, model: Model, source: Random) => {
  const names = new Set(Array.from({ length: source.chance(20) ? 5 : 1 }, () => `key-${source.int(12)}`))
  return write(
    node,
    model,
    [...names].map((key) => ({
      key,
      value: source.chance(30) ? undefined : "v".repeat(source.chance(3) ? 20_000 : source.int(40))
    }))
  )
}

export const exported = EtcdExport.use((exporter) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* exporter.file
      const buckets = readDatabase(yield* file.read(0, file.bytes))
      return { revision: file.revision, buckets }
    })
  )
)

export const itemsOf = (buckets: ReadonlyArray<Bucket>, name: string): ReadonlyArray<Item> =>
  buckets.find((bucket) => bucket.name === name)!.items

export const assertRows = (found: ReadonlyArray<Item>, expected: ReadonlyArray<Row>): void => {
  const hex = ({ key, value }: Item): string =>
    `${Buffer.from(key).toString("hex")}=${Buffer.from(value).toString("hex")}`
  assert.deepStrictEqual(found.map(hex), expected.map(hex))
}

export const hashKv = (revision: number) => EtcdExport.use((exporter) => exporter.hashKv(revision))
