/** One unary call through the gateway: JSON body → message bytes → `ClientApi` → JSON answer. */
// Deadlines of the network are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import { clearTimeout, setTimeout } from "node:timers"
import { assert } from "../../core/assert.ts"
import type { Rpc } from "../../core/json/descriptor.ts"
import { JsonSteps } from "../../core/json/fromProtobuf.ts"
import { Code, type EtcdError, etcdError } from "../../core/wire/errors.ts"
import type { CallContext } from "../../services/ClientApi.ts"
import type { HttpRequest, HttpResponse } from "../../services/HttpApi.ts"
import { closing, json, send, sendError } from "./answers.ts"
import { readBody } from "./body.ts"
import { contextOf, timeoutMillis } from "./context.ts"
import type { GatewayOptions } from "./gateway.ts"
import { requestBytes } from "./messages.ts"

export interface UnaryCall {
  readonly method: string
  readonly rpc: Rpc
  readonly request: HttpRequest
  readonly response: HttpResponse
  readonly options: GatewayOptions
  /** Called once, when the call has been answered or its client is gone. */
  readonly over: () => void
  /** Called when the handler may wait long, with what fails the call. */
  readonly waits: (fail: (error: EtcdError) => void) => void
}

export const gatewayUnary = ({ method, options, over, request, response, rpc, waits }: UnaryCall): void => {
  const metrics = options.metrics(method)
  const handled = metrics.started()
  let open = true
  let timer: NodeJS.Timeout | undefined
  const finish = (code: number): boolean => {
    if (!open) return false
    open = false
    clearTimeout(timer)
    handled(code)
    over()
    return true
  }
  const fail = (error: EtcdError): void => {
    if (finish(error.code)) sendError(response, error, closing(request))
  }
  const succeed = (bytes: Uint8Array): void => {
    if (!open) return
    options.guarded(method, fail, () => {
      const steps = new JsonSteps(rpc.response, bytes)
      const first = steps.step()
      if (!finish(Code.Ok)) return
      metrics.sent(bytes.length)
      if (steps.done()) return send(response, 200, json, first)
      response.writeHead(200, json)
      sendPieces(response, first, steps)
    })
  }
  const call = (message: Uint8Array): void => {
    metrics.received(message.length)
    const plain = contextOf(request, response)
    const context: CallContext = {
      ...plain,
      onClosed: (listener) => {
        plain.onClosed?.(listener)
        if (open) waits(fail)
      }
    }
    options.counted("unary", context)
    options.guarded(method, fail, () => options.unary(method, message, context, { succeed, fail }))
  }

  response.once("close", () => finish(Code.Canceled))
  const millis = timeoutMillis(request)
  if (millis !== undefined) {
    timer = setTimeout(() => fail(etcdError(Code.DeadlineExceeded, "context deadline exceeded")), millis)
  }
  readBody(
    request,
    options.body,
    (body) => {
      const message = requestBytes(rpc.request, body, options.messageBytesMax)
      if (message instanceof Uint8Array) call(message)
      else fail(message)
    },
    fail
  )
}

/** The rest of a big answer, as fast as the client takes it, others in between. */
const sendPieces = (response: HttpResponse, first: string, steps: JsonSteps): void => {
  const next = (piece: string): void => {
    if (response.destroyed) return
    if (steps.done()) {
      response.end(piece)
      return
    }
    const go = (): void => next(steps.step())
    if (response.write(piece)) setImmediate(go)
    else response.once("drain", go)
  }
  assert(!steps.done(), "an answer of one piece is sent whole")
  next(first)
}
