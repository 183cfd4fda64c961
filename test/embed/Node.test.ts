/** A node inside a program: how it starts, how it ends, what it says, and to whom. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Logger, References, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { lockKey } from "../../src/core/election/lock.ts"
import { Client, Netsy, Node, ObjectStore, ObjectStoreMemory } from "../../src/index.ts"

/** A store with a defect that shows when it is told to, where no write waits for it. */
const brokenLater = () => {
  const state = { broken: false }
  const layer = Layer.effect(
    ObjectStore,
    Effect.map(ObjectStore, (inner) =>
      ObjectStore.of({
        ...inner,
        put: (key, body, condition) =>
          Effect.suspend(() =>
            state.broken && key === lockKey
              ? Effect.die(new Error("the store has a defect"))
              : inner.put(key, body, condition)
          )
      })
    )
  ).pipe(Layer.provide(ObjectStoreMemory.layer()))
  return { state, layer }
}

describe("a node in a program", () => {
  it.effect("tells how it is, and how the cluster is", () =>
    Effect.gen(function* () {
      const client = yield* Client
      const node = yield* Node
      yield* client.put("a", "1")
      assert.deepStrictEqual(
        [node.nodeId, node.clusterId, node.health(), node.role(), node.troubles()],
        ["node-1", "netsy", "healthy", "active", []]
      )
      const status = yield* client.status
      assert.deepInclude(status, { revision: 2, term: 1, isLeader: true, memberId: node.memberId(), problems: [] })
      const { nodes } = yield* node.cluster
      assert.deepStrictEqual(
        nodes.map(({ last_revision, node_id, primary }) => [node_id, primary, last_revision]),
        [["node-1", "active", 2]]
      )
      assert.match(yield* node.metrics, /^netsy_client_requests_total\{kind="put",result="success"\} 1$/m)
    }).pipe(Effect.provide(Netsy.layerMemory({ log: { to: "none" } })))
  )

  it.effect("has everything again after it was closed, also without its disk", () => {
    const bucket = new Netsy.MemoryBucket()
    const count = Effect.provide(
      Client.use((client) => Effect.andThen(client.put("n", "x"), client.get("n"))),
      Netsy.layerMemory({ bucket, log: { to: "none" } })
    )
    return Effect.gen(function* () {
      assert.strictEqual((yield* count)?.version, 1)
      assert.strictEqual((yield* count)?.version, 2)
    })
  })

  it.effect("that cannot go on says so, and every call fails from then on", () => {
    const { layer, state } = brokenLater()
    return Effect.gen(function* () {
      const client = yield* Client
      const node = yield* Node
      const program = yield* Effect.forkChild(Effect.flip(Effect.raceFirst(Effect.never, Netsy.untilFailed)))
      const watch = yield* Effect.forkChild(Effect.flip(Stream.runDrain(client.watch({ prefix: "" }))))
      yield* client.lock("l")
      const lock = yield* Effect.forkChild(Effect.flip(Effect.scoped(client.lock("l"))))
      while ((yield* client.count({ prefix: "l/" })) < 2) yield* Effect.yieldNow
      state.broken = true
      // The Elector's lock is renewed every ten seconds.
      yield* TestClock.adjust("11 seconds")
      const failed = yield* Fiber.join(program)
      assert.deepStrictEqual([failed._tag, failed.restart], ["NodeFailed", false])
      assert.match(failed.message, /the store has a defect/)
      for (const error of [yield* Fiber.join(lock), yield* Fiber.join(watch)]) {
        assert.deepStrictEqual([error._tag, error.message], ["EtcdUnavailable", "etcdserver: server stopped"])
      }
      assert.strictEqual((yield* Effect.flip(client.get("a")))._tag, "EtcdUnavailable")
      assert.strictEqual((yield* Effect.flip(node.ended))._tag, "NodeFailed")
      state.broken = false
    }).pipe(
      Effect.scoped,
      Effect.provide(Netsy.layerWith({ disk: new Netsy.MemoryDisk(), log: { to: "none" } }).pipe(Layer.provide(layer)))
    )
  })

  it.live("whose layer is closed leaves nobody waiting", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(Netsy.layerMemory({ log: { to: "none" } }), scope)
      const client = yield* Effect.provide(Client, services)
      yield* Scope.provide(client.lock("l"), yield* Effect.scope)
      const waiting = yield* Effect.forkChild(Effect.exit(Effect.scoped(client.lock("l"))), { startImmediately: true })
      const watching = yield* Effect.forkChild(Effect.exit(Stream.runDrain(client.watch("a"))), {
        startImmediately: true
      })
      while ((yield* client.count({ prefix: "l/" })) < 2) yield* Effect.sleep("1 millis")
      yield* Effect.timeout(Scope.close(scope, Exit.void), "10 seconds")
      assert.ok(Exit.isFailure(yield* Fiber.join(waiting)))
      assert.ok(Exit.isFailure(yield* Fiber.join(watching)))
      assert.strictEqual((yield* Effect.flip(client.get("a"))).message, "etcdserver: server stopped")
    }).pipe(Effect.scoped)
  )

  it.live("that cannot start says why", () => {
    const file = join(mkdtempSync(join(tmpdir(), "netsy-embed-")), "file")
    writeFileSync(file, "")
    return Effect.gen(function* () {
      const options = { storage: `dir:${file}/store`, log: { to: "none" } } as const
      const error = yield* Effect.flip(Effect.provide(Client, Netsy.layer(options)))
      assert.ok(error._tag === "NetsyStartFailed")
      assert.match(error.message, /^Netsy does not start: .*file/)
      const store = yield* Effect.flip(Effect.provide(ObjectStore, Netsy.objectStoreOf(options)))
      assert.strictEqual(store._tag, "NetsyStartFailed")
      const word = yield* Effect.flip(Effect.provide(ObjectStore, Netsy.objectStoreOf({ storage: "s3:/x" })))
      assert.strictEqual(word._tag, "NetsyConfigError")
    })
  })

  it.live("whose disk has failed waits for nothing when it is closed", () =>
    Effect.gen(function* () {
      const disk = new Netsy.MemoryDisk()
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(Netsy.layerMemory({ disk, log: { to: "none" } }), scope)
      disk.failWrites("full")
      const error = yield* Effect.flip(Context.get(services, Client).put("a", "1"))
      assert.strictEqual(error.message, "etcdserver: server stopped")
      const begun = Date.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(Date.now() - begun, 4_000)
    })
  )

  it.effect("logs to the loggers of its program when it is told to, with their level", () => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
      const { node_id } = fiber.getRef(References.CurrentLogAnnotations)
      lines.push(`${logLevel} ${String(node_id)} ${String(message)}`)
    })
    const run = (level: "Info" | "Error") =>
      Client.use((client) => client.put("a", "1")).pipe(
        Effect.provide(
          Netsy.layerMemory({ nodeId: "logged", log: { to: "effect" } }).pipe(
            Layer.provide([Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, level)])
          )
        )
      )
    return Effect.gen(function* () {
      yield* run("Info")
      assert.include(lines, "Info logged reign_started")
      lines.length = 0
      yield* run("Error")
      assert.deepStrictEqual(lines, [])
    })
  })

  it.effect("shares nothing with another one in the same program", () =>
    Effect.gen(function* () {
      const start = Effect.map(Layer.build(Netsy.layerMemory({ log: { to: "none" } })), (services) =>
        Effect.provide(Client, services)
      )
      const [one, two] = [yield* yield* start, yield* yield* start]
      yield* one.put("a", "1")
      assert.isUndefined(yield* two.get("a"))
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.scoped)
  )
})

