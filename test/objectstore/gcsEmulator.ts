/**
 * Just enough of Google Cloud Storage's JSON API for the tests, in this process: generations, preconditions, checksums,
 * ranges, listings with pages, one write a second of one object, and faults on request. Keeps everything in memory.
 */
import { createHash, randomInt } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { crc32c } from "../../src/core/mvcc/crc32c.ts"

export interface Stored {
  readonly name: string
  readonly body: Buffer
  readonly generation: string
  readonly crc32c: string
  readonly md5Hash: string
  readonly timeCreated: string
  readonly storageClass: string
  readonly kmsKeyName?: string
}

export interface Seen {
  readonly operation: "get" | "head" | "put" | "copy" | "delete" | "list" | "other"
  /** The object that the request names, in a copy the one it writes. */
  readonly name: string
  readonly url: URL
  readonly headers: IncomingMessage["headers"]
  readonly at: number
}

/**
 * What happens instead of a proper answer: `reset` cuts the connection before anything is done, `lose` afterwards,
 * `hang` never answers, `damage` flips a bit of the body that is answered, `cut` breaks it off half-way.
 */
export type Fault =
  | "reset"
  | "lose"
  | "hang"
  | "damage"
  | "cut"
  | { readonly status: number; readonly reason?: string; readonly message?: string }

export interface EmulatorOptions {
  readonly bucket?: string
  /** Of writes to one object; 0: no limit. */
  readonly writeIntervalMillis?: number
  /** What `Authorization` has to be. */
  readonly authorization?: string
}

export interface GcsEmulator {
  readonly url: string
  readonly objects: Map<string, Stored>
  readonly seen: Array<Seen>
  /** Asked for every request, with how many of its operation came before. */
  fault: (request: Seen, before: number) => Fault | undefined
  readonly close: () => Promise<void>
}

class Answer extends Error {
  readonly status: number
  readonly reason: string
  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

const base64 = (sum: number): string => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(sum >>> 0)
  return bytes.toString("base64")
}

const metadata = ({ body, ...object }: Stored) => ({
  kind: "storage#object",
  ...object,
  size: String(body.length),
  updated: object.timeCreated,
  metageneration: "1"
})

const readBody = async (request: IncomingMessage): Promise<Buffer> => {
  const pieces: Array<Uint8Array> = []
  for await (const piece of request) pieces.push(piece as Uint8Array)
  return Buffer.concat(pieces)
}

/** The two parts of a `multipart/related` upload. */
const uploadParts = (contentType: string, whole: Buffer): { readonly head: string; readonly body: Buffer } => {
  const boundary = /^multipart\/related; boundary=(\S+)$/.exec(contentType)?.[1]
  if (boundary === undefined) throw new Answer(400, "badContent", `content type ${contentType}`)
  const parts: Array<Buffer> = []
  const mark = Buffer.from(`--${boundary}`)
  let at = whole.indexOf(mark)
  for (;;) {
    const from = at + mark.length
    const to = whole.indexOf(Buffer.concat([Buffer.from("\r\n"), mark]), from)
    if (to === -1) break
    const content = whole.indexOf("\r\n\r\n", from) + 4
    parts.push(whole.subarray(content, to))
    at = to + 2
  }
  const closed = whole.subarray(at).toString().startsWith(`--${boundary}--`)
  if (parts.length !== 2 || !closed) throw new Answer(400, "badContent", "the multipart body is malformed")
  return { head: parts[0]!.toString(), body: parts[1]! }
}

const compare = (left: string, right: string): number => Buffer.compare(Buffer.from(left), Buffer.from(right))

const operationOf = (method: string, url: URL): Pick<Seen, "operation" | "name"> & { readonly from: string } => {
  const [, bucketPath = ""] = /^(?:\/upload)?\/storage\/v1\/b\/(.*)$/.exec(url.pathname) ?? []
  const [, , ...rest] = bucketPath.split("/")
  const name = decodeURIComponent(rest[0] ?? "")
  if (url.pathname.startsWith("/upload/"))
    return { operation: "put", name: url.searchParams.get("name") ?? "", from: "" }
  if (rest[1] === "rewriteTo") return { operation: "copy", name: decodeURIComponent(rest[5] ?? ""), from: name }
  if (name === "") return { operation: method === "GET" ? "list" : "other", name: "", from: "" }
  if (method === "DELETE") return { operation: "delete", name, from: "" }
  return { operation: url.searchParams.get("alt") === "media" ? "get" : "head", name, from: "" }
}

