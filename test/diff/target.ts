/** One of the two servers: sends operations, and keeps what it says with ids mapped to names that both have. */
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  Metadata,
  type ServiceError,
  type StatusObject
} from "@grpc/grpc-js"
import { decode, encode, messageType, methodOf, type Plain } from "./messages.ts"
import type { Answer } from "./operations.ts"
import { WatchStream } from "./WatchStream.ts"

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes)
const same = (bytes: Buffer): Buffer => bytes
const deadlineMillis = 20_000

export type Program = "etcd" | "netsy"

export class Target {
  readonly program: Program
  readonly #client: Client
  /** By label, and by id. */
  readonly leases = new Map<string, string>()
  readonly #labels = new Map<string, string>()
  readonly #tokens = new Map<string, string>()
  #memberId: string | undefined
  readonly streams = new Map<number, WatchStream>()

  constructor(program: Program, endpoint: string) {
    this.program = program
    this.#client = new Client(endpoint, ChannelCredentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1
    })
  }

  hasToken(user: string): boolean {
    return this.#tokens.has(user)
  }

  close(): void {
    for (const stream of this.streams.values()) stream.cancel()
    this.#client.close()
  }

  #metadata(as: string | undefined): Metadata {
    const metadata = new Metadata()
    const token = as === undefined ? undefined : as.startsWith("!") ? as.slice(1) : this.#tokens.get(as)
    if (token !== undefined) metadata.set("token", token)
    return metadata
  }

  /** Ids of this server become names; `ids` are those of members or of leases. */
  #mapped(value: unknown, ids: "members" | "leases"): unknown {
    if (Array.isArray(value)) return value.map((one) => this.#mapped(one, ids))
    if (typeof value !== "object" || value === null) return value
    const result: Record<string, unknown> = {}
    for (const [name, one] of Object.entries(value)) result[name] = this.#mappedField(name, one, ids)
    return result
  }

  #mappedField(name: string, value: unknown, ids: "members" | "leases"): unknown {
    switch (name) {
      case "cluster_id":
      case "raft_term":
      case "token":
        return name
      case "member_id":
        this.#memberId ??= String(value)
        return String(value) === this.#memberId ? "member" : "another member"
      case "lease":
      case "ID":
      case "memberID":
      case "leader":
        if (ids === "leases") return this.#labels.get(String(value)) ?? value
        return String(value) === this.#memberId ? "member" : value
    }
    return this.#mapped(value, ids)
  }

  #unary(path: string, body: Uint8Array, as: string | undefined): Promise<{ error?: ServiceError; bytes?: Buffer }> {
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + deadlineMillis }
      this.#client.makeUnaryRequest(path, asBuffer, same, body, this.#metadata(as), options, (error, bytes) =>
        resolve(error === null ? { bytes: bytes! } : { error })
      )
    })
  }

  async call(name: string, request: Plain, as?: string, grants?: string): Promise<Answer> {
    const method = methodOf(name)
    const { error, bytes } = await this.#unary(method.path, encode(method.request, request), as)
    if (error !== undefined) return { code: error.code, details: error.details, body: undefined }
    const body = decode(method.response, bytes!)
    if (grants !== undefined && body["ID"] !== undefined) {
      this.leases.set(grants, String(body["ID"]))
      this.#labels.set(String(body["ID"]), grants)
    }
    const ids = /^(Cluster|Maintenance)\./.test(name) ? "members" : "leases"
    return { code: 0, details: "", body: this.#mapped(body, ids) as Plain }
  }

  async login(user: string, password: string): Promise<Answer> {
    const method = methodOf("Auth.Authenticate")
    const { error, bytes } = await this.#unary(method.path, encode(method.request, { name: user, password }), undefined)
    if (error !== undefined) return { code: error.code, details: error.details, body: undefined }
    const body = decode(method.response, bytes!)
    this.#tokens.set(user, String(body["token"]))
    return { code: 0, details: "", body: this.#mapped(body, "leases") as Plain }
  }

  async raw(path: string, body: string): Promise<Answer> {
    const { bytes, error } = await this.#unary(path, Buffer.from(body, "latin1"), undefined)
    if (error !== undefined) return { code: error.code, details: error.details, body: undefined }
    const { response } = methodOf(path.replace("/etcdserverpb.", "").replace("/", "."))
    return { code: 0, details: "", body: this.#mapped(decode(response, bytes!), "leases") as Plain }
  }

  /** The concatenation of the pieces, which must be the Range answer; etcd before 3.7 is asked for that. */
  async rangeStream(request: Plain, as?: string): Promise<Answer> {
    if (this.program === "etcd") return this.call("KV.Range", request, as)
    const method = methodOf("KV.RangeStream")
    const options = { deadline: Date.now() + deadlineMillis }
    const metadata = this.#metadata(as)
    const bytes = encode(method.request, request)
    const call = this.#client.makeServerStreamRequest(method.path, asBuffer, same, bytes, metadata, options)
    const pieces: Array<Plain> = []
    const status = await new Promise<StatusObject>((resolve) => {
      call.on("data", (piece: Buffer) => {
        pieces.push((decode(method.response, piece)["range_response"] ?? {}) as Plain)
      })
      call.on("error", () => {})
      call.on("status", resolve)
    })
    if (status.code !== 0) return { code: status.code, details: status.details, body: undefined }
    const kvs = pieces.flatMap((piece) => (piece["kvs"] ?? []) as ReadonlyArray<Plain>)
    const { kvs: _last, ...rest } = pieces.at(-1) ?? {}
    const early = pieces.slice(0, -1).some((piece) => ["header", "more", "count"].some((name) => name in piece))
    if (early) return { code: -1, details: "header, more or count before the last piece", body: undefined }
    return {
      code: 0,
      details: "",
      body: this.#mapped({ ...rest, ...(kvs.length > 0 ? { kvs } : {}) }, "leases") as Plain
    }
  }

  #bidi(path: string, as: string | undefined): ClientDuplexStream<Uint8Array, Buffer> {
    const call = this.#client.makeBidiStreamRequest<Uint8Array, Buffer>(path, asBuffer, same, this.#metadata(as))
    call.on("error", () => {})
    return call
  }

  /** All requests at once, then the half-close; the responses come in their order. */
  async keepAlive(ids: ReadonlyArray<unknown>, as?: string): Promise<Answer> {
    const method = methodOf("Lease.LeaseKeepAlive")
    const call = this.#bidi(method.path, as)
    const responses: Array<Plain> = []
    const ended = new Promise<StatusObject>((resolve) => {
      call.on("data", (piece: Buffer) =>
        responses.push(this.#mapped(decode(method.response, piece), "leases") as Plain)
      )
      call.on("status", resolve)
    })
    for (const id of ids) call.write(encode(method.request, { ID: id }))
    call.end()
    const late = setTimeout(() => call.cancel(), deadlineMillis)
    const { code, details } = await ended
    clearTimeout(late)
    return { code, details: code === 0 ? "" : details, body: { responses } }
  }

  /** Replaces a stream of the same number. */
  open(number: number, operation: number, as?: string): WatchStream {
    const type = messageType("WatchResponse")
    const call = this.#bidi(methodOf("Watch.Watch").path, as)
    const stream = new WatchStream(
      operation,
      call,
      (bytes) => this.#mapped(decode(type, bytes), "leases") as Plain,
      this.program !== "etcd"
    )
    this.streams.set(number, stream)
    return stream
  }
}
