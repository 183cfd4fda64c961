/**
 * `Quota` by the bytes in use on this node's own disk, looked at every second and estimated in between. The Primary decides
 * for all: what a Replica is asked to write is counted where it is written.
 */
import { Effect, Layer } from "effect"
import { isActive } from "../core/alarm/alarms.ts"
import { errors } from "../core/wire/errors.ts"
import { AlarmType } from "../core/wire/messages.ts"
import { Alarms } from "../services/Alarms.ts"
import { LocalStore, type LocalStoreFailed } from "../services/LocalStore.ts"
import { Log } from "../services/Log.ts"
import { NodeStatus } from "../services/NodeStatus.ts"
import { Quota } from "../services/Quota.ts"
import { Replicator } from "../services/Replicator.ts"
import { Settings } from "../services/Settings.ts"
import { Supervisor } from "../services/Supervisor.ts"

export const layer: Layer.Layer<
  Quota,
  LocalStoreFailed,
  Alarms | LocalStore | NodeStatus | Replicator | Settings | Supervisor | Log
> = Layer.effect(
  Quota,
  Effect.gen(function* () {
    const alarms = yield* Alarms
    const local = yield* LocalStore
    const status = yield* NodeStatus
    const supervisor = yield* Supervisor
    const replicator = yield* Replicator
    const log = yield* Log
    const { quotaBytes } = (yield* Settings).limits
    if (quotaBytes <= 0) return Quota.of({ admit: () => undefined })

    let inUseBytes = (yield* local.size).inUse
    /** Admitted since the disk was looked at: some of it is counted there too, once. */
    let admittedBytes = 0

    const look = Effect.gen(function* () {
      const before = admittedBytes
      inUseBytes = (yield* local.size).inUse
      admittedBytes -= before
    })
    yield* supervisor.spawn("quota", look.pipe(Effect.delay("1 second"), Effect.forever))

    let raising = false
    const raise = (): void => {
      if (raising || isActive(alarms.active(), AlarmType.NoSpace)) return
      raising = true
      log.warn("quota_exceeded", { in_use_bytes: inUseBytes, quota_bytes: quotaBytes })
      const done = (): void => {
        raising = false
      }
      alarms.activate({ memberId: status.memberId(), alarm: AlarmType.NoSpace }, { succeed: done, fail: done })
    }

    return Quota.of({
      admit: (costBytes) => {
        if (replicator.role() !== "active") return undefined
        if (inUseBytes + admittedBytes + costBytes >= quotaBytes) {
          raise()
          return errors.noSpace
        }
        admittedBytes += costBytes
        return undefined
      }
    })
  })
)
