/** Messages of `grpc.health.v1.Health`. */
import { enumeration, message, string, type Value } from "./message.ts"

export const HealthCheckRequest = message("HealthCheckRequest", { service: string(1) })
export type HealthCheckRequest = Value<typeof HealthCheckRequest>
/** `status` as `ServingStatus`. */
export const HealthCheckResponse = message("HealthCheckResponse", { status: enumeration(1) })
export type HealthCheckResponse = Value<typeof HealthCheckResponse>
