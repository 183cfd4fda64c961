/**
 * dev-s3: an S3 server for development, tests and benchmarks. Owns the HTTP server and the order in which faults,
 * permissions, latency and the operation itself happen. Any signature is accepted.
 *
 * A request waits a random part of its latency before the effect and the rest behind it, so that concurrent requests
 * take effect in an order of their own, as on S3.
 */
// A plain Node program that must show wall-clock time to S3 clients.
// @effect-diagnostics globalDate:off
import { createReadStream, mkdirSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { pipeline } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import { RequestAborted } from "./body.ts"
import type { Context, Operation, Reply } from "./context.ts"
import { errors, errorXml, S3Error } from "./errors.ts"
import { denies, type Fault, type Faults, noFaults, sampleLatencyMillis, seededRandom } from "./faults.ts"
import { bucketArn, type ConditionKeys, objectArn, permits } from "./policy.ts"
import { parseTarget, route, type Target } from "./routes.ts"
import { Storage } from "./storage.ts"

export interface DevS3Options {
  /** Created if missing; holds one folder a bucket. */
  readonly dir: string
  /** Created at start if missing. */
  readonly bucket: string | ReadonlyArray<string>
  /** `host:port`, `:port` (all interfaces); default 127.0.0.1 and any free port. */
  readonly addr?: string
  /** Where the faults begin; they can be changed while the server runs. */
  readonly faults?: Partial<Faults>
  /** For all chances and latencies. Default 1. */
  readonly seed?: number
  /** Sync every write to disk before its answer. Default: no, survives a crash of the process, not of the machine. */
  readonly fsync?: boolean
  /** One line per request. */
  readonly log?: (line: string) => void
}

export interface DevS3 {
  readonly port: number
  /** For `AWS_ENDPOINT_URL`. */
  readonly url: string
  readonly faults: Faults
  /** Answered requests since the start, by S3's operation name. */
  readonly counts: ReadonlyMap<string, number>
  /** Stops listening and cuts open connections. */
  readonly close: () => Promise<void>
}

const keepAliveMillis = 75_000

const parseAddress = (addr: string): { host: string | undefined; port: number } => {
  const colon = addr.lastIndexOf(":")
  const port = Number(addr.slice(colon + 1))
  if (colon === -1 || addr.endsWith(":") || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`address "${addr}" is not HOST:PORT or :PORT`)
  }
  const host = addr.slice(0, colon).replace(/^\[(.*)\]$/, "$1")
  return { host: host === "" ? undefined : host, port }
}

export const startDevS3 = async (options: DevS3Options): Promise<DevS3> => {
  const { host, port } = parseAddress(options.addr ?? "127.0.0.1:0")
  mkdirSync(options.dir, { recursive: true })
  const storage = new Storage(options.dir, { fsync: options.fsync ?? false })
  for (const bucket of typeof options.bucket === "string" ? [options.bucket] : options.bucket) {
    storage.createBucket(bucket)
  }
  const server = new Server(storage, { ...noFaults(), ...options.faults }, options.seed ?? 1, options.log)
  // Uploads may take as long as they like; a client that sends no head is cut by `headersTimeout`.
  const http = createServer({ requestTimeout: 0, keepAliveTimeout: keepAliveMillis, noDelay: true }, server.serve)
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject)
    http.listen(port, host, () => {
      http.removeListener("error", reject)
      resolve()
    })
  })
  const address = http.address() as AddressInfo
  return {
    port: address.port,
    url: `http://${host === undefined || host === "127.0.0.1" ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host}:${address.port}`,
    faults: server.faults,
    counts: server.counts,
    close: async () => {
      const closed = new Promise<void>((resolve) => http.close(() => resolve()))
      http.closeAllConnections()
      await closed
      storage.close()
    }
  }
}

class Server {
  readonly faults: Faults
  readonly counts = new Map<string, number>()
  readonly #storage: Storage
  readonly #random: () => number
  readonly #log: ((line: string) => void) | undefined
  #requests = 0
  #active = 0

