/** One client's connection to one endpoint over mTLS: unary calls as bytes, and watch streams. */
import { ChannelCredentials, Client, type ClientDuplexStream, Metadata, type ServiceError } from "@grpc/grpc-js"
import type { Certificates } from "./certificates.ts"

const raw = (value: Uint8Array): Buffer => Buffer.from(value.buffer, value.byteOffset, value.length)
const same = (value: Buffer): Buffer => value

/** grpc-js failed before the request could leave. */
const notSent = "No connection established"

export class CallFailed extends Error {
  readonly code: number
  /** The request has certainly not reached the server. */
  readonly unsent: boolean

  constructor(code: number, details: string) {
    super(details)
    this.code = code
    this.unsent = details.startsWith(notSent)
  }
}

export class Connection {
  readonly #client: Client

  constructor(address: string, certificates: Certificates) {
    const { ca, cert, key } = certificates.client()
    this.#client = new Client(address, ChannelCredentials.createSsl(ca, key, cert), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
      "grpc.max_receive_message_length": -1,
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 5_000,
      "grpc.keepalive_permit_without_calls": 1
    })
  }

  unary(path: string, body: Uint8Array, deadlineMillis: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + deadlineMillis
      const done = (error: ServiceError | null, response?: Buffer): void => {
        if (error === null && response !== undefined) resolve(response)
        else reject(new CallFailed(error?.code ?? 2, error?.details ?? "no response"))
      }
      this.#client.makeUnaryRequest(path, raw, same, body, new Metadata(), { deadline }, done)
    })
  }

  stream(path: string): ClientDuplexStream<Uint8Array, Buffer> {
    return this.#client.makeBidiStreamRequest(path, raw, same, new Metadata())
  }

  close(): void {
    this.#client.close()
  }
}
