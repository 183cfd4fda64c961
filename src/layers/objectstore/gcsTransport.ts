/**
 * HTTP for the GCS store: one request is one attempt, and what is given up is cut on the wire at once, so that a body
 * that broke off is never taken for a whole one. Errors here mean that there is no usable answer.
 */
// This is the network itself: its time limits are the machine's, not the program's.
// @effect-diagnostics globalTimers:off
import {
  Agent as HttpAgent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest
} from "node:http"
import { Agent as HttpsAgent, request as httpsRequest } from "node:https"
import { type Duplex, pipeline, Readable } from "node:stream"
import { clearTimeout, setTimeout } from "node:timers"

/** Without a byte in either direction. */
const idleTimeoutMillis = 20_000
const connectTimeoutMillis = 3000
const idleSocketMillis = 30_000
const socketsMax = 128
/** Of an answer that is no object: metadata, a page of a listing, an error. */
const textBytesMax = 32 * 2 ** 20

export interface Outgoing {
  readonly method: "GET" | "POST" | "DELETE"
  readonly url: URL
  readonly headers: Record<string, string>
  readonly body?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /** Until the head of the answer is there. */
  readonly timeoutMillis: number
}

export interface Incoming {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: IncomingMessage
}

class NoAnswer extends Error {
  override readonly name = "NoAnswer"
}

export class Transport {
  readonly #options = { keepAlive: true, maxSockets: socketsMax, timeout: idleSocketMillis }
  readonly #http = new HttpAgent(this.#options)
  readonly #https = new HttpsAgent(this.#options)

  send(outgoing: Outgoing, signal: AbortSignal): Promise<Incoming> {
    const { method, url, headers, body, timeoutMillis } = outgoing
    return new Promise((resolve, reject) => {
      const options = { method, headers, signal, timeout: idleTimeoutMillis }
      const request =
        url.protocol === "https:"
          ? httpsRequest(url, { ...options, agent: this.#https })
          : httpRequest(url, { ...options, agent: this.#http })
      const giveUp = (reason: string): void => void request.destroy(new NoAnswer(reason))
      const late = setTimeout(() => giveUp(`no answer within ${timeoutMillis} ms`), timeoutMillis)
      request.once("socket", (socket) => limitConnecting(socket, () => giveUp("no connection within 3000 ms")))
      request.once("timeout", () => giveUp(`no traffic for ${idleTimeoutMillis} ms`))
      request.once("response", (answer) => {
        clearTimeout(late)
        resolve({ status: answer.statusCode!, headers: answer.headers, body: answer })
      })
      const broken = feed(request, body)
      // Kept: a connection that breaks during the answer tells the request, too.
      request.on("error", (error) => {
        clearTimeout(late)
        reject(broken() ?? error)
      })
    })
  }

  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }
}

/** Sends the body. Tells why, when it could not be read to its end: such a request ends without its end. */
const feed = (request: ClientRequest, body: Outgoing["body"]): (() => Error | undefined) => {
  if (body === undefined || Array.isArray(body)) {
    for (const piece of body ?? []) request.write(piece)
    request.end()
    return () => undefined
  }
  let broken: Error | undefined
  const source = Readable.from(body, { objectMode: false })
  source.once("error", (error) => void (broken = error))
  request.once("close", () => source.destroy())
  pipeline(source, request, () => {})
  return () => broken
}

const limitConnecting = (socket: Duplex & { readonly connecting?: boolean }, giveUp: () => void): void => {
  if (socket.connecting !== true) return
  const timer = setTimeout(giveUp, connectTimeoutMillis)
  const done = (): void => clearTimeout(timer)
  socket.once("connect", done)
  socket.once("close", done)
}

/** The whole body; short of what was announced is an error. */
export const readWhole = async ({ body, headers }: Incoming, bytesMax = Infinity): Promise<Buffer> => {
  const pieces: Array<Uint8Array> = []
  let size = 0
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    size += piece.length
    if (size > bytesMax) throw new Error(`the answer has more than ${bytesMax} bytes`)
    pieces.push(piece)
  }
  const announced = headers["content-length"]
  if (announced !== undefined && size !== Number(announced)) {
    throw new Error(`the body has ${size} of ${announced} bytes`)
  }
  return Buffer.concat(pieces, size)
}

export const readText = async (answer: Incoming): Promise<string> =>
  (await readWhole(answer, textBytesMax)).toString("utf8")
