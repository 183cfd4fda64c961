import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { encodeLock, lockKey } from "../../src/core/election/lock.ts"
import { decodeHeartbeatRequest, decodeLeaveRequest, encodeClusterState } from "../../src/core/wire/peer/codecs.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import type { ClusterState, HeartbeatRequest } from "../../src/core/wire/peer/messages.ts"
import * as HeartbeatCluster from "../../src/layers/HeartbeatCluster.ts"
import * as NodeReportsLocal from "../../src/layers/NodeReportsLocal.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { Elector } from "../../src/services/Elector.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { arbiterOf, stateOf } from "../cluster-view/states.ts"
import { MemoryDisk, World } from "../membership/world.ts"

/** Node b, whose Elector is another node unless the test says so. */
class Scene {
  readonly world = new World()
  readonly beats: Array<HeartbeatRequest & { readonly to: string; readonly at: number }> = []
  readonly left: Array<string> = []
  now = 0
  leads = false
  heard: string | undefined
  reads = 0

  constructor() {
    this.world.decide = ({ operation }) => {
      if (operation === "get") this.reads++
      return undefined
    }
  }

  /** The node answers heartbeats with this, or refuses them as who is no Elector. */
  elector(nodeId: string, state: () => ClusterState | undefined): void {
    const handlers = new Map()
    this.world.network.handlers.set(nodeId, handlers)
    handlers.set(peerMethods.heartbeat, (request: Uint8Array, _from: string, answer: never) => {
      this.answer(nodeId, request, answer, state())
    })
    handlers.set(
      peerMethods.leave,
      (request: Uint8Array, from: string, answer: { succeed: (b: Uint8Array) => void }) => {
        const { forGood } = decodeLeaveRequest(request)
        this.left.push(`${from} to ${nodeId}${forGood ? " for good" : ""}`)
        answer.succeed(new Uint8Array(0))
      }
    )
  }

  answer(
    nodeId: string,
    request: Uint8Array,
    answer: { succeed: (bytes: Uint8Array) => void; fail: (code: number, reason: string) => void },
    state: ClusterState | undefined
  ): void {
    this.beats.push({ ...decodeHeartbeatRequest(request), to: nodeId, at: this.now })
    if (state === undefined) answer.fail(9, "not the Elector")
    else answer.succeed(encodeClusterState(state))
  }

  lock(nodeId: string): void {
    const body = encodeLock({ leaderId: nodeId, leaderAddr: `${nodeId}:8443` }, "2026-01-01T00:00:00Z")
    this.world.bucket.put(lockKey, body, undefined, 0)
  }

  registration(nodeId: string): void {
    this.world.put(
      `nodes/${nodeId}.json`,
      JSON.stringify({ node_id: nodeId, peer_advertise_address: `${nodeId}:2381` })
    )
  }

  start(scope: Scope.Scope) {
    const elector = Layer.succeed(
      Elector,
      Elector.of({ isLeader: () => this.leads, leader: () => this.heard, standAside: Effect.void, resign: Effect.void })
    )
    const settings = { ...this.world.settings("b"), heartbeatIntervalMillis: 1_000 }
    const layer = HeartbeatCluster.layer.pipe(
      Layer.provideMerge(Layer.mergeAll(NodeReportsLocal.layer, elector, SupervisorFatal.layer)),
      Layer.provideMerge(this.world.layer(settings, new MemoryDisk()))
    )
    return Layer.buildWithScope(Layer.fresh(layer), scope)
  }

  pass(millis: number) {
    return Effect.gen({ self: this }, function* () {
      for (let left = millis; left > 0; left -= 50) {
        this.now += 50
        yield* TestClock.adjust(50)
      }
    })
  }
}

const scene = (body: (scene: Scene, scope: Scope.Closeable) => Effect.Effect<void, unknown>) => () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* body(new Scene(), scope).pipe(Effect.ensuring(Scope.close(scope, Exit.void)))
  })

