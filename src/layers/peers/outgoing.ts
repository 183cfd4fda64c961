/** What calls and streams of the caller have in common: headers, the status at the end, and whether the peer has seen it. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders
} from "node:http2"
import { Code } from "../../core/wire/errors.ts"
import { type PeerAddress, type PeerError, PeerRefused, PeerUnreachable } from "../../services/PeerNetwork.ts"
import { brokenHeader, fromHeader, nodePath, toHeader } from "./session.ts"

export interface Caller {
  readonly clusterId: string
  readonly nodeId: string
}

export const request = (
  session: ClientHttp2Session,
  method: string,
  to: PeerAddress,
  caller: Caller,
  timeoutMillis?: number
): ClientHttp2Stream => {
  const headers: OutgoingHttpHeaders = {
    ":method": "POST",
    ":path": method,
    "content-type": "application/grpc",
    te: "trailers",
    [fromHeader]: caller.nodeId,
    [toHeader]: nodePath(caller.clusterId, to.nodeId)
  }
  if (timeoutMillis !== undefined) headers["grpc-timeout"] = `${Math.min(99_999_999, Math.ceil(timeoutMillis))}m`
  return session.request(headers, { endStream: false })
}

export interface Status {
  readonly code: number
  readonly reason: string
  /** Of the connection, not of the method. */
  readonly broken: "unsent" | "unknown" | undefined
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Undefined: these headers say nothing about the end. */
export const statusOf = (headers: IncomingHttpHeaders): Status | undefined => {
  const code = headers["grpc-status"]
  if (code === undefined) {
    const http = headers[":status"]
    // Numbers, whatever the types say; trailers have none.
    if (http === undefined || Number(http) === 200) return undefined
    return { code: Code.Unavailable, reason: `HTTP status ${String(http)}`, broken: "unsent" }
  }
  const message = headers["grpc-message"]
  const broken = headers[brokenHeader]
  return {
    code: Number(code),
    reason: typeof message === "string" ? decoded(message) : "",
    broken: broken === undefined ? undefined : broken === "unsent" ? "unsent" : "unknown"
  }
}

/** The peer has certainly not looked at it. */
export const isUnsent = (stream: ClientHttp2Stream | undefined, goaway: number): boolean =>
  stream === undefined ||
  stream.pending ||
  stream.id === undefined ||
  stream.id > goaway ||
  stream.rstCode === constants.NGHTTP2_REFUSED_STREAM

/** What a status other than OK means to the caller. */
export const errorOf = (status: Status, to: PeerAddress, method: string): PeerError => {
  const { broken, code, reason } = status
  return broken === undefined
    ? new PeerRefused({ nodeId: to.nodeId, method, code, reason })
    : new PeerUnreachable({ nodeId: to.nodeId, method, reason, unsent: broken === "unsent" })
}
