/** `Alarms` over the replicated state. */
import { Effect, Layer } from "effect"
import { activate, type Alarms as List } from "../core/alarm/alarms.ts"
import { AlarmAction as LoggedAction } from "../core/log/op.ts"
import type { AlarmMember } from "../core/wire/codec/maintenance.ts"
import { isEtcdError } from "../core/wire/errors.ts"
import { AlarmType } from "../core/wire/messages.ts"
import { Alarms } from "../services/Alarms.ts"
import type { Reply } from "../services/Kv.ts"
import { Log } from "../services/Log.ts"
import { ReplicatedState } from "../services/ReplicatedState.ts"

const names: Readonly<Record<number, string>> = { [AlarmType.NoSpace]: "NOSPACE", [AlarmType.Corrupt]: "CORRUPT" }

export const layer: Layer.Layer<Alarms, never, ReplicatedState | Log> = Layer.effect(
  Alarms,
  Effect.gen(function* () {
    const state = yield* ReplicatedState
    const log = yield* Log

    const has = ({ alarm, memberId }: AlarmMember): boolean =>
      state.alarms().some((other) => other.alarm === alarm && other.memberId === memberId)

    /** `wanted`: the alarm shall be there; what is so already takes no entry. */
    const change = (alarm: AlarmMember, wanted: boolean, unchanged: List, reply: Reply<List>): void =>
      state.guarded(reply, () => {
        const next = state.next()
        if (isEtcdError(next)) return reply.fail(next)
        if (has(alarm) === wanted) return state.readHead(reply, () => unchanged)
        const { alarm: type, memberId } = alarm
        const action = wanted ? LoggedAction.Activate : LoggedAction.Deactivate
        state.append(
          next,
          [],
          { kind: "alarm", memberId, type, action },
          { done: () => reply.succeed([alarm]), failed: reply.fail }
        )
      })

    state.onCommittedOp((op) => {
      if (op.kind !== "alarm") return
      const raised = op.action === LoggedAction.Activate
      const alarm = names[op.type] ?? String(op.type)
      const member_id = op.memberId.toString(16)
      if (raised) log.error("alarm_activated", { alarm, member_id })
      else log.info("alarm_deactivated", { alarm, member_id })
    })

    return Alarms.of({
      active: state.alarms,
      list: (type, reply) =>
        state.readHead(reply, () => state.alarms().filter(({ alarm }) => type === AlarmType.None || alarm === type)),
      activate: (alarm, reply) => {
        if (alarm.alarm === AlarmType.None) state.readHead<List>(reply, () => [])
        else change(alarm, true, activate([], alarm), reply)
      },
      deactivate: (alarm, reply) => change(alarm, false, [], reply)
    })
  })
)
