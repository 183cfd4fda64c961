/** The client port over fakes, with `ClientApi` as the test wants it, and plain HTTP calls to it. */
import { type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from "node:http"
import { Effect, Layer } from "effect"
import { etcdError } from "../../src/core/wire/errors.ts"
import { methods } from "../../src/layers/clientapi/methods.ts"
import * as ClientListenerGrpc from "../../src/layers/ClientListenerGrpc.ts"
import * as HttpApiEtcd from "../../src/layers/HttpApiEtcd.ts"
import { ClientApi } from "../../src/services/ClientApi.ts"
import { plain } from "../clientapi/certs.ts"
import { ground } from "../clientapi/fakes.ts"

export { address } from "../clientapi/plainPort.ts"

/** A whole client port; what `api` lacks is refused. */
export const worldOf = (
  api: Partial<ClientApi["Service"]>,
  options: Parameters<typeof ground>[0] = {},
  http: HttpApiEtcd.HttpApiOptions = {}
) =>
  ClientListenerGrpc.layer({ stopMillis: 2_000 }).pipe(
    Layer.provideMerge(HttpApiEtcd.layer(http)),
    Layer.provideMerge(
      Layer.merge(
        plain,
        Layer.succeed(
          ClientApi,
          ClientApi.of({
            methods,
            unary: (method, _request, _context, reply) => reply.fail(etcdError(12, `no ${method}`)),
            stream: (method, _context, out) => {
              out.end(etcdError(12, `no ${method}`))
              return { message: () => {}, drained: () => {}, ended: () => {}, closed: () => {} }
            },
            ...api
          })
        )
      )
    ),
    Layer.provideMerge(ground(options))
  )

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface CallOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** One call from beginning to end. */
export const call = (port: number, path: string, options: CallOptions = {}): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const headers = { connection: "close", ...options.headers }
    const request = httpRequest({ port, host: "127.0.0.1", path, method: options.method ?? "POST", headers })
    request.on("response", (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (piece: string) => (text += piece))
      response.on("error", (error) => resume(Effect.fail(error)))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode!, headers: response.headers, text }))
      )
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end(options.body)
  })

export const get = (port: number, path: string, headers: Readonly<Record<string, string>> = {}) =>
  call(port, path, { method: "GET", headers })

export const post = (port: number, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  Effect.map(call(port, path, { body: JSON.stringify(body), headers }), (answer) => ({
    ...answer,
    json: JSON.parse(answer.text) as unknown
  }))

/** A streaming call: lines as they come, more requests as they are written. */
export interface Stream {
  readonly lines: Array<unknown>
  readonly write: (body: string) => void
  readonly endRequest: () => void
  /** Undefined until the response begins. */
  readonly response: () => IncomingMessage | undefined
  readonly isEnded: () => boolean
  readonly destroy: () => void
}

export const stream = (port: number, path: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.acquireRelease(
    Effect.sync((): Stream => {
      const request = httpRequest({ port, host: "127.0.0.1", path, method: "POST", headers })
      const lines: Array<unknown> = []
      let response: IncomingMessage | undefined
      let isEnded = false
      let rest = ""
      request.on("error", () => {})
      request.on("response", (given) => {
        response = given
        given.setEncoding("utf8")
        given.on("error", () => {})
        given.on("end", () => (isEnded = true))
        given.on("data", (piece: string) => {
          const parts = (rest + piece).split("\n")
          rest = parts.pop()!
          lines.push(...parts.map((line) => JSON.parse(line) as unknown))
        })
      })
      return {
        lines,
        write: (body) => void request.write(body),
        endRequest: () => void request.end(),
        response: () => response,
        isEnded: () => isEnded,
        destroy: () => void request.destroy()
      }
    }),
    (opened) => Effect.sync(opened.destroy)
  )
