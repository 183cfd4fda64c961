/**
 * The heartbeat of a lone node: it has nobody to send it to, but its state and what troubles it stand in the debug log at
 * the same pace, under the same names.
 */
import { Effect, Layer } from "effect"
import { Kv } from "../services/Kv.ts"
import { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"

export const layer: Layer.Layer<never, never, Kv | NodeStatus | Settings | Supervisor | Log> = Layer.effectDiscard(
  Effect.gen(function* () {
    const kv = yield* Kv
    const status = yield* NodeStatus
    const settings = yield* Settings
    const supervisor = yield* Supervisor
    const log = yield* Log
    if (!log.debugging) return
    const beat = Effect.gen(function* () {
      for (;;) {
        yield* Effect.sleep(settings.heartbeatIntervalMillis)
        log.debug("heartbeat", {
          health: status.health(),
          elector: status.elector(),
          primary: status.primary(),
          term: status.term(),
          latest_revision: kv.headRevision(),
          committed_revision: kv.revision()
        })
        log.debug("degradation_check", {
          head: kv.head(),
          commit_index: kv.commitIndex(),
          troubles: status.troubles().length
        })
      }
    })
    yield* supervisor.spawn("heartbeat", beat)
  })
)
