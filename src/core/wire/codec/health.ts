/** `grpc.health.v1.Health`. */
import type { HealthCheckRequest, HealthCheckResponse } from "../messages.ts"
import type { Reader, Writer } from "../protobuf.ts"
import { decodeMessage, encodeMessage } from "./common.ts"

const writeRequest = (writer: Writer, request: HealthCheckRequest): void => writer.stringField(1, request.service)

const readRequest = (reader: Reader): HealthCheckRequest => {
  let service = ""
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) service = reader.string()
    else reader.unknown(tag, 1)
  }
  return { service }
}

const writeResponse = (writer: Writer, response: HealthCheckResponse): void => writer.int64Field(1, response.status)

const readResponse = (reader: Reader): HealthCheckResponse => {
  let status = 0
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 8) status = reader.int32()
    else reader.unknown(tag, 1)
  }
  return { status }
}

export const encodeHealthCheckRequest = (message: HealthCheckRequest) => encodeMessage(message, writeRequest)
export const decodeHealthCheckRequest = (bytes: Uint8Array) => decodeMessage(bytes, readRequest)
export const encodeHealthCheckResponse = (message: HealthCheckResponse) => encodeMessage(message, writeResponse)
export const decodeHealthCheckResponse = (bytes: Uint8Array) => decodeMessage(bytes, readResponse)