describe("HeartbeatCluster", () => {
  it.effect(
    "finds the Elector by the lock object, tells it the own report every interval and takes the cluster's state",
    scene((s, scope) =>
      Effect.gen(function* () {
        s.lock("a")
        s.registration("a")
        let serial = 1
        s.elector("a", () => stateOf({ serial: serial++, arbiter: arbiterOf({ term: 3 }) }))
        const context = yield* s.start(scope)
        yield* s.pass(5_000)
        const view = Context.get(context, ClusterView)
        assert.deepInclude(view.current(), { elector: "a", serial: s.beats.length })
        assert.isAtLeast(s.beats.length, 5)
        assert.isAtMost(s.beats.length, 7)
        assert.strictEqual(s.beats.at(-1)!.report.name.nodeId, "b")
        assert.strictEqual(s.beats.at(-1)!.report.term, 3)
        const reads = s.reads
        yield* s.pass(30_000)
        assert.strictEqual(s.reads, reads, "nothing is read from the bucket while the Elector answers")
        assert.strictEqual(Context.get(context, NodeStatus).term(), 3)
      })
    )
  )

  it.effect(
    "goes on undisturbed when the Elector is lost, reads the lock at most once a second, and follows the next one",
    scene((s, scope) =>
      Effect.gen(function* () {
        s.lock("a")
        s.elector("a", () => stateOf())
        s.elector("c", () => stateOf({ elector: "c", serial: 1 }))
        s.registration("a")
        const context = yield* s.start(scope)
        yield* s.pass(3_000)
        s.world.network.cut.add("a")
        const reads = s.reads
        yield* s.pass(15_000)
        assert.isAtMost(s.reads - reads, 32, "the lock and a registration a second")
        assert.strictEqual(s.world.lines.filter((line) => line.event === "elector_lost").length, 1)
        assert.strictEqual(Context.get(context, NodeStatus).troubles().length, 0)
        const before = s.beats.length
        s.lock("c")
        yield* s.pass(3_000)
        assert.isAbove(s.beats.length, before)
        assert.strictEqual(Context.get(context, ClusterView).current().elector, "c")
        assert.strictEqual(s.world.lines.filter((line) => line.event === "elector_found").length, 1)
      })
    )
  )

  it.effect(
    "looks again when the one it asks is not the Elector any more, and asks whom its own Elector has heard of",
    scene((s, scope) =>
      Effect.gen(function* () {
        let leads = true
        s.lock("a")
        s.registration("a")
        s.elector("a", () => (leads ? stateOf() : undefined))
        s.elector("c", () => stateOf({ elector: "c", serial: 1 }))
        const context = yield* s.start(scope)
        yield* s.pass(2_000)
        leads = false
        s.heard = "c"
        const reads = s.reads
        yield* s.pass(3_000)
        assert.strictEqual(Context.get(context, ClusterView).current().elector, "c")
        assert.strictEqual(s.beats.at(-1)!.to, "c")
        assert.strictEqual(s.reads, reads, "the bucket was not needed")
      })
    )
  )

  it.effect(
    "tells a suspicion at once, and a new Elector at once that it is here",
    scene((s, scope) =>
      Effect.gen(function* () {
        s.lock("a")
        s.registration("a")
        s.elector("a", () => stateOf())
        s.elector("c", () => stateOf({ elector: "c", serial: 5 }))
        const context = yield* s.start(scope)
        const view = Context.get(context, ClusterView)
        yield* s.pass(2_200)
        const before = s.beats.length
        view.suspect("c")
        yield* s.pass(100)
        assert.strictEqual(s.beats.length, before + 1)
        assert.strictEqual(s.beats.at(-1)!.suspects, "c")
        yield* s.pass(1_000)
        assert.strictEqual(s.beats.at(-1)!.suspects, "", "told once")
        const toC = () => s.beats.filter(({ to }) => to === "c").length
        assert.strictEqual(toC(), 0)
        view.offer(stateOf({ elector: "c", serial: 4 }))
        yield* s.pass(100)
        assert.strictEqual(toC(), 1)
      })
    )
  )

  it.effect(
    "keeps a suspicion until an Elector has heard it",
    scene((s, scope) =>
      Effect.gen(function* () {
        s.lock("a")
        s.registration("a")
        s.elector("a", () => stateOf())
        const context = yield* s.start(scope)
        yield* s.pass(2_000)
        s.world.network.cut.add("a")
        Context.get(context, ClusterView).suspect("c")
        yield* s.pass(3_000)
        s.world.network.cut.delete("a")
        const before = s.beats.length
        yield* s.pass(3_000)
        assert.strictEqual(s.beats[before]!.suspects, "c")
        assert.deepStrictEqual(new Set(s.beats.slice(before + 1).map(({ suspects }) => suspects)), new Set([""]))
      })
    )
  )

  it.effect(
    "tells this node itself when it is the Elector, without the bucket; suspicions stay in the view",
    scene((s, scope) =>
      Effect.gen(function* () {
        s.leads = true
        const context = yield* s.start(scope)
        const view = Context.get(context, ClusterView)
        // What the Elector of this node does.
        s.world.network.handlers.get("b")!.set(peerMethods.heartbeat, (request, _from, answer) => {
          const { suspects } = decodeHeartbeatRequest(request)
          if (suspects !== "") view.suspect(suspects)
          s.answer("b", request, answer, stateOf({ elector: "b" }))
        })
        const reads = s.reads
        yield* s.pass(3_000)
        view.suspect("a")
        yield* s.pass(3_000)
        assert.strictEqual(s.reads, reads)
        assert.isAtMost(s.beats.length, 8)
        assert.isAtLeast(s.beats.length, 4)
        assert.strictEqual(view.current().elector, "b")
      })
    )
  )

  it.effect("leaves when the node stops cleanly; an Elector that does not answer does not hold the stop up", () =>
    Effect.gen(function* () {
      for (const silent of [false, true]) {
        const s = new Scene()
        const scope = yield* Scope.make()
        s.lock("a")
        s.registration("a")
        s.elector("a", () => stateOf())
        yield* s.start(scope)
        yield* s.pass(2_000)
        if (silent) s.world.network.silent.add("a")
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* s.pass(3_000)
        assert.isDefined(closing.pollUnsafe(), "the stop is over")
        assert.deepStrictEqual(s.left, silent ? [] : ["b to a"])
      }
    })
  )
})
