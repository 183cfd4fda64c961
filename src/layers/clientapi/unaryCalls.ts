/**
 * Unary calls straight from HTTP/2: grpc-js needs twice the time for one. What is out of the ordinary (compressed
 * requests, odd headers) is left to grpc-js, whose answers and texts are the model for those here.
 */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2"
import { clearTimeout, setTimeout } from "node:timers"
import { Code, type EtcdError, etcdError } from "../../core/wire/errors.ts"
import type { CallContext, Caller, UnaryReply } from "../../services/ClientApi.ts"
import type { MethodMetrics } from "./grpcMetrics.ts"

/** The longest time a timer can be set to: 24 days. */
export const deadlineMillisMax = 0x7fffffff

const frameHeadBytes = 5

const responseHeaders: OutgoingHttpHeaders = Object.freeze({
  ":status": 200,
  "content-type": "application/grpc+proto",
  "grpc-accept-encoding": "identity,deflate,gzip",
  "grpc-encoding": "identity"
})
const refusalHeaders: OutgoingHttpHeaders = Object.freeze({ ":status": 200, "content-type": "application/grpc+proto" })
const success: OutgoingHttpHeaders = Object.freeze({ "grpc-status": "0", "grpc-message": "OK" })
const withTrailers = Object.freeze({ waitForTrailers: true })
const withoutBody = Object.freeze({ endStream: true })

const timeoutUnitMillis: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000001
}

const timeoutMillis = (header: string): number | undefined => {
  const match = /^(\d{1,8})([HMSmun])$/.exec(header)
  return match === null ? undefined : Math.trunc(Number(match[1]) * timeoutUnitMillis[match[2]!]!)
}

const ignore = (): void => {}

export interface UnaryCallOptions {
  readonly maxReceiveBytes: number
  readonly metrics: MethodMetrics
  readonly callerOf: (stream: ServerHttp2Stream) => Caller
  /** How to fail the calls whose handlers want to know their end: those that may wait long. */
  readonly waiting: Set<(error: EtcdError) => void>
  /** Called once, when the request is complete. */
  readonly handle: (method: string, request: Uint8Array, context: CallContext, reply: UnaryReply) => void
}

/** Is this one of those that `unaryCall` knows everything about? */
export const isOrdinary = (headers: IncomingHttpHeaders): boolean => {
  const encoding = headers["grpc-encoding"]
  const timeout = headers["grpc-timeout"]
  return (
    headers["content-type"]?.startsWith("application/grpc") === true &&
    (encoding === undefined || encoding === "identity") &&
    (timeout === undefined || (typeof timeout === "string" && timeoutMillis(timeout) !== undefined))
  )
}

const metadataValue = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const found = headers[name.toLowerCase()]
  const value = Array.isArray(found) ? found[0] : found
  return value !== undefined && name.endsWith("-bin")
    ? Buffer.from(value.split(",")[0]!.trim(), "base64").toString()
    : value
}

/** Serves one call, whose headers are ordinary. */
export const unaryCall = (
  method: string,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: UnaryCallOptions
): void => {
  const { metrics } = options
  const handled = metrics.started()
  let timer: NodeJS.Timeout | undefined
  /** A status is on its way, or nobody is there any more to take one. */
  let over = false

  const finish = (code: number): void => {
    over = true
    handled(code)
    if (timer !== undefined) clearTimeout(timer)
  }

  const fail = (error: EtcdError): void => {
    if (over || stream.destroyed || stream.closed) return
    const status = { ...refusalHeaders, "grpc-status": error.code, "grpc-message": encodeURI(error.message) }
    finish(error.code)
    stream.respond(status, withoutBody)
  }

  const succeed = (response: Uint8Array): void => {
    if (over || stream.destroyed || stream.closed) return
    finish(Code.Ok)
    metrics.sent(response.length)
    const bytes = Buffer.allocUnsafe(frameHeadBytes + response.length)
    bytes[0] = 0
    bytes.writeUInt32BE(response.length, 1)
    bytes.set(response, frameHeadBytes)
    stream.respond(responseHeaders, withTrailers)
    stream.on("wantTrailers", () => stream.sendTrailers(success))
    stream.end(bytes)
  }

  /** What has come so far; undefined as long as nothing has. */
  let bytes: Buffer | undefined
  /** Pieces that are not joined yet: a large message comes in many. */
  let pieces: Array<Buffer> | undefined
  let count = 0
  let messageBytes = -1
  let closed: (() => void) | undefined

  const take = (piece: Buffer): void => {
    if (over) return
    count += piece.length
    if (bytes === undefined) bytes = piece
    else (pieces ??= [bytes]).push(piece)
    if (messageBytes < 0) {
      if (count < frameHeadBytes) return
      if (pieces !== undefined) bytes = Buffer.concat(pieces)
      pieces = undefined
      messageBytes = bytes.readUInt32BE(1)
      if (messageBytes > options.maxReceiveBytes) {
        const text = `grpc: received message larger than max (${messageBytes} vs. ${options.maxReceiveBytes})`
        return fail(etcdError(Code.ResourceExhausted, text))
      }
    }
    if (count > frameHeadBytes + messageBytes) {
      fail(etcdError(Code.Unimplemented, `Received a second request message for unary method ${method}`))
    }
  }

  const context: CallContext = {
    get identity() {
      return options.callerOf(stream).identity
    },
    get commonName() {
      return options.callerOf(stream).commonName
    },
    metadata: (name) => metadataValue(headers, name),
    onClosed: (listener) => {
      if (stream.destroyed || stream.closed) return listener()
      closed = listener
      options.waiting.add(fail)
    }
  }

  stream.on("error", ignore)
  stream.on("data", take)
  stream.on("end", () => {
    if (over) return
    if (messageBytes < 0 || count < frameHeadBytes + messageBytes) {
      return fail(etcdError(Code.Unimplemented, `Received no request message for unary method ${method}`))
    }
    metrics.received(messageBytes)
    const whole = pieces === undefined ? bytes! : Buffer.concat(pieces)
    // A copy that owns its memory: views into it are kept, and the pieces lie in shared slabs.
    options.handle(method, new Uint8Array(whole.subarray(frameHeadBytes)), context, { succeed, fail })
  })
  stream.on("close", () => {
    if (!over) finish(Code.Canceled)
    if (closed === undefined) return
    options.waiting.delete(fail)
    closed()
  })
  const timeout = headers["grpc-timeout"]
  if (typeof timeout === "string") {
    const millis = timeoutMillis(timeout)!
    // A longer one is the client's own business.
    if (millis <= deadlineMillisMax) {
      timer = setTimeout(() => fail(etcdError(Code.DeadlineExceeded, "Deadline exceeded")), millis)
    }
  }
}
