/**
 * A streaming call through the gateway: JSON objects in the request's body are its messages, each answer is one line
 * `{"result":{…}}`. Status and headers wait for the first answer, so that an early error still has a status of its own.
 */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { clearTimeout, setTimeout } from "node:timers"
import type { Rpc } from "../../core/json/descriptor.ts"
import { Documents } from "../../core/json/documents.ts"
import { JsonSteps } from "../../core/json/fromProtobuf.ts"
import { Code, type EtcdError, etcdError } from "../../core/wire/errors.ts"
import type { StreamIn, StreamOut } from "../../services/ClientApi.ts"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"
import { closing, json, sendError, streamErrorLine } from "./answers.ts"
import { contextOf, timeoutMillis } from "./context.ts"
import type { GatewayOptions } from "./gateway.ts"
import { requestBytes } from "./messages.ts"

/** Unsent bytes at which the handler is told to wait and no more requests are read. */
const bufferHighBytes = 1 << 20

export interface StreamCall {
  readonly method: string
  readonly rpc: Rpc
  readonly kind: "serverStream" | "bidi"
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly options: GatewayOptions
  readonly over: () => void
}

/** Opens the stream; the result ends it. */
export const gatewayStream = (call: StreamCall): ((error: EtcdError) => void) => {
  const { kind, method, options, over, request, response, rpc } = call
  const metrics = options.metrics(method)
  const handled = metrics.started()
  let open = true
  let full = false
  let messages = 0
  let timer: NodeJS.Timeout | undefined
  let stream: StreamIn = { message: () => {}, drained: () => {}, ended: () => {}, closed: () => {} }

  const finish = (code: number): boolean => {
    if (!open) return false
    open = false
    clearTimeout(timer)
    request.off("data", take)
    handled(code)
    over()
    return true
  }

  const end = (error: EtcdError | undefined): void => {
    if (!finish(error?.code ?? Code.Ok) || response.destroyed) return
    if (error !== undefined && !response.headersSent) return sendError(response, error, closing(request))
    if (!response.headersSent) response.writeHead(200, { ...json, ...closing(request) })
    request.resume()
    if (error === undefined) response.end("")
    else response.end(streamErrorLine(error))
  }

  const guarded = (body: () => void): void => options.guarded(method, end, body)

  const out: StreamOut = {
    send: (message) => {
      if (!open || response.destroyed) return false
      guarded(() => {
        if (!response.headersSent) response.writeHead(200, json)
        metrics.sent(message.length)
        const steps = new JsonSteps(rpc.response, message)
        let piece = `{"result":${steps.step()}`
        while (!steps.done()) {
          response.write(piece)
          piece = steps.step()
        }
        response.write(`${piece}}\n`)
      })
      if (response.writableLength >= bufferHighBytes) {
        full = true
        request.pause()
      }
      return !full
    },
    end
  }

  const message = (body: Uint8Array): void => {
    if (!open) return
    const bytes = requestBytes(rpc.request, body, options.messageBytesMax)
    if (!(bytes instanceof Uint8Array)) return end(bytes)
    if (kind === "serverStream" && ++messages > 1) return
    metrics.received(bytes.length)
    guarded(() => stream.message(bytes))
  }

  const documents = new Documents(options.body.bytesMax)
  const take = (piece: Buffer): void => {
    const fault = documents.push(piece, message)
    if (fault !== undefined) end(etcdError(Code.InvalidArgument, `netsy: ${fault}`))
  }

  response.on("drain", () => {
    if (!full) return
    full = false
    request.resume()
    if (open) guarded(() => stream.drained())
  })
  response.once("close", () => {
    finish(Code.Canceled)
    guarded(() => stream.closed())
  })
  request.on("error", () => {})
  request.on("end", () => {
    if (!open) return
    if (!documents.isBetween()) return end(etcdError(Code.InvalidArgument, "netsy: JSON: unexpected end"))
    if (kind === "serverStream" && messages === 0) message(new Uint8Array(0))
    if (open) guarded(() => stream.ended())
  })
  const millis = timeoutMillis(request)
  if (millis !== undefined) {
    timer = setTimeout(() => end(etcdError(Code.DeadlineExceeded, "context deadline exceeded")), millis)
  }
  const context = contextOf(request, response)
  options.counted("stream", context)
  guarded(() => {
    stream = options.stream(method, context, out)
  })
  request.on("data", take)
  return end
}