export const startGcsEmulator = async (options: EmulatorOptions = {}): Promise<GcsEmulator> => {
  const bucket = options.bucket ?? "bucket"
  const objects = new Map<string, Stored>()
  const lastWrites = new Map<string, number>()
  const seen: Array<Seen> = []
  const counts = new Map<string, number>()
  let generation = 1_700_000_000_000_000 + randomInt(1_000_000)

  const checkConditions = (query: URLSearchParams, name: string): void => {
    const wanted = query.get("ifGenerationMatch")
    if (wanted === null) return
    if (!/^\d+$/.test(wanted)) throw new Answer(400, "invalid", `Invalid value for ifGenerationMatch: ${wanted}`)
    if ((objects.get(name)?.generation ?? "0") !== wanted) {
      throw new Answer(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
    }
  }

  const checkRate = (name: string): void => {
    const interval = options.writeIntervalMillis ?? 0
    const now = performance.now()
    if (now - (lastWrites.get(name) ?? -Infinity) < interval) {
      const message = `The object ${bucket}/${name} exceeded the rate limit for object mutation operations`
      throw new Answer(429, "rateLimitExceeded", message)
    }
    lastWrites.set(name, now)
  }

  const found = (name: string): Stored => {
    const object = objects.get(name)
    if (object === undefined) throw new Answer(404, "notFound", `No such object: ${bucket}/${name}`)
    return object
  }

  const store = (name: string, body: Buffer, storageClass: string, kmsKeyName: string | null): Stored => {
    generation += 1 + randomInt(1000)
    const object: Stored = {
      name,
      body,
      generation: String(generation),
      crc32c: base64(crc32c(body, 0)),
      md5Hash: createHash("md5").update(body).digest("base64"),
      timeCreated: new Date().toISOString(),
      storageClass,
      ...(kmsKeyName === null ? {} : { kmsKeyName: `${kmsKeyName}/cryptoKeyVersions/1` })
    }
    objects.set(name, object)
    return object
  }

  const upload = (request: IncomingMessage, query: URLSearchParams, whole: Buffer): Stored => {
    if (query.get("uploadType") !== "multipart") throw new Answer(400, "invalid", "only multipart uploads")
    const { head, body } = uploadParts(request.headers["content-type"] ?? "", whole)
    const wanted = JSON.parse(head) as {
      readonly name: string
      readonly storageClass?: string
      readonly crc32c?: string
    }
    if (wanted.name !== query.get("name")) throw new Answer(400, "invalid", "two names for one object")
    const sum = base64(crc32c(body, 0))
    if (wanted.crc32c !== undefined && wanted.crc32c !== sum) {
      throw new Answer(400, "invalid", `Provided CRC32C "${wanted.crc32c}" doesn't match calculated CRC32C "${sum}".`)
    }
    checkConditions(query, wanted.name)
    checkRate(wanted.name)
    return store(wanted.name, body, wanted.storageClass ?? "STANDARD", query.get("kmsKeyName"))
  }

  const list = (query: URLSearchParams) => {
    const prefix = query.get("prefix") ?? ""
    const delimiter = query.get("delimiter")
    const limit = Math.min(1000, Number(query.get("maxResults") ?? 1000))
    const token = query.get("pageToken")
    const after = token === null ? undefined : Buffer.from(token, "base64url").toString()
    const start = query.get("startOffset") ?? ""
    const items: Array<unknown> = []
    const prefixes: Array<string> = []
    let last: string | undefined
    let more = false
    for (const name of [...objects.keys()].toSorted(compare)) {
      if (!name.startsWith(prefix) || compare(name, start) < 0) continue
      const cut = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length)
      const shown = cut === -1 ? name : name.slice(0, cut + delimiter!.length)
      if (shown === last || (after !== undefined && (compare(name, after) <= 0 || shown === after))) continue
      if (items.length + prefixes.length === limit) {
        more = true
        break
      }
      if (cut === -1) items.push(metadata(objects.get(name)!))
      else prefixes.push(shown)
      last = shown
    }
    return {
      kind: "storage#objects",
      ...(items.length > 0 ? { items } : {}),
      ...(prefixes.length > 0 ? { prefixes } : {}),
      ...(more ? { nextPageToken: Buffer.from(last!).toString("base64url") } : {})
    }
  }

  const media = (
    request: IncomingMessage,
    response: ServerResponse,
    object: Stored,
    fault: Fault | undefined
  ): void => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")
    const size = object.body.length
    const from = range === null ? 0 : Number(range[1])
    const to = range === null || range[2] === "" ? size : Math.min(size, Number(range[2]) + 1)
    if (range !== null && from >= size)
      throw new Answer(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
    const part = Buffer.from(object.body.subarray(from, to))
    if (fault === "damage") part[0]! ^= 1
    response.writeHead(range === null ? 200 : 206, {
      "content-type": "application/octet-stream",
      "content-length": String(part.length),
      ...(range === null ? {} : { "content-range": `bytes ${from}-${to - 1}/${size}` }),
      "x-goog-generation": object.generation,
      "x-goog-stored-content-length": String(size),
      "x-goog-hash": `crc32c=${object.crc32c}, md5=${object.md5Hash}`
    })
    if (fault === "cut") response.write(part.subarray(0, part.length >> 1), () => response.destroy())
    else response.end(part)
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url!, "http://emulator")
    const { operation, name, from } = operationOf(request.method!, url)
    const entry: Seen = { operation, name, url, headers: request.headers, at: performance.now() }
    const before = counts.get(operation) ?? 0
    counts.set(operation, before + 1)
    seen.push(entry)
    const fault = emulator.fault(entry, before)
    const whole = await readBody(request)
    if (fault === "hang") return
    if (fault === "reset") return void response.destroy()
    if (typeof fault === "object") throw new Answer(fault.status, fault.reason ?? "", fault.message ?? "by request")
    if (options.authorization !== undefined && request.headers.authorization !== options.authorization) {
      throw new Answer(401, "authError", "Invalid Credentials")
    }
    if (decodeURIComponent(/\/b\/([^/]+)/.exec(url.pathname)?.[1] ?? "") !== bucket) {
      throw new Answer(404, "notFound", "The specified bucket does not exist.")
    }
    const json = (value: unknown): void => {
      if (fault === "lose") response.destroy()
      else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value))
    }
    if (operation === "put") return json(metadata(upload(request, url.searchParams, whole)))
    if (operation === "list") return json(list(url.searchParams))
    if (operation === "head") return json(metadata(found(name)))
    if (operation === "get") return media(request, response, found(name), fault)
    if (operation === "copy") {
      const source = found(from)
      checkRate(name)
      const { storageClass = "STANDARD" } = JSON.parse(whole.toString() || "{}") as { readonly storageClass?: string }
      const copied = store(name, source.body, storageClass, url.searchParams.get("destinationKmsKeyName"))
      return json({ kind: "storage#rewriteResponse", done: true, resource: metadata(copied) })
    }
    if (operation !== "delete") throw new Answer(501, "notImplemented", `${request.method} ${request.url}`)
    found(name)
    checkConditions(url.searchParams, name)
    objects.delete(name)
    if (fault === "lose") response.destroy()
    else response.writeHead(204).end()
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.destroyed) return
      const { status, reason, message } =
        error instanceof Answer ? error : new Answer(500, "backendError", String(error))
      // Refusals of downloads are plain text there.
      const text = request.url!.includes("alt=media")
      const body = text ? message : JSON.stringify({ error: { code: status, message, errors: [{ reason, message }] } })
      response.writeHead(status, { "content-type": text ? "text/html; charset=UTF-8" : "application/json" }).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const emulator: GcsEmulator = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    seen,
    fault: () => undefined,
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    }
  }
  return emulator
}
