/** Raw gRPC calls: any path, any bytes. */
import { readFileSync } from "node:fs"
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ServiceError
} from "@grpc/grpc-js"
import type { Daemon } from "./daemon.ts"

export interface Answer {
  /** gRPC status code; 0 is success. */
  readonly code: number
  /** The status text, empty on success. */
  readonly details: string
  readonly body: Buffer
}

const raw = (bytes: Uint8Array): Buffer => Buffer.from(bytes)
const same = (bytes: Buffer): Buffer => bytes

export class RawClient {
  readonly #client: Client

  constructor(daemon: Daemon) {
    const { certificates } = daemon
    const credentials =
      certificates === undefined
        ? ChannelCredentials.createInsecure()
        : ChannelCredentials.createSsl(
            readFileSync(certificates.ca),
            readFileSync(certificates.key),
            readFileSync(certificates.cert)
          )
    this.#client = new Client(daemon.endpoint, credentials, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1
    })
  }

  unary(path: string, body: Uint8Array, deadlineMillis = 20_000): Promise<Answer> {
    return new Promise((resolve) => {
      const done = (error: ServiceError | null, answer?: Buffer): void =>
        resolve({ code: error?.code ?? 0, details: error?.details ?? "", body: answer ?? Buffer.alloc(0) })
      this.#client.makeUnaryRequest(path, raw, same, body, { deadline: Date.now() + deadlineMillis }, done)
    })
  }

  /** A call that its caller may give up. */
  pending(path: string, body: Uint8Array): { readonly answer: Promise<Answer>; readonly cancel: () => void } {
    let cancel = (): void => {}
    const answer = new Promise<Answer>((resolve) => {
      const call = this.#client.makeUnaryRequest(path, raw, same, body, (error: ServiceError | null, body?: Buffer) =>
        resolve({ code: error?.code ?? 0, details: error?.details ?? "", body: body ?? Buffer.alloc(0) })
      )
      cancel = () => call.cancel()
    })
    return { answer, cancel: () => cancel() }
  }

  serverStream(path: string, body: Uint8Array): ClientReadableStream<Buffer> {
    const call = this.#client.makeServerStreamRequest<Uint8Array, Buffer>(path, raw, same, body)
    call.on("error", () => {})
    return call
  }

  bidi(path: string): ClientDuplexStream<Uint8Array, Buffer> {
    const call = this.#client.makeBidiStreamRequest<Uint8Array, Buffer>(path, raw, same)
    call.on("error", () => {})
    return call
  }

  close(): void {
    this.#client.close()
  }
}
