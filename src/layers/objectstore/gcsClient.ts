/**
 * Requests to the JSON API of Cloud Storage. Google's library says where the service is and who we are (application
 * default credentials: key file, workload identity, metadata server); it is loaded on demand. The requests are our own:
 * the library's cannot be cancelled or limited in time, and its uploads delete what they find damaged.
 */
import { randomUUID } from "node:crypto"
import type { StorageSettings } from "../../services/Settings.ts"
import { noToken, refused } from "./gcsErrors.ts"
import { type Incoming, readText, Transport } from "./gcsTransport.ts"

/** Wins over the environment; for tests and for programs that embed the store. */
export interface GcsOverrides {
  /** Default: `STORAGE_EMULATOR_HOST`, else Google. */
  readonly endpoint?: string
  /** Send credentials to that endpoint, too; an emulator gets none. */
  readonly authenticate?: boolean
  /** Per attempt, to the head of the answer; bodies get more, by size. Default 10 s. */
  readonly requestTimeoutMillis?: number
  /** Between two writes of one object; for emulators without that limit. */
  readonly writeIntervalMillis?: number
}

const defaultRequestTimeoutMillis = 10_000

export interface ObjectMetadata {
  readonly name?: string
  /** 64-bit numbers travel as text. */
  readonly size?: string
  readonly generation?: string
  readonly timeCreated?: string
}

export interface Upload {
  readonly name: string
  readonly size: number
  readonly crc32c: string
  readonly body: AsyncIterable<Uint8Array> | ReadonlyArray<Uint8Array>
  /** 0: the object must not exist. */
  readonly ifGenerationMatch: string | undefined
  readonly timeoutMillis: number
}

type Query = Record<string, string | undefined>

