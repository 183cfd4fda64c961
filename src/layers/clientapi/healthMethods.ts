/** `grpc.health.v1.Health`: this server as a whole is known, by the empty name. */
import { HealthCheckRequest, HealthCheckResponse } from "../../core/wire/codec/health.ts"
import { Code, etcdError } from "../../core/wire/errors.ts"
import { ServingStatus } from "../../core/wire/messages.ts"
import type { Access } from "../../services/Access.ts"
import { type UnaryMethod, unaryMethod } from "./method.ts"

export const healthMethods = (access: Access["Service"]): ReadonlyMap<string, UnaryMethod> =>
  new Map([
    [
      "/grpc.health.v1.Health/Check",
      unaryMethod(access, {
        request: HealthCheckRequest,
        encode: HealthCheckResponse.encode,
        call: ({ service }, reply) =>
          service === ""
            ? reply.succeed({ status: ServingStatus.Serving })
            : reply.fail(etcdError(Code.NotFound, `unknown service ${JSON.stringify(service)}`))
      })
    ]
  ])
