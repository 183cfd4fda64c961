import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as MetricsPrometheus from "../../src/layers/MetricsPrometheus.ts"
import * as NodeStatusMemory from "../../src/layers/NodeStatusMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { Metrics } from "../../src/services/Metrics.ts"
import { NodeStatus } from "../../src/services/NodeStatus.ts"
import { version } from "../../src/core/version.ts"
import { embeddedSettings } from "../config/embedded.ts"
import packageJson from "../../package.json" with { type: "json" }

const setup = (env: Readonly<Record<string, string>> = {}) => {
  const lines: Array<LogMemory.MemoryLine> = []
  const layer = NodeStatusMemory.layer.pipe(
    Layer.provideMerge(MetricsPrometheus.layer),
    Layer.provideMerge(LogMemory.layer(lines)),
    Layer.provideMerge(SettingsValue.layer(embeddedSettings(env)))
  )
  return { lines, layer }
}

describe("NodeStatusMemory", () => {
  it.effect("starts as loading, follower, replica, with the FNV-1a of the cluster's name", () =>
    Effect.gen(function* () {
      const status = yield* NodeStatus
      assert.strictEqual(status.clusterId, 3357563940647108315n)
      assert.deepStrictEqual([status.health(), status.elector(), status.primary()], ["loading", "follower", "replica"])
      assert.deepStrictEqual([status.term(), status.memberId(), status.leaderMemberId()], [0, 0n, 0n])
      status.setMember(5n)
      status.setTerm(3, 6n)
      assert.deepStrictEqual(status.header(9), {
        clusterId: 3357563940647108315n,
        memberId: 5n,
        revision: 9,
        raftTerm: 3
      })
      assert.strictEqual(status.leaderMemberId(), 6n)
    }).pipe(Effect.provide(setup({ NETSY_CLUSTER_ID: "dev-cluster" }).layer))
  )

  it.effect("is degraded while it has troubles and healthy again after the last one; each change is one line", () => {
    const { lines, layer } = setup()
    return Effect.gen(function* () {
      const status = yield* NodeStatus
      status.setTrouble("store", "the bucket does not answer")
      assert.strictEqual(status.health(), "loading")
      status.setLoaded()
      assert.strictEqual(status.health(), "degraded")
      status.setTrouble("disk", "the disk is slow")
      status.setTrouble("disk", "the disk is slow")
      status.setTrouble("store", undefined)
      status.setTrouble("store", undefined)
      assert.deepStrictEqual(status.troubles(), ["the disk is slow"])
      assert.strictEqual(status.health(), "degraded")
      status.setTrouble("disk", undefined)
      assert.strictEqual(status.health(), "healthy")
      const transitions = lines
        .filter(({ event }) => event === "state_transition")
        .map(({ fields }) => [fields["state_type"], fields["previous"], fields["new"]])
      assert.deepStrictEqual(transitions, [
        ["health", "loading", "degraded"],
        ["health", "degraded", "healthy"]
      ])
      assert.lengthOf(
        lines.filter(({ event }) => event === "trouble"),
        2
      )
      assert.lengthOf(
        lines.filter(({ event }) => event === "trouble_ended"),
        2
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("logs a trouble again when it becomes another one, not when only its seconds grow", () => {
    const { lines, layer } = setup()
    return Effect.gen(function* () {
      const status = yield* NodeStatus
      status.setTrouble("store", "entries wait for 9 s")
      status.setTrouble("store", "entries wait for 10 s")
      assert.deepStrictEqual(status.troubles(), ["entries wait for 10 s"])
      status.setTrouble("store", "the bucket is gone")
      assert.deepStrictEqual(
        lines.filter(({ event }) => event === "trouble").map(({ fields }) => fields["reason"]),
        ["entries wait for 9 s", "the bucket is gone"]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("refuses a change of the Primary state that cannot be, and keeps the state", () => {
    const { lines, layer } = setup()
    return Effect.gen(function* () {
      const status = yield* NodeStatus
      status.setPrimary("active")
      assert.strictEqual(status.primary(), "replica")
      assert.deepStrictEqual(
        lines.map(({ level, event }) => [level, event]),
        [["ERROR", "state_transition_refused"]]
      )
      for (const next of [
        "starting",
        "active",
        "draining",
        "active",
        "draining",
        "replica",
        "starting",
        "active",
        "replica"
      ] as const) {
        status.setPrimary(next)
        assert.strictEqual(status.primary(), next)
      }
      status.setElector("leader")
      status.setElector("leader")
      assert.lengthOf(
        lines.filter(({ event }) => event === "state_transition"),
        10
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("says once what it waits for and how long", () => {
    const { lines, layer } = setup()
    return Effect.gen(function* () {
      const status = yield* NodeStatus
      status.setWaiting({ what: "the store lease", until: 4_000 })
      status.setWaiting({ what: "the store lease", until: 3_000 })
      assert.deepStrictEqual(status.waiting(), { what: "the store lease", until: 3_000 })
      status.setWaiting(undefined)
      status.setWaiting({ what: "the bucket", until: undefined })
      assert.deepStrictEqual(
        lines.map(({ event, fields }) => [event, fields]),
        [
          ["waiting", { for: "the store lease", seconds: 4 }],
          ["waiting", { for: "the bucket", seconds: undefined }]
        ]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("shows what the Elector waits for before what follows from that, and says each once", () => {
    const { lines, layer } = setup()
    return Effect.gen(function* () {
      const status = yield* NodeStatus
      const voters = { what: "2 of the 3 voters to answer", until: undefined }
      const primary = { what: "the Primary n2 to answer", until: undefined }
      for (let round = 0; round < 3; round++) {
        status.setWaiting(voters, "elector")
        status.setWaiting(primary)
        assert.deepStrictEqual(status.waiting(), voters)
      }
      status.setWaiting(undefined)
      assert.deepStrictEqual(status.waiting(), voters)
      status.setWaiting(primary)
      status.setWaiting(undefined, "elector")
      assert.deepStrictEqual(status.waiting(), primary)
      assert.deepStrictEqual(
        lines.map(({ fields }) => fields["for"]),
        [voters.what, primary.what, primary.what]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("shows its states one-hot and who it is", () =>
    Effect.gen(function* () {
      const status = yield* NodeStatus
      const metrics = yield* Metrics
      status.setLoaded()
      status.setPrimary("starting")
      const lines = (yield* Effect.promise(() => metrics.render())).split("\n")
      for (const line of [
        'netsy_state_health{state="healthy"} 1',
        'netsy_state_health{state="loading"} 0',
        'netsy_state_health{state="degraded"} 0',
        'netsy_state_elector{state="follower"} 1',
        'netsy_state_primary{state="starting"} 1',
        'netsy_state_primary{state="replica"} 0',
        `netsy_info{version="${version}",cluster_id="netsy",node_id="node-1",quorum_config="static:2"} 1`
      ])
        assert.include(lines, line)
    }).pipe(Effect.provide(setup({ NETSY_REPLICATION_QUORUM: "2" }).layer))
  )

  it("the version is that of the package", () => {
    assert.strictEqual(version, packageJson.version)
  })
})
