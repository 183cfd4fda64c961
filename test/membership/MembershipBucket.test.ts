import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { arbiterKey, encodeArbiter, nextTerm } from "../../src/core/election/arbiter.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { Membership } from "../../src/services/Membership.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { infoOf, stateOf, threeNodes } from "../cluster-view/states.ts"
import { MemoryDisk, World } from "./world.ts"

const self = Membership.use((membership) => Effect.sync(membership.self))

describe("a registration", () => {
  it.effect("stands in the bucket when the layer is built, stays after a clean stop, and counts the starts", () => {
    const world = new World()
    const disk = new MemoryDisk()
    return Effect.gen(function* () {
      const settings = world.settings("a")
      const first = yield* world.once(settings, disk, self)
      assert.include(world.json("nodes/a.json"), {
        node_id: "a",
        client_advertise_address: "a:2378",
        peer_advertise_address: "a:2381",
        incarnation: first.incarnation,
        starts: 1
      })
      assert.deepStrictEqual(yield* world.once(settings, disk, self), first)
      assert.include(world.json("nodes/a.json"), { incarnation: first.incarnation, starts: 2 })
      assert.isUndefined(world.bucket.get("members.json"), "the Elector's")
    })
  })

  it.effect("is of a new incarnation when the disk was lost, or was put back to an older state", () => {
    const world = new World()
    const disk = new MemoryDisk()
    return Effect.gen(function* () {
      const settings = world.settings("a")
      const first = yield* world.once(settings, disk, self)
      const older = disk.snapshot()
      yield* world.once(settings, disk, self)
      disk.putBack(older)
      const second = yield* world.once(settings, disk, self)
      assert.notStrictEqual(second.incarnation, first.incarnation)
      assert.include(world.json("nodes/a.json"), { incarnation: second.incarnation, starts: 1 })
      assert.ok(world.lines.some((line) => line.event === "older_disk_found"))
      // From then on it is an ordinary disk again.
      assert.deepStrictEqual(yield* world.once(settings, disk, self), second)
      const third = yield* world.once(settings, new MemoryDisk(), self)
      assert.notStrictEqual(third.incarnation, second.incarnation)
      assert.include(world.json("nodes/a.json"), { incarnation: third.incarnation, starts: 1 })
    })
  })

  it.effect("of a write whose answer was lost is recognised as its own, not as an older disk's", () => {
    const world = new World()
    let puts = 0
    world.decide = ({ operation }) => (operation === "put" && ++puts === 1 ? { kind: "lose" } : undefined)
    return Effect.gen(function* () {
      const building = yield* Effect.forkChild(world.once(world.settings("a"), new MemoryDisk(), self))
      yield* TestClock.adjust(5_000)
      const found = yield* Fiber.join(building)
      assert.include(world.json("nodes/a.json"), { incarnation: found.incarnation, starts: 1 })
      assert.notOk(world.lines.some((line) => line.event === "older_disk_found"))
    })
  })

  it.effect("remembers the term that the arbiter showed then: whoever was named in it was another process", () => {
    const world = new World()
    return Effect.gen(function* () {
      const settings = world.settings("a")
      const termAtStart = Membership.use((membership) => Effect.sync(membership.termAtStart))
      const disk = new MemoryDisk()
      assert.strictEqual(yield* world.once(settings, disk, termAtStart), 0)
      const { nodeId, incarnation } = yield* world.once(settings, disk, self)
      const first = nextTerm(undefined, { nodeId, incarnation }, { highestTerm: 5, leaseMillis: 1_000 })
      world.put(arbiterKey, Buffer.from(encodeArbiter(first)).toString())
      assert.strictEqual(yield* world.once(settings, disk, termAtStart), 6)
    })
  })

  it.effect("tells the cluster's view who this node is", () => {
    const world = new World()
    return Effect.gen(function* () {
      const context = yield* world.node(world.settings("a"))
      const view = Context.get(context, ClusterView)
      assert.isTrue(view.isSelf(Context.get(context, Membership).self()))
    }).pipe(Effect.scoped)
  })

  it.effect("waits for the bucket as long as it takes, and the log says for what", () => {
    const world = new World()
    let reachable = false
    world.decide = () => (reachable ? undefined : { kind: "fail" })
    return Effect.gen(function* () {
      const building = yield* Effect.forkChild(
        world.once(
          world.settings("a"),
          new MemoryDisk(),
          NodeStatus.use((s) => Effect.sync(s.waiting))
        )
      )
      yield* TestClock.adjust("10 minutes")
      const waiting = world.lines.filter((line) => line.event === "waiting")
      assert.strictEqual(waiting.length, 1, "said once")
      assert.include(String(waiting[0]!.fields["for"]), "the bucket")
      reachable = true
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* Fiber.join(building))
      assert.include(world.json("nodes/a.json"), { starts: 1 })
    })
  })

  it.effect("is not written into the bucket of another cluster, nor over one that cannot be read", () => {
    const world = new World()
    return Effect.gen(function* () {
      world.put("members.json", '{"cluster_id":"somebody-else","members":{}}')
      const foreign = yield* Effect.flip(world.once(world.settings("a"), new MemoryDisk(), self))
      assert.include(foreign.message, "somebody-else")
      assert.isUndefined(world.bucket.get("nodes/a.json"))
      world.bucket.delete("members.json")
      world.put("nodes/a.json", "{")
      const damaged = yield* Effect.flip(world.once(world.settings("a"), new MemoryDisk(), self))
      assert.include(damaged.message, "nodes/a.json: not JSON")
      assert.strictEqual(Buffer.from(world.bucket.get("nodes/a.json")!.body).toString(), "{")
    })
  })

  it.effect("carries the member id that an earlier life was given", () => {
    const world = new World()
    return Effect.gen(function* () {
      world.put("members.json", `{"cluster_id":${JSON.stringify(world.settings("a").clusterId)},"members":{"a":7}}`)
      const memberId = NodeStatus.use((s) => Effect.sync(s.memberId))
      assert.strictEqual(yield* world.once(world.settings("a"), new MemoryDisk(), memberId), 7n)
    })
  })
})

