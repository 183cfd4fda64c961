import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { untilFatal } from "../../src/programs/untilFatal.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"

describe("a node whose task ended", () => {
  it.effect("logs the reason before anything is stopped", () => {
    const lines: Array<LogMemory.MemoryLine> = []
    return Effect.gen(function* () {
      const supervisor = yield* Supervisor
      supervisor.fail("persister", new Error("the disk is full"))
      let said = 0
      const error = yield* Effect.flip(Effect.onExit(untilFatal, () => Effect.sync(() => (said = lines.length))))
      assert.strictEqual(said, 1)
      assert.deepStrictEqual(
        lines.map(({ level, event, fields }) => [level, event, fields["reason"]]),
        [["ERROR", "stopping", error.message]]
      )
    }).pipe(Effect.provide(Layer.merge(SupervisorFatal.layer, LogMemory.layer(lines))))
  })
})
