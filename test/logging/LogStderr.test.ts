import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as LogStderr from "../../src/layers/LogStderr.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { Log } from "../../src/services/Log.ts"
import { embeddedSettings } from "../config/embedded.ts"

const setup = (env: Readonly<Record<string, string>>) => {
  const lines: Array<string> = []
  const layer = LogStderr.layerTo((line) => lines.push(line)).pipe(
    Layer.provide(SettingsValue.layer(embeddedSettings(env)))
  )
  return { lines, layer }
}

const speak = Effect.gen(function* () {
  const log = yield* Log
  log.info("node_registered", { member_id: 7n })
  log.debug("tick")
  yield* Effect.logDebug("fiber tick")
  yield* Effect.logWarning("slow", { duration_ms: 5 }).pipe(Effect.annotateLogs({ component: "bootstrap" }))
  yield* Effect.fail("no bucket").pipe(
    Effect.tapCause((cause) => Effect.logError("failed", cause)),
    Effect.ignore
  )
})

describe("LogStderr", () => {
  it.effect("sends services and fibers to the same place, with cluster and node on every line", () => {
    const { lines, layer } = setup({})
    const head = (level: string) => `time=1970-01-01T00:00:00.000Z level=${level} msg=`
    return speak.pipe(
      Effect.provide(layer),
      Effect.andThen(
        Effect.sync(() => {
          assert.strictEqual(lines[0], `${head("INFO")}node_registered cluster_id=netsy node_id=node-1 member_id=7\n`)
          assert.strictEqual(
            lines[1],
            `${head("WARN")}slow cluster_id=netsy node_id=node-1 duration_ms=5 component=bootstrap\n`
          )
          assert.include(lines[2], `${head("ERROR")}failed cluster_id=netsy node_id=node-1 error=`)
          assert.include(lines[2], "no bucket")
          assert.lengthOf(lines, 3)
        })
      )
    )
  })

  it.effect("adds debug lines with NETSY_DEBUG and prints JSON with log.format json", () => {
    const { lines, layer } = setup({ NETSY_DEBUG: "true", NETSY_LOG_FORMAT: "json" })
    return speak.pipe(
      Effect.provide(layer),
      Effect.andThen(
        Effect.sync(() => {
          const events = lines.map((line) => JSON.parse(line))
          assert.deepStrictEqual(
            events.map(({ msg }) => msg),
            ["node_registered", "tick", "fiber tick", "slow", "failed"]
          )
          assert.deepStrictEqual(events[3], {
            time: "1970-01-01T00:00:00.000Z",
            level: "WARN",
            msg: "slow",
            cluster_id: "netsy",
            node_id: "node-1",
            duration_ms: 5,
            component: "bootstrap"
          })
        })
      )
    )
  })
})