/** A scheme is often left out, and the path of the API often written down, in this variable. */
const emulatorEndpoint = (word: string): string =>
  (/^\w+:\/\//.test(word) ? word : `http://${word}`).replace(/\/(storage\/v1\/?)?$/, "")

const metadataFields = "name,size,generation,timeCreated"

export class GcsClient {
  readonly requestTimeoutMillis: number
  readonly #transport = new Transport()
  readonly #bucket: string
  readonly #settings: StorageSettings
  readonly #endpoint: string
  readonly #token: ((url: string) => Promise<Headers>) | undefined

  private constructor(
    settings: StorageSettings,
    requestTimeoutMillis: number,
    endpoint: string,
    token: ((url: string) => Promise<Headers>) | undefined
  ) {
    this.#settings = settings
    this.#bucket = encodeURIComponent(settings.bucketName)
    this.requestTimeoutMillis = requestTimeoutMillis
    this.#endpoint = endpoint
    this.#token = token
  }

  static async connect(
    settings: StorageSettings,
    overrides: GcsOverrides,
    environment: NodeJS.ProcessEnv
  ): Promise<GcsClient> {
    const limit = overrides.requestTimeoutMillis ?? defaultRequestTimeoutMillis
    const emulator = overrides.endpoint ?? (environment["STORAGE_EMULATOR_HOST"] || undefined)
    const endpoint = emulator === undefined ? undefined : emulatorEndpoint(emulator)
    if (endpoint !== undefined && overrides.authenticate !== true) {
      return new GcsClient(settings, limit, endpoint, undefined)
    }
    const { Storage } = await import("@google-cloud/storage")
    const universeDomain = environment["GOOGLE_CLOUD_UNIVERSE_DOMAIN"] || undefined
    // Objects belong to a bucket; without a project's name here, the library asks yet another service for it.
    const projectId = environment["GOOGLE_CLOUD_PROJECT"] || "-"
    const storage = new Storage({ projectId, ...(universeDomain === undefined ? {} : { universeDomain }) })
    return new GcsClient(settings, limit, endpoint ?? storage.apiEndpoint, (url) =>
      storage.authClient.getRequestHeaders(url)
    )
  }

  close(): void {
    this.#transport.close()
  }

  /** The object's bytes, not yet read; throws `Refused` for anything but success. */
  media(name: string, headers: Record<string, string>, signal: AbortSignal): Promise<Incoming> {
    return this.#send("GET", this.#object(name, { alt: "media" }), headers, undefined, undefined, signal)
  }

  metadata(name: string, signal: AbortSignal): Promise<ObjectMetadata> {
    return this.#json("GET", this.#object(name, { fields: metadataFields }), undefined, signal)
  }

  async delete(name: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#send("DELETE", this.#object(name, {}), {}, undefined, undefined, signal)
    await readText(answer)
  }

  list(query: Query, signal: AbortSignal) {
    const fields = `items(${metadataFields}),prefixes,nextPageToken`
    return this.#json<{
      readonly items?: ReadonlyArray<ObjectMetadata>
      readonly prefixes?: ReadonlyArray<string>
      readonly nextPageToken?: string
    }>("GET", this.#url("storage/v1", "o", { ...query, fields }), undefined, signal)
  }

  /** One request, or one more for each piece that Google copies of a large object. */
  async copy(from: string, to: string, signal: AbortSignal): Promise<ObjectMetadata> {
    const path = `o/${encodeURIComponent(from)}/rewriteTo/b/${this.#bucket}/o/${encodeURIComponent(to)}`
    for (let rewriteToken: string | undefined; ;) {
      const url = this.#url("storage/v1", path, { rewriteToken, destinationKmsKeyName: this.#kmsKeyName })
      const answer = await this.#json<{
        readonly done?: boolean
        readonly rewriteToken?: string
        readonly resource?: ObjectMetadata
      }>("POST", url, { storageClass: this.#settings.class }, signal)
      if (answer.done === true && answer.resource !== undefined) return answer.resource
      rewriteToken = answer.rewriteToken
      if (rewriteToken === undefined) throw new Error("the copy is neither done nor to be continued")
    }
  }

  /** One attempt, metadata and bytes in one request; GCS stores nothing unless size and CRC-32C are as announced. */
  async upload(upload: Upload, signal: AbortSignal): Promise<ObjectMetadata> {
    const url = this.#url("upload/storage/v1", "o", {
      uploadType: "multipart",
      name: upload.name,
      ifGenerationMatch: upload.ifGenerationMatch,
      kmsKeyName: this.#kmsKeyName,
      fields: metadataFields
    })
    const boundary = `netsy-${randomUUID()}`
    const metadata = JSON.stringify({ name: upload.name, storageClass: this.#settings.class, crc32c: upload.crc32c })
    const head = Buffer.from(
      `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${metadata}\r\n` +
        `--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`
    )
    const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
    const headers = {
      "content-type": `multipart/related; boundary=${boundary}`,
      "content-length": String(head.length + upload.size + tail.length)
    }
    const { body, timeoutMillis } = upload
    const framed = Array.isArray(body) ? [head, ...body, tail] : around(head, body, tail)
    return parse(await readText(await this.#send("POST", url, headers, framed, timeoutMillis, signal)))
  }

  get #kmsKeyName(): string | undefined {
    return this.#settings.encryption === "customer-managed" ? this.#settings.kmsKeyId : undefined
  }

  #object(name: string, query: Query): URL {
    return this.#url("storage/v1", `o/${encodeURIComponent(name)}`, query)
  }

  #url(api: string, path: string, query: Query): URL {
    const url = new URL(`${this.#endpoint}/${api}/b/${this.#bucket}/${path}`)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value)
    return url
  }

  async #json<A>(method: "GET" | "POST", url: URL, value: unknown, signal: AbortSignal): Promise<A> {
    const body = value === undefined ? undefined : Buffer.from(JSON.stringify(value))
    const headers: Record<string, string> =
      body === undefined ? {} : { "content-type": "application/json", "content-length": String(body.length) }
    const answer = await this.#send(method, url, headers, body === undefined ? undefined : [body], undefined, signal)
    return parse<A>(await readText(answer))
  }

  async #send(
    method: "GET" | "POST" | "DELETE",
    url: URL,
    headers: Record<string, string>,
    body: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined,
    timeoutMillis: number | undefined,
    signal: AbortSignal
  ): Promise<Incoming> {
    const outgoing = {
      method,
      url,
      headers: { ...headers, ...(await this.#authorization(url, signal)) },
      timeoutMillis: timeoutMillis ?? this.requestTimeoutMillis,
      ...(body === undefined ? {} : { body })
    }
    const answer = await this.#transport.send(outgoing, signal)
    if (answer.status >= 200 && answer.status < 300) return answer
    throw refused(answer.status, await readText(answer))
  }

  async #authorization(url: URL, signal: AbortSignal): Promise<Record<string, string>> {
    if (this.#token === undefined) return {}
    try {
      return Object.fromEntries(await orAborted(this.#token(url.href), signal))
    } catch (error) {
      throw noToken(error)
    }
  }
}

const parse = <A>(text: string): A => {
  try {
    return JSON.parse(text) as A
  } catch {
    throw new Error(`the answer is no JSON: ${text.slice(0, 80)}`)
  }
}

const around = async function* (
  head: Uint8Array,
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  tail: Uint8Array
) {
  yield head
  yield* body
  yield tail
}

/** The library goes on in the background: the next request finds its token. */
const orAborted = <A>(promise: Promise<A>, signal: AbortSignal): Promise<A> =>
  new Promise((resolve, reject) => {
    const abort = (): void => reject(new DOMException("given up", "AbortError"))
    if (signal.aborted) abort()
    signal.addEventListener("abort", abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort))
  })