describe("the Elector's work on the registry", () => {
  const membershipOf = (world: World, nodeId: string) =>
    Effect.map(world.node(world.settings(nodeId)), (context) => Context.get(context, Membership))

  it.effect("gives every registered node a member id that it keeps, and reads all of them", () => {
    const world = new World()
    return Effect.gen(function* () {
      const b = yield* membershipOf(world, "b")
      const shown = Effect.map(b.readAll, (all) =>
        all.map(({ registration, memberId }) => `${registration.nodeId}=${memberId}`).sort()
      )
      assert.deepStrictEqual(yield* shown, ["b=1"])
      yield* membershipOf(world, "a")
      yield* membershipOf(world, "c")
      assert.deepStrictEqual(yield* shown, ["a=2", "b=1", "c=3"])
      yield* b.deregister("a")
      assert.deepStrictEqual(yield* shown, ["b=1", "c=3"])
      assert.isUndefined(yield* b.read("a"))
      assert.strictEqual((yield* b.lookUp("c"))?.peerAddress, "c:2381")
      yield* membershipOf(world, "a")
      assert.deepStrictEqual(yield* shown, ["a=2", "b=1", "c=3"])
      assert.deepStrictEqual(world.json("members.json")["members"], { a: 2, b: 1, c: 3 })
    }).pipe(Effect.scoped)
  })

  it.effect("never gives one id to two nodes, whoever else writes at the same time or loses an answer", () => {
    const world = new World()
    let puts = 0
    return Effect.gen(function* () {
      const a = yield* membershipOf(world, "a")
      const b = yield* membershipOf(world, "b")
      world.decide = ({ operation, key }) =>
        operation === "put" && key === "members.json"
          ? ++puts % 2 === 1
            ? { kind: "delay", millis: 30 }
            : { kind: "lose" }
          : undefined
      const both = yield* Effect.forkChild(
        Effect.all([a.allocate("x"), b.allocate("y"), a.allocate("z"), b.allocate("x")], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("5 seconds")
      const [x, y, z, again] = yield* Fiber.join(both)
      assert.strictEqual(x, again)
      assert.strictEqual(new Set([x, y, z]).size, 3)
      const members = world.json("members.json")["members"] as Record<string, number>
      assert.deepStrictEqual([members["x"], members["y"], members["z"]].map(String), [x, y, z].map(String))
    }).pipe(Effect.scoped)
  })

  it.effect("gives up after five lost conditional writes", () => {
    const world = new World()
    let puts = 0
    return Effect.gen(function* () {
      const a = yield* membershipOf(world, "a")
      world.decide = ({ operation }) => {
        if (operation !== "put") return undefined
        puts++
        return { kind: "fail" }
      }
      const giving = yield* Effect.forkChild(Effect.flip(a.allocate("a")))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(giving))._tag, "Unavailable")
      assert.strictEqual(puts, 5)
    }).pipe(Effect.scoped)
  })

  it.effect("skips a registration that cannot be read and says which", () => {
    const world = new World()
    return Effect.gen(function* () {
      const a = yield* membershipOf(world, "a")
      world.put("nodes/broken.json", "[]")
      world.put("nodes/other.json", '{"node_id":"x"}')
      assert.deepStrictEqual(
        (yield* a.readAll).map(({ registration }) => registration.nodeId),
        ["a"]
      )
      assert.deepStrictEqual(
        world.lines.filter((line) => line.event === "registration_skipped").map((line) => line.fields["key"]),
        ["nodes/broken.json", "nodes/other.json"]
      )
      assert.include((yield* Effect.flip(a.read("broken"))).message, "nodes/broken.json")
    }).pipe(Effect.scoped)
  })
})

describe("MemberList", () => {
  it.effect("lists the nodes of the cluster's view in the order of their ids, with URLs", () => {
    const world = new World()
    return Effect.gen(function* () {
      const context = yield* world.node(world.settings("b"))
      const { members } = Context.get(context, Membership)
      assert.deepStrictEqual(members(), [])
      Context.get(context, ClusterView).offer(stateOf({ nodes: [infoOf("d", 10n), ...threeNodes] }))
      assert.deepStrictEqual(
        members().map(({ id, name }) => `${id} ${name}`),
        ["1 a", "2 b", "3 c", "10 d"]
      )
      assert.deepStrictEqual(members()[0], {
        id: 1n,
        name: "a",
        peerUrls: ["http://a:2381"],
        clientUrls: ["http://a:2378"],
        isLearner: false
      })
    }).pipe(Effect.scoped)
  })
})