describe("a cluster in a program", () => {
  it.effect("has each name once at a time, and says so instead of waiting", () =>
    Effect.gen(function* () {
      const network = Netsy.network()
      const bucket = new Netsy.MemoryBucket()
      const put = (key: string) => Client.use((client) => client.put(key, "1"))
      const node = Netsy.layerMemory({ nodeId: "a", network, bucket, log: { to: "none" } })
      const twice = Effect.flip(Effect.provide(put("a"), Layer.fresh(node)))
      const error = yield* Effect.provide(Effect.andThen(put("b"), twice), node)
      assert.strictEqual(error._tag, "NetsyConfigError")
      assert.include(error.message, "nodeId: got a")
      assert.include(error.message, "a node of this name runs on the network")
      // The name is free again.
      yield* Effect.provide(put("c"), Netsy.layerMemory({ nodeId: "a", network, log: { to: "none" } }))
    })
  )

  it.live("is used through every node: writes, reads, watches and locks", () =>
    Effect.gen(function* () {
      const network = Netsy.network()
      const bucket = new Netsy.MemoryBucket()
      const start = (nodeId: string) =>
        Effect.map(
          Layer.build(
            Netsy.layerMemory({
              nodeId,
              network,
              bucket,
              heartbeatInterval: "200 millis",
              elector: { primaryPriorTimeout: "1 second" },
              replication: { storeLease: "1 second" },
              log: { to: "none" }
            })
          ),
          (services) => ({ services, nodeId })
        )
      const nodes = yield* Effect.forEach(["a", "b", "c"], start, { concurrency: 3 })
      const clients = yield* Effect.forEach(nodes, ({ services }) => Effect.provide(Client, services))
      const replicas = clients.filter((_, i) => !isActive(nodes[i]!.services))
      assert.strictEqual(replicas.length, 2)
      const [first, second] = [replicas[0]!, replicas[1]!]

      const { revision } = yield* first.put("a", "1")
      assert.strictEqual((yield* second.get("a"))?.modRevision, revision)
      const seen = yield* second.watch("a", { revision }).pipe(Stream.take(2), Stream.runCollect, Effect.forkChild)
      yield* first.put("a", "2")
      assert.deepStrictEqual(
        [...(yield* Fiber.join(seen))].map(({ entry }) => entry.value),
        ["1", "2"]
      )
      const lease = yield* second.lease({ ttl: "2 seconds" })
      yield* first.put("leased", "1", { lease })

      const entered = yield* Deferred.make<void>()
      let holders = 0
      const critical = (client: Client["Service"]) =>
        client.withLock("lock", () =>
          Effect.gen(function* () {
            assert.strictEqual(++holders, 1)
            yield* Deferred.succeed(entered, undefined)
            yield* Effect.sleep("20 millis")
            holders--
          })
        )
      yield* Effect.all(clients.map(critical), { concurrency: 3 })
      yield* Deferred.await(entered)

      // The leased key outlives its time, renewed by a Replica.
      yield* Effect.sleep("2500 millis")
      assert.strictEqual((yield* first.get("leased"))?.lease, lease.id)

      // Whoever gives up while there is no Primary has not written.
      const primary = nodes.find(({ services }) => isActive(services))!
      network.isolate(primary.nodeId)
      const gaveUp = yield* Effect.exit(Effect.timeout(first.put("given up", "1"), "100 millis"))
      assert.ok(Exit.isFailure(gaveUp))
      network.rejoin(primary.nodeId)
      yield* second.put("later", "1").pipe(Effect.retry({ times: 20 }))
      assert.isUndefined(yield* first.get("given up"))
    }).pipe(Effect.scoped)
  )
})

const isActive = (services: Context.Context<Node>): boolean => Context.get(services, Node).role() === "active"
