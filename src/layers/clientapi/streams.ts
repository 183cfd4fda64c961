/** The streams: Watch over the WatchHub service, and the health watch. */
import { HealthCheckRequest, HealthCheckResponse } from "../../core/wire/codec/health.ts"
import { decodeWatchRequest, encodeWatchResponse } from "../../core/wire/codec/watch.ts"
import { type EtcdError, errors } from "../../core/wire/errors.ts"
import { ServingStatus, type WatchRequest } from "../../core/wire/messages.ts"
import type { Access } from "../../services/Access.ts"
import type { CallContext, StreamIn, StreamOut } from "../../services/ClientApi.ts"
import type { WatchHub } from "../../services/WatchHub.ts"
import { decoded } from "./decode.ts"
import { watchGate } from "./watchGate.ts"

export type StreamMethod = (out: StreamOut, context: CallContext) => StreamIn

const nothing = (): void => {}

/** A stream that is over before it began. */
export const endedStream: StreamIn = { message: nothing, drained: nothing, ended: nothing, closed: nothing }

export const watchStream =
  (hub: WatchHub["Service"], access: Access["Service"]): StreamMethod =>
  (out, context) => {
    const stream = hub.open({ send: (response) => out.send(encodeWatchResponse(response)) })
    let open = true
    const close = (): boolean => {
      if (!open) return false
      open = false
      stream.close()
      return true
    }
    const refuse = (error: EtcdError): void => {
      if (close()) out.end(error)
    }
    const admit = watchGate(access, context, (request, refusal) => {
      if (open && !stream.request(request, refusal)) refuse(errors.tooManyRequests)
    })
    const take = (request: WatchRequest): void => {
      if (!admit(request)) refuse(errors.tooManyRequests)
    }
    return {
      message: (bytes) => {
        if (open) decoded("WatchRequest", bytes, decodeWatchRequest, take, refuse)
      },
      drained: () => {
        if (open) stream.drained()
      },
      // As in etcd: the events go on until the client cancels the call.
      ended: nothing,
      closed: close
    }
  }

/** One status, then silence for as long as it stays (grpc.health.v1): ours never changes while the port is open. */
export const healthWatch: StreamMethod = (out) => ({
  message: (bytes) =>
    decoded(
      "HealthCheckRequest",
      bytes,
      HealthCheckRequest.decode,
      ({ service }) =>
        out.send(
          HealthCheckResponse.encode({
            status: service === "" ? ServingStatus.Serving : ServingStatus.ServiceUnknown
          })
        ),
      out.end
    ),
  drained: nothing,
  ended: nothing,
  closed: nothing
})
