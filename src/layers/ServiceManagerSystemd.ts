/**
 * `ServiceManager` by systemd's notification socket (`NOTIFY_SOCKET`). Where this process cannot send itself, the program
 * systemd-notify does, which a unit believes only with `NotifyAccess=all`.
 */
import { execFile } from "node:child_process"
import { Effect, Layer } from "effect"
import { Log } from "../services/Log.ts"
import { ServiceManager } from "../services/ServiceManager.ts"
import { sendDatagram } from "./ServiceManagerSystemd/datagram.ts"

const programMillisMax = 5_000

/** Undefined: it has been sent. */
const byProgram = (state: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    execFile("systemd-notify", [state], { timeout: programMillisMax }, (error) => resolve(error?.message))
  })

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

export const layer: Layer.Layer<ServiceManager, never, Log> = Layer.effect(
  ServiceManager,
  Effect.gen(function* () {
    const log = yield* Log
    const socket = process.env["NOTIFY_SOCKET"]

    const tell = (state: string): Effect.Effect<void> => {
      if (socket === undefined || socket === "") return Effect.void
      return Effect.promise(async () => {
        const reason = await sendDatagram(socket, state).catch(reasonOf)
        if (reason === undefined) return
        const second = await byProgram(state)
        if (second === undefined) return log.warn("service_manager_told_by_program", { state, reason })
        log.warn("service_manager_not_told", { state, reason, second })
      })
    }
    return ServiceManager.of({ ready: tell("READY=1"), stopping: tell("STOPPING=1") })
  })
)
