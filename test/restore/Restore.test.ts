/**
 * A random life of a store, with leases, users, compactions, snapshots and several terms, and a dumb model of it. What is
 * restored of any of its moments starts as a node and shows what the model showed then.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Moment } from "../../src/core/log/moment.ts"
import { emptyBytes } from "../../src/core/log/record.ts"
import type { RangeResponse } from "../../src/core/wire/messages.ts"
import { bootstrapKey } from "../../src/layers/elector/bootstrap.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import { restoreInto } from "../../src/programs/restore.ts"
import { Auth } from "../../src/services/Auth.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Leases } from "../../src/services/Leases.ts"
import { ReplicatedState } from "../../src/services/ReplicatedState.ts"
import { Snapshotter } from "../../src/services/Snapshotter.ts"
import { put as putObject } from "../history/support.ts"
import {
  asEffect,
  bytes,
  compact,
  makeWorld,
  MemoryDisk,
  range,
  type Running,
  startNode,
  type World
} from "../node/world.ts"
import { random } from "../wire/random.ts"

interface Value {
  readonly text: string
  readonly lease: bigint
}

/** What a store holds at one index, as plainly as can be. */
interface Model {
  readonly index: number
  readonly revision: number
  readonly floor: number
  /** Keys and values at every revision, the newest last; index = revision. */
  readonly views: ReadonlyArray<ReadonlyMap<string, Value>>
  readonly leases: ReadonlyMap<bigint, number>
  readonly users: ReadonlySet<string>
}

const beginning: Model = {
  index: 0,
  revision: 1,
  floor: 0,
  views: [new Map(), new Map()],
  leases: new Map(),
  users: new Set()
}

const shown = (view: ReadonlyMap<string, Value>): string =>
  [...view]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { lease, text }]) => `${key}=${text}/${lease}`)
    .join(" ")

const root = { user: "root", authRevision: Number.MAX_SAFE_INTEGER }

