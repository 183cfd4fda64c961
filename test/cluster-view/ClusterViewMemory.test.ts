import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { encodeClusterState } from "../../src/core/wire/peer/codecs.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import * as ClusterViewMemory from "../../src/layers/ClusterViewMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { TestNetwork } from "./network.ts"
import { arbiterOf, infoOf, nameOf, stateOf } from "./states.ts"

const onNode = (network: TestNetwork, nodeId: string) =>
  ClusterViewMemory.layer.pipe(
    Layer.provideMerge(NodeStatusMemory.layer),
    Layer.provideMerge(Layer.mergeAll(MetricsPrometheus.layer, LogMemory.layer(), network.layer(nodeId))),
    Layer.provideMerge(SettingsValue.layer({ ...embeddedSettings(), nodeId }))
  )

describe("ClusterViewMemory", () => {
  it.effect("keeps the term, the Primary's member id and the own member id of response headers current", () => {
    const network = new TestNetwork()
    return Effect.gen(function* () {
      const view = yield* ClusterView
      const status = yield* NodeStatus
      assert.isUndefined(view.primary())
      assert.isTrue(view.offer(stateOf({ arbiter: arbiterOf({ term: 7, primary: nameOf("c") }) })))
      assert.strictEqual(status.term(), 7)
      assert.strictEqual(status.leaderMemberId(), 3n)
      assert.strictEqual(status.memberId(), 2n)
      assert.strictEqual(view.primary()?.name.nodeId, "c")
      assert.strictEqual(view.node("a")?.peerAddress, "a:2381")
      assert.isFalse(view.offer(stateOf({ serial: 99 })), "a lower term")
      assert.strictEqual(status.term(), 7)
      view.offer(stateOf({ arbiter: arbiterOf({ term: 7, primary: nameOf("c"), counter: 2, resigned: true }) }))
      assert.strictEqual(status.leaderMemberId(), 0n)
      assert.strictEqual(status.term(), 7)
    }).pipe(Effect.provide(onNode(network, "b")))
  })

  it.effect("tells listeners after each change, in their order, until they stop", () => {
    const network = new TestNetwork()
    return Effect.gen(function* () {
      const view = yield* ClusterView
      const told: Array<string> = []
      const stopFirst = view.onChange((state) => told.push(`first ${state.serial}`))
      view.onChange((state) => {
        told.push(`second ${state.serial}`)
        assert.strictEqual(view.current(), state)
      })
      view.offer(stateOf({ serial: 1 }))
      view.offer(stateOf({ serial: 1 }))
      stopFirst()
      view.offer(stateOf({ serial: 2 }))
      assert.deepStrictEqual(told, ["first 1", "second 1", "second 2"])
    }).pipe(Effect.provide(onNode(network, "b")))
  })

  it.effect("knows itself by node id and incarnation, once it was told", () => {
    const network = new TestNetwork()
    return Effect.gen(function* () {
      const view = yield* ClusterView
      assert.isFalse(view.isSelf(nameOf("b")))
      view.settle(nameOf("b"))
      assert.isTrue(view.isSelf(nameOf("b")))
      assert.isFalse(view.isSelf({ nodeId: "b", incarnation: "an older one" }))
    }).pipe(Effect.provide(onNode(network, "b")))
  })

  it.effect("takes what the Elector pushes and nobody else", () => {
    const network = new TestNetwork()
    return Effect.gen(function* () {
      const view = yield* ClusterView
      const push = (from: string, bytes: Uint8Array) => network.ask("b", peerMethods.pushClusterState, bytes, from)
      assert.deepStrictEqual(push("a", encodeClusterState(stateOf({ serial: 3 }))), new Uint8Array(0))
      assert.deepStrictEqual(view.current(), stateOf({ serial: 3 }))
      assert.include(push("c", encodeClusterState(stateOf({ serial: 4 }))), { code: 7 })
      const foreign = stateOf({ elector: "x", nodes: [infoOf("a", 1n)] })
      assert.include(push("x", encodeClusterState(foreign)), { code: 7 })
      assert.include(push("a", Uint8Array.of(0xff, 0xff)), { code: 3 })
      assert.strictEqual(view.current().serial, 3)
      // An old one is answered like a new one: whoever pushes has nothing to repeat.
      assert.deepStrictEqual(push("a", encodeClusterState(stateOf({ serial: 1 }))), new Uint8Array(0))
      assert.strictEqual(view.current().serial, 3)
    }).pipe(Effect.provide(onNode(network, "b")))
  })

  it.effect("passes a suspicion on to whoever listens", () => {
    const network = new TestNetwork()
    return Effect.gen(function* () {
      const view = yield* ClusterView
      const heard: Array<string> = []
      const stop = view.onSuspect((nodeId) => heard.push(nodeId))
      view.suspect("a")
      stop()
      view.suspect("c")
      assert.deepStrictEqual(heard, ["a"])
    }).pipe(Effect.provide(onNode(network, "b")))
  })
})