  constructor(storage: Storage, faults: Faults, seed: number, log: ((line: string) => void) | undefined) {
    this.#storage = storage
    this.faults = faults
    this.#random = seededRandom(seed)
    this.#log = log
  }

  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    const began = performance.now()
    const requestId = (++this.#requests).toString(16).toUpperCase().padStart(16, "0")
    const seen = { name: "?" }
    this.#active++
    response.once("close", () => {
      if (--this.#active === 0) this.#storage.forgetDeletes()
      this.counts.set(seen.name, (this.counts.get(seen.name) ?? 0) + 1)
      if (this.#log === undefined) return
      const outcome = response.writableFinished ? String(response.statusCode) : "cut"
      const millis = (performance.now() - began).toFixed(1)
      this.#log(`${request.method} ${request.url} ${seen.name} ${outcome} ${millis}ms ${requestId}`)
    })
    this.#answer(request, response, requestId, seen, began).catch((error: unknown) => {
      this.#fail(request, response, requestId, error)
    })
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    seen: { name: string },
    began: number
  ): Promise<void> {
    const begun = this.#storage.begin()
    const target = parseTarget(request.url ?? "/")
    const operation = route(request, target)
    seen.name = operation.name
    const fault = this.#fault(operation, target)
    if (fault === "hang") return
    const latency = this.faults.latency
    const total = latency === undefined ? 0 : sampleLatencyMillis(latency, this.#random)
    const before = total * this.#random()
    if (before > 0) await sleep(before)
    if (this.faults.down) throw new S3Error(503, "ServiceUnavailable", "Service is unable to handle request.")
    if (fault === "fail") throw this.#randomFailure()
    this.#authorize(operation, target, request.headers)
    const context: Context = {
      request,
      storage: this.#storage,
      ...target,
      requestId,
      begun,
      nowMillis: () => Date.now(),
      allowed: this.#allowed
    }
    const reply = await operation.run(context)
    if (fault === "lose") {
      if (typeof reply.body === "object" && "fd" in reply.body) releaseFile(reply.body)
      request.socket.destroy()
      return
    }
    // The operation and late timers are part of the latency, not added to it.
    const left = began + total - performance.now()
    if (left > 0) await sleep(left)
    send(response, requestId, reply)
  }

  readonly #allowed = (action: string, resource: string, keys?: ConditionKeys): boolean =>
    !denies(this.faults.deny, action) &&
    (this.faults.policy === undefined || permits(this.faults.policy, action, resource, keys))

  #authorize({ action, group, name }: Operation, target: Target, headers: IncomingMessage["headers"]): void {
    // STS decides by the action in its form.
    if (group === "sts") return
    for (const denied of [action, `s3:${name}`]) {
      if (denies(this.faults.deny, denied)) throw errors.accessDenied(denied)
    }
    // Each of its keys is asked for when they are known.
    if (name === "DeleteObjects") return
    const { bucket, key, query } = target
    const resource = key === "" ? bucketArn(bucket === "" ? "*" : bucket) : objectArn(bucket, key)
    const keys = { "s3:prefix": query.get("prefix") ?? undefined, "s3:delimiter": query.get("delimiter") ?? undefined }
    if (!this.#allowed(action, resource, keys)) throw errors.accessDenied(action)
    // S3 compares an object only for who may read it.
    const compares = group === "put" && headers["if-match"] !== undefined
    if (compares && !this.#allowed("s3:GetObject", resource)) throw errors.accessDenied("s3:GetObject")
  }

  #fault(operation: Operation, target: Target): Fault | undefined {
    const { group, action } = operation
    const chosen = this.faults.intercept?.({ group, action, bucket: target.bucket, key: target.key })
    if (chosen !== undefined) return chosen
    if (this.#random() < (this.faults.fail[group] ?? 0)) return "fail"
    return this.#random() < (this.faults.loseAnswer[group] ?? 0) ? "lose" : undefined
  }

  #randomFailure(): S3Error {
    return this.#random() < 0.5
      ? new S3Error(503, "SlowDown", "Please reduce your request rate.")
      : new S3Error(500, "InternalError", "We encountered an internal error. Please try again.")
  }

  #fail(request: IncomingMessage, response: ServerResponse, requestId: string, error: unknown): void {
    if (error instanceof RequestAborted || response.headersSent) {
      response.destroy()
      return
    }
    const known =
      error instanceof S3Error ? error : new S3Error(500, "InternalError", error instanceof Error ? error.message : "?")
    if (!(error instanceof S3Error)) this.#log?.(`internal error: ${error instanceof Error ? error.stack : error}`)
    // What is left of the body is read and dropped, or the client could not read the answer.
    request.resume()
    const resource = (request.url ?? "/").replace(/\?.*$/, "")
    const body = errorXml(known, resource, requestId)
    const headers = { "content-type": "application/xml", ...known.headers }
    send(
      response,
      requestId,
      request.method === "HEAD" ? { status: known.status, headers } : { status: known.status, headers, body }
    )
  }
}

const releaseFile = (body: { readonly fd: number }): void => {
  createReadStream("", { fd: body.fd }).destroy()
}

const send = (response: ServerResponse, requestId: string, reply: Reply): void => {
  const { body } = reply
  if (response.destroyed) {
    if (typeof body === "object" && "fd" in body) releaseFile(body)
    return
  }
  const headers: Record<string, string | number> = {
    "x-amz-request-id": requestId,
    "x-amz-id-2": requestId,
    server: "dev-s3",
    ...reply.headers
  }
  if (typeof body === "object" && "fd" in body) {
    response.writeHead(reply.status, headers)
    const source = createReadStream("", { fd: body.fd, start: body.start, end: body.start + body.size - 1 })
    pipeline(source, response, () => {})
    return
  }
  const hasOwnLength = headers["content-length"] !== undefined
  if (!hasOwnLength && reply.status !== 204 && reply.status !== 304) {
    headers["content-length"] = body === undefined ? 0 : Buffer.byteLength(body)
  }
  response.writeHead(reply.status, headers)
  response.end(body)
}