describe("a restored moment", () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "netsy-restore-test-"))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const live = (seed: number, operations: number) =>
    Effect.gen(function* () {
      const source = random(seed)
      const world = makeWorld({
        NETSY_DATA_DIR: folder,
        NETSY_AUTH_BCRYPT_COST: "4",
        NETSY_SNAPSHOT_THRESHOLD_RECORDS: "0"
      })
      let node: Running = yield* startNode(world)
      const moments: Array<Model> = []
      let now = beginning
      const next = (changes: (view: Map<string, Value>) => void): void => {
        const view = new Map(now.views.at(-1)!)
        changes(view)
        now = { ...now, revision: now.revision + 1, views: [...now.views, view] }
      }
      const operation = (i: number) =>
        Effect.gen(function* () {
          const [kv, leases, auth] = [yield* Kv, yield* Leases, yield* Auth]
          const key = (): string => `k${source.int(6)}`
          const lease = (): bigint => [0n, ...now.leases.keys()][source.int(now.leases.size + 1)]!
          const putOf = (name: string, text: string, id: bigint) => ({
            ...{ key: bytes(name), value: bytes(text), lease: id },
            ...{ prevKv: false, ignoreValue: false, ignoreLease: false }
          })
          const at = source.int(100)
          if (at < 8) {
            // Together, and so in one chunk: moments lie in the middle of it.
            const first = (yield* ReplicatedState).headIndex()
            const names = Array.from({ length: 4 }, key)
            const puts = names.map((name, j) =>
              asEffect<unknown>((reply) => kv.put(putOf(name, `b${i}.${j}`, 0n), reply))
            )
            yield* Effect.all(puts, { concurrency: "unbounded" })
            for (const [j, name] of names.entries()) {
              next((view) => view.set(name, { text: `b${i}.${j}`, lease: 0n }))
              now = { ...now, index: first + j + 1 }
              moments.push(now)
            }
          } else if (at < 40) {
            const [name, text, id] = [key(), `v${i}`, lease()]
            yield* asEffect<unknown>((reply) => kv.put(putOf(name, text, id), reply))
            next((view) => view.set(name, { text, lease: id }))
          } else if (at < 52) {
            const [text, id] = [`t${i}`, lease()]
            yield* asEffect<unknown>((reply) =>
              kv.txn(
                {
                  compare: [],
                  success: [
                    { kind: "put", put: putOf("k0", text, id) },
                    { kind: "deleteRange", deleteRange: { key: bytes("k3"), rangeEnd: bytes("k5"), prevKv: false } },
                    { kind: "put", put: putOf("k9", text, 0n) }
                  ],
                  failure: []
                },
                reply
              )
            )
            next((view) => {
              view.set("k0", { text, lease: id }).set("k9", { text, lease: 0n })
              for (const name of ["k3", "k4"]) view.delete(name)
            })
          } else if (at < 60) {
            const name = key()
            const had = now.views.at(-1)!.has(name)
            yield* asEffect<unknown>((reply) =>
              kv.deleteRange({ key: bytes(name), rangeEnd: emptyBytes, prevKv: false }, reply)
            )
            if (had) next((view) => view.delete(name))
          } else if (at < 70) {
            const id = BigInt(i + 1)
            yield* asEffect<unknown>((reply) => leases.grant({ id, ttl: 50_000 + i }, reply))
            now = { ...now, leases: new Map(now.leases).set(id, 50_000 + i) }
          } else if (at < 76) {
            const id = lease()
            if (id === 0n) return
            yield* asEffect<unknown>((reply) => leases.revoke({ id }, reply))
            const left = new Map(now.leases)
            left.delete(id)
            now = { ...now, leases: left }
            const held = [...now.views.at(-1)!].filter(([, value]) => value.lease === id)
            if (held.length > 0) next((view) => held.forEach(([name]) => view.delete(name)))
          } else if (at < 84) {
            const name = `u${i}`
            yield* asEffect<unknown>((reply) => auth.userAdd({ name, password: "", noPassword: true }, root, reply))
            now = { ...now, users: new Set(now.users).add(name) }
          } else if (at < 90) {
            if (now.revision <= now.floor + 1) return
            const floor = now.floor + 1 + source.int(Math.min(6, now.revision - now.floor - 1))
            yield* compact(floor, source.chance(50))
            now = { ...now, floor }
          } else if (at < 96) yield* Snapshotter.use((snapshotter) => snapshotter.take)
        })
      for (let i = 0; i < operations; i++) {
        yield* node.use(operation(i))
        const index = yield* node.use(ReplicatedState.use((state) => Effect.succeed(state.headIndex())))
        now = { ...now, index }
        moments.push(now)
        if (i % 30 !== 29) continue
        // Another term, sometimes on a disk that has to be filled from the bucket.
        yield* node.stop
        if (source.chance(50)) world.disk = new MemoryDisk()
        node = yield* startNode(world)
      }
      yield* node.stop
      return { world, moments, source }
    })

  let files = 0
  const restored = (world: World, moment: Moment) =>
    Effect.gen(function* () {
      const file = join(folder, `${files++}.netsy`)
      const what = yield* restoreInto(moment, file).pipe(
        Effect.provide(ObjectStoreMemory.layer({ bucket: world.bucket }))
      )
      const again = makeWorld()
      putObject(again.bucket, bootstrapKey, readFileSync(file))
      return { what, again }
    })

  const assertShows = (world: World, model: Model) =>
    Effect.gen(function* () {
      const name = `revision ${model.revision}, index ${model.index}`
      const node = yield* startNode(world)
      const at = (revision: number) =>
        Effect.map(node.use(range({ revision })), ({ kvs, header }: RangeResponse) => {
          assert.strictEqual(header!.revision, model.revision, name)
          return shown(
            new Map(
              kvs.map(({ key, lease, value }) => [
                Buffer.from(key).toString(),
                { text: Buffer.from(value).toString(), lease }
              ])
            )
          )
        })
      for (let revision = Math.max(1, model.floor); revision <= model.revision; revision++)
        assert.strictEqual(yield* at(revision), shown(model.views[revision]!), `${name}, read at ${revision}`)
      if (model.floor > 1) {
        const refused = yield* Effect.flip(at(model.floor - 1))
        assert.match(refused.message, /required revision has been compacted/, name)
      }
      const { auth, leases } = yield* node.use(
        ReplicatedState.use((state) =>
          Effect.succeed({
            leases: new Map([...state.leases.all()].map(({ id, ttlSeconds }) => [id, ttlSeconds])),
            auth: new Set(state.auth().users.keys())
          })
        )
      )
      assert.deepStrictEqual(leases, new Map(model.leases), name)
      assert.deepStrictEqual(auth, new Set(model.users), name)
      const attached = [...model.views.at(-1)!].filter(([, { lease }]) => lease !== 0n)
      const keys = yield* node.use(
        ReplicatedState.use((state) => Effect.succeed([...leases.keys()].flatMap((id) => state.leases.keys(id))))
      )
      assert.strictEqual(keys.length, attached.length, `${name}, keys with leases`)
      // It goes on from there.
      yield* node.use(
        Kv.use((kv) =>
          asEffect<unknown>((reply) => kv.deleteRange({ key: bytes("k"), rangeEnd: bytes("l"), prevKv: false }, reply))
        )
      )
      yield* node.stop
    })

  for (const seed of [1, 2]) {
    it.live(
      `is what the model was then, whichever of them is asked for (seed ${seed})`,
      () =>
        Effect.gen(function* () {
          const { moments, source, world } = yield* live(seed, 90)
          const before = world.bucket.list({ prefix: "" }).objects.map(({ etag, key }) => `${key} ${etag}`)
          for (let i = 0; i < 4; i++) {
            const { revision } = moments[source.int(moments.length)]!
            // Everything of that revision belongs to it, also what took none of its own.
            const model = moments.findLast((one) => one.revision === revision)!
            const { again, what } = yield* restored(world, { kind: "revision", revision })
            assert.deepStrictEqual([what.revision, what.keys], [revision, model.views.at(-1)!.size])
            yield* assertShows(again, model)
          }
          for (let i = 0; i < 2; i++) {
            const model = moments[source.int(moments.length)]!
            const { again, what } = yield* restored(world, { kind: "index", index: model.index })
            assert.strictEqual(what.index, model.index)
            yield* assertShows(again, model)
          }
          const { again: old } = yield* restored(world, { kind: "index", index: moments.at(-9)!.index })
          old.disk = world.disk
          const error = yield* Effect.flip(startNode(old))
          assert.match(String("message" in error ? error.message : error), /the bucket's history differs at index \d+/)
          const { again } = yield* restored(world, { kind: "newest" })
          yield* assertShows(again, moments.at(-1)!)
          assert.deepStrictEqual(
            world.bucket.list({ prefix: "" }).objects.map(({ etag, key }) => `${key} ${etag}`),
            before,
            "nothing in the source has changed"
          )
        }),
      60_000
    )
  }
})
