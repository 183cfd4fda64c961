import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { decodeNodeReport } from "../../src/core/wire/peer/codecs.ts"
import { peerMethods } from "../../src/core/wire/peer/methods.ts"
import * as ClusterViewMemory from "../../src/layers/ClusterViewMemory.ts"
import * as LocalStoreMemory from "../../src/layers/LocalStoreMemory.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MembershipBucket from "../../src/layers/MembershipBucket.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeReportsLocal from "../../src/layers/NodeReportsLocal.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as ObjectStoreMemory from "../../src/layers/ObjectStoreMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { ClusterView } from "../../src/services/ClusterView.ts"
import { LocalStore } from "../../src/services/LocalStore.ts"
import { Membership } from "../../src/services/Membership.ts"
import { NodeReports } from "../../src/services/NodeReports.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { TestNetwork } from "./network.ts"
import { arbiterOf, stateOf } from "./states.ts"

const network = new TestNetwork()

const onNode = Layer.fresh(
  NodeReportsLocal.layer.pipe(
    Layer.provideMerge(MembershipBucket.layer),
    Layer.provideMerge(ClusterViewMemory.layer),
    Layer.provideMerge(NodeStatusMemory.layer),
    Layer.provideMerge(
      Layer.mergeAll(
        MetricsPrometheus.layer,
        LogMemory.layer(),
        network.layer("b"),
        ObjectStoreMemory.layer(),
        LocalStoreMemory.layer({})
      )
    ),
    Layer.provideMerge(SettingsValue.layer({ ...embeddedSettings(), nodeId: "b" }))
  )
)

describe("NodeReportsLocal", () => {
  it.effect("says what this node is, and of its log what was found on the disk until somebody replicates", () =>
    Effect.gen(function* () {
      const reports = yield* NodeReports
      const status = yield* NodeStatus
      const local = yield* LocalStore
      const membership = yield* Membership
      const found = reports.current()
      assert.deepStrictEqual(found.name, membership.self())
      assert.deepStrictEqual(found.last, local.opened.last)
      assert.include(found, { health: "loading", elector: "follower", primary: "replica", term: 0, waitingFor: "" })
      ;(yield* ClusterView).offer(stateOf({ arbiter: arbiterOf({ term: 4 }) }))
      status.setLoaded()
      status.setTrouble("bucket", "the bucket does not answer")
      const now = Number((yield* Clock.Clock).monotonicTimeNanosUnsafe()) / 1e6
      status.setWaiting({ what: "a lease", until: now + 2_500 })
      reports.provideLog(() => ({ ...found, commitIndex: 41, lagEntries: 2 }))
      assert.include(reports.current(), {
        health: "degraded",
        memberId: 2n,
        term: 4,
        commitIndex: 41,
        lagEntries: 2,
        waitingFor: "a lease",
        waitingMillis: 2_500
      })
      assert.deepStrictEqual(reports.current().troubles, ["the bucket does not answer"])
      status.setWaiting({ what: "the bucket", until: undefined })
      assert.strictEqual(reports.current().waitingMillis, -1)
    }).pipe(Effect.provide(onNode))
  )

  it.effect("answers peers who ask for it", () =>
    Effect.gen(function* () {
      const reports = yield* NodeReports
      const answer = network.ask("b", peerMethods.getNodeState, new Uint8Array(0), "a")
      assert.ok(answer instanceof Uint8Array)
      assert.deepStrictEqual(decodeNodeReport(answer), reports.current())
    }).pipe(Effect.provide(onNode))
  )
})
