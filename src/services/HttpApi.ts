/**
 * Plain HTTP on the client port, beside gRPC: the JSON gateway, `/version`, health and metrics (etcd-api.md 5). Requests
 * come from HTTP/1 and from HTTP/2 alike.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http"
import type { Http2ServerRequest } from "node:http2"
import { Context } from "effect"

export type HttpRequest = IncomingMessage | Http2ServerRequest

/** What is used of `ServerResponse` and of its twin for HTTP/2. */
export interface HttpResponse {
  readonly headersSent: boolean
  readonly destroyed: boolean
  readonly writableLength: number
  readonly writeHead: (status: number, headers: OutgoingHttpHeaders) => unknown
  readonly setHeader: (name: string, value: string) => unknown
  /** False: the buffer is full, "drain" follows. */
  readonly write: (text: string) => boolean
  readonly end: (text: string) => unknown
  readonly on: (event: "drain" | "close", listener: () => void) => unknown
  readonly once: (event: "drain" | "close", listener: () => void) => unknown
}

export class HttpApi extends Context.Service<
  HttpApi,
  {
    readonly handle: (request: HttpRequest, response: HttpResponse) => void
    /** Health and metrics only, for ports of their own. */
    readonly handleProbes: (request: HttpRequest, response: HttpResponse) => void
    /** No call is under way. */
    readonly isQuiet: () => boolean
    /** Ends every open stream: the server goes away. */
    readonly stop: () => void
  }
>()("netsy/services/HttpApi") {}
