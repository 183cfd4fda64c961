/** A grpc-js client that sends and receives bytes as they are. */
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  Metadata,
  type ServiceError
} from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"
import type { HostPort } from "../../src/services/Settings.ts"
import type { Pair } from "../support/authority.ts"
import type { Certs } from "./certs.ts"

const bytes = (value: Uint8Array): Buffer => Buffer.from(value)
const same = (value: Buffer): Buffer => value

export interface RawClient {
  readonly call: (
    method: string,
    request: Uint8Array,
    metadata?: Readonly<Record<string, string>>
  ) => Effect.Effect<Uint8Array, ServiceError>
  readonly bidi: (method: string) => ClientDuplexStream<Uint8Array, Buffer>
  readonly client: Client
}

export const credentials = (certs: Certs, pair: Pair): ChannelCredentials =>
  ChannelCredentials.createSsl(certs.ca, pair.key, pair.cert)

/** A connection of its own, closed with the scope. */
export const connect = (
  address: HostPort,
  channelCredentials: ChannelCredentials = ChannelCredentials.createInsecure(),
  options: ClientOptions = {}
): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Client(`127.0.0.1:${address.port}`, channelCredentials, {
            "grpc.use_local_subchannel_pool": 1,
            "grpc.max_receive_message_length": -1,
            ...options
          })
      ),
      (opened) => Effect.sync(() => opened.close())
    )
    return {
      client,
      bidi: (method) => client.makeBidiStreamRequest(method, bytes, same, new Metadata()),
      call: (method, request, given = {}) =>
        Effect.callback<Uint8Array, ServiceError>((resume) => {
          const metadata = new Metadata()
          for (const [name, value] of Object.entries(given)) metadata.set(name, value)
          const deadline = { deadline: Date.now() + 10_000 }
          client.makeUnaryRequest(method, bytes, same, request, metadata, deadline, (error, response) =>
            resume(error === null ? Effect.succeed(response ?? new Uint8Array(0)) : Effect.fail(error))
          )
        })
    }
  })
