/** How answers and errors look in HTTP (etcd-api.md 5.2). */
import type { OutgoingHttpHeaders } from "node:http"
import { Code, type EtcdError } from "../../core/wire/errors.ts"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"

const httpStatusByCode: ReadonlyMap<number, number> = new Map([
  [Code.Canceled, 499],
  [Code.InvalidArgument, 400],
  [Code.DeadlineExceeded, 504],
  [Code.NotFound, 404],
  [Code.PermissionDenied, 403],
  [Code.ResourceExhausted, 429],
  [Code.FailedPrecondition, 400],
  [Code.OutOfRange, 400],
  [Code.Unimplemented, 501],
  [Code.Unavailable, 503],
  [Code.Unauthenticated, 401]
])

/** The rest (Unknown, Internal, DataLoss) is 500. */
const httpStatus = (code: number): number => httpStatusByCode.get(code) ?? 500

const statusTexts: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout"
}

export const json = { "content-type": "application/json" } as const

/** Clients of etcd ≤ 3.5 read `error`, later ones `message`: both are always there. */
const errorBody = ({ code, message }: EtcdError): string =>
  JSON.stringify({ error: message, code, message, details: [] })

/** An error as a line of a stream, with the fields of etcd ≤ 3.5 and of later ones. */
export const streamErrorLine = ({ code, message }: EtcdError): string => {
  const status = httpStatus(code)
  const older = { grpc_code: code, http_code: status, http_status: statusTexts[status] ?? "" }
  return `${JSON.stringify({ error: { ...older, code, message, details: [] } })}\n`
}

/** A complete answer. */
export const send = (response: HttpResponse, status: number, headers: OutgoingHttpHeaders, body: string): void => {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) })
  response.end(body)
}

export const sendError = (response: HttpResponse, error: EtcdError, headers: OutgoingHttpHeaders = {}): void =>
  send(response, httpStatus(error.code), { ...json, ...headers }, errorBody(error))

export const sendText = (
  response: HttpResponse,
  status: number,
  body: string,
  headers: OutgoingHttpHeaders = {}
): void =>
  send(
    response,
    status,
    { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", ...headers },
    body
  )

const carriesBody = ({ headers }: HttpRequest): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0

/** The request's body is not wanted: what is left of it must not be taken for the next request. */
export const closing = (request: HttpRequest): OutgoingHttpHeaders => {
  request.resume()
  const leaves = request.httpVersionMajor === 1 && !request.complete && carriesBody(request)
  return leaves ? { connection: "close" } : {}
}
