/** One gRPC connection with the calls that kube-apiserver makes, through the wire codecs of this project. */
import { ChannelCredentials, Client, type ClientDuplexStream, Metadata, type ServiceError } from "@grpc/grpc-js"
import { emptyBytes } from "../../src/core/log/record.ts"
import { decodeHeaderResponse } from "../../src/core/wire/codec/common.ts"
import { decodeRangeResponse, encodeCompactionRequest, encodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import { LeaseGrantRequest, LeaseGrantResponse } from "../../src/core/wire/codec/lease.ts"
import { StatusRequest, StatusResponse } from "../../src/core/wire/codec/maintenance.ts"
import { decodeTxnResponse, encodeTxnRequest } from "../../src/core/wire/codec/txn.ts"
import { decodeWatchResponse, encodeWatchRequest } from "../../src/core/wire/codec/watch.ts"
import { Code } from "../../src/core/wire/errors.ts"
import type {
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest,
  WatchResponse
} from "../../src/core/wire/messages.ts"
import { Reader } from "../../src/core/wire/protobuf.ts"

/** The API's own limit for a request. */
const requestTimeoutMillis = 60_000

/** A call that failed; `code` is the gRPC status. */
export class CallFailed extends Error {
  readonly code: number
  readonly text: string

  constructor(method: string, code: number, text: string) {
    super(`${method}: code ${code}: ${text}`)
    this.code = code
    this.text = text
  }
}

export const compactedText = "etcdserver: mvcc: required revision has been compacted"

export { rangeOf } from "../support/requests.ts"

const raw = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
const same = (bytes: Buffer): Buffer => bytes

/** Field 1 of a RangeStreamResponse. */
const unwrap = (bytes: Uint8Array): RangeResponse => {
  const reader = new Reader(bytes)
  let inner = emptyBytes
  while (!reader.done()) {
    const tag = reader.tag()
    if (tag === 10) inner = reader.bytes()
    else reader.skip(tag)
  }
  return decodeRangeResponse(inner)
}

export interface WatchStream {
  readonly create: (request: Partial<WatchCreateRequest> & { readonly key: Uint8Array }) => void
  readonly requestProgress: () => void
  readonly cancel: () => void
}

export class Connection {
  readonly #client: Client

  constructor(endpoint: string) {
    this.#client = new Client(endpoint, ChannelCredentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000
    })
  }

  #unary<A>(path: string, request: Uint8Array, decode: (bytes: Uint8Array) => A): Promise<A> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: Buffer): void => {
        if (error === null) resolve(decode(answer!))
        else reject(new CallFailed(path, error.code, error.details))
      }
      const deadline = Date.now() + requestTimeoutMillis
      this.#client.makeUnaryRequest(path, raw, same, request, new Metadata(), { deadline }, done)
    })
  }

  range(request: RangeRequest): Promise<RangeResponse> {
    return this.#unary("/etcdserverpb.KV/Range", encodeRangeRequest(request), decodeRangeResponse)
  }

  txn(request: TxnRequest): Promise<TxnResponse> {
    return this.#unary("/etcdserverpb.KV/Txn", encodeTxnRequest(request), decodeTxnResponse)
  }

  async compact(revision: number): Promise<void> {
    const request = encodeCompactionRequest({ revision, physical: false })
    await this.#unary("/etcdserverpb.KV/Compact", request, decodeHeaderResponse)
  }

  grant(ttl: number): Promise<LeaseGrantResponse> {
    return this.#unary("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest.encode({ ttl, id: 0n }), (bytes) =>
      LeaseGrantResponse.decode(bytes)
    )
  }

  status(): Promise<StatusResponse> {
    return this.#unary("/etcdserverpb.Maintenance/Status", StatusRequest.encode({}), (bytes) =>
      StatusResponse.decode(bytes)
    )
  }

  /** All chunks of a RangeStream, or undefined when the server has none (Unimplemented). */
  rangeStream(request: RangeRequest): Promise<ReadonlyArray<RangeResponse> | undefined> {
    const path = "/etcdserverpb.KV/RangeStream"
    return new Promise((resolve, reject) => {
      const chunks: Array<RangeResponse> = []
      const deadline = Date.now() + requestTimeoutMillis
      const call = this.#client.makeServerStreamRequest(path, raw, same, encodeRangeRequest(request), { deadline })
      call.on("data", (bytes: Buffer) => chunks.push(unwrap(bytes)))
      call.on("end", () => resolve(chunks))
      call.on("error", (error: ServiceError) => {
        if (error.code === Code.Unimplemented && chunks.length === 0) resolve(undefined)
        else reject(new CallFailed(path, error.code, error.details))
      })
    })
  }

  /** A watch stream that demands a leader, as every one of the apiserver does. */
  watch(on: (response: WatchResponse) => void, broken: (error: Error) => void): WatchStream {
    const metadata = new Metadata()
    metadata.set("hasleader", "true")
    const path = "/etcdserverpb.Watch/Watch"
    const call: ClientDuplexStream<Uint8Array, Buffer> = this.#client.makeBidiStreamRequest(path, raw, same, metadata)
    let cancelled = false
    call.on("data", (bytes: Buffer) => on(decodeWatchResponse(bytes)))
    call.on("end", () => cancelled || broken(new Error("the server ended a watch stream")))
    call.on("error", (error: ServiceError) => {
      if (!cancelled) broken(new CallFailed(path, error.code, error.details))
    })
    return {
      create: (request) => {
        const create = {
          rangeEnd: emptyBytes,
          startRevision: 0,
          progressNotify: false,
          filters: [],
          prevKv: false,
          watchId: 0n,
          fragment: false,
          ...request
        }
        call.write(encodeWatchRequest({ kind: "create", create }))
      },
      requestProgress: () => void call.write(encodeWatchRequest({ kind: "progress" })),
      cancel: () => {
        cancelled = true
        call.cancel()
      }
    }
  }

  close(): void {
    this.#client.close()
  }
}
