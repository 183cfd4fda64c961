import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { decodeStatus } from "../../src/core/status/document.ts"
import { encodeNodeReport } from "../../src/core/wire/peer/codecs.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import * as ClusterStatusPeers from "../../src/layers/ClusterStatusPeers.ts"
import * as HealthServerHttp from "../../src/layers/HealthServerHttp.ts"
import * as NodeReportsLocal from "../../src/layers/NodeReportsLocal.ts"
import { readStatus } from "../../src/programs/status.ts"
import { ClusterStatus } from "../../src/services/ClusterStatus.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { HealthServer } from "../../src/services/HealthServer.ts"
import type { PeerMethod } from "../../src/services/PeerNetwork.ts"
import { stateOf } from "../cluster-view/states.ts"
import { MemoryDisk, World } from "../membership/world.ts"
import { reportOf } from "./reports.ts"

/** Node b; a and c answer as themselves. */
const scene = () => {
  const world = new World()
  const answers =
    (nodeId: string): PeerMethod =>
    (_request, _from, answer) =>
      answer.succeed(encodeNodeReport(reportOf(nodeId)))
  for (const nodeId of ["a", "c"]) {
    world.network.handlers.set(nodeId, new Map([[peerMethods.getNodeState, answers(nodeId)]]))
  }
  const settings = world.settings("b")
  const layer = ClusterStatusPeers.layer.pipe(
    Layer.provideMerge(NodeReportsLocal.layer),
    Layer.provideMerge(
      world.layer({ ...settings, bind: { ...settings.bind, health: { host: "127.0.0.1", port: 0 } } }, new MemoryDisk())
    )
  )
  return { world, layer: Layer.fresh(layer) }
}

describe("ClusterStatusPeers", () => {
  it.effect("gathers what every node says about itself, and who does not answer", () => {
    const { world, layer } = scene()
    return Effect.gen(function* () {
      const context = yield* Layer.build(layer)
      Context.get(context, ClusterView).offer(stateOf())
      world.network.cut.add("c")
      const status = yield* Context.get(context, ClusterStatus).read
      assert.deepInclude(status, { answered_by: "b", elector: "a" })
      assert.deepStrictEqual(
        status.nodes.map(({ node_id, last_index, unreachable }) => [node_id, last_index, unreachable]),
        [
          ["a", 1_204, undefined],
          ["b", 0, undefined],
          ["c", undefined, "connection refused"]
        ]
      )
    }).pipe(Effect.scoped)
  })

  it.effect("asks once for many who want to know at the same time, and again later", () => {
    const { world, layer } = scene()
    return Effect.gen(function* () {
      const context = yield* Layer.build(layer)
      Context.get(context, ClusterView).offer(stateOf())
      const { read } = Context.get(context, ClusterStatus)
      const many = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 20 }, () => read),
          { concurrency: 20 }
        )
      )
      yield* Fiber.join(many)
      assert.strictEqual(world.network.calls.length, 2)
      yield* TestClock.adjust(300)
      yield* read
      assert.strictEqual(world.network.calls.length, 4)
    }).pipe(Effect.scoped)
  })

  it.live("is what netsy status reads from the health port; before that the port says how the start goes", () => {
    const { layer } = scene()
    return Effect.gen(function* () {
      const context = yield* Layer.build(Layer.provideMerge(HealthServerHttp.layer, layer))
      const { address } = Context.get(context, HealthServer)
      const command = { kind: "status", endpoints: [{ host: "127.0.0.1", port: 1 }, address], watch: false } as const
      const json = Effect.map(readStatus({ ...command, json: true }), (text) => decodeStatus(text))
      const before = yield* json
      assert.ok(typeof before !== "string")
      assert.deepInclude(before, { answered_by: "b", elector: "" })
      assert.deepInclude(before.nodes[0], { node_id: "b", health: "loading" })
      Context.get(context, ClusterView).offer(stateOf())
      yield* Layer.build(ClusterStatusPeers.onHealthPort).pipe(Effect.provide(context))
      const after = yield* json
      assert.ok(typeof after !== "string")
      assert.deepStrictEqual(
        after.nodes.map(({ node_id }) => node_id),
        ["a", "b", "c"]
      )
      assert.include(yield* readStatus({ ...command, json: false }), "Elector:  a\n")
      const problems = yield* Effect.flip(
        readStatus({ ...command, json: false, endpoints: [{ host: "127.0.0.1", port: 1 }] })
      )
      assert.match(problems[0]!, /^127\.0\.0\.1:1: connect/)
    }).pipe(Effect.scoped)
  })
})
