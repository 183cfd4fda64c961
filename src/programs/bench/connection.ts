/** The requests of the benchmark as bytes, and the few calls around the load, made with grpc-js. */
import { ChannelCredentials, Client, Metadata } from "@grpc/grpc-js"
import { Effect, type Scope } from "effect"
import { emptyBytes } from "../../core/log/record.ts"
import {
  decodePutResponse,
  decodeRangeResponse,
  encodePutRequest,
  encodeRangeRequest
} from "../../core/wire/codec/kv.ts"
import type { RangeResponse } from "../../core/wire/messages.ts"
import { BenchFailure } from "./failure.ts"

export const putMethod = "/etcdserverpb.KV/Put"
export const rangeMethod = "/etcdserverpb.KV/Range"

const same = (bytes: Buffer): Buffer => bytes

/** A connection of its own, closed with the scope. */
export const connection = (address: string): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new Client(address, ChannelCredentials.createInsecure(), {
          "grpc.use_local_subchannel_pool": 1,
          "grpc.enable_channelz": 0,
          "grpc.max_receive_message_length": -1
        })
    ),
    (client) => Effect.sync(() => client.close())
  )

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

export const putRequest = (key: Uint8Array, value: Uint8Array): Buffer =>
  asBuffer(encodePutRequest({ key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false }))

const everything = Uint8Array.of(0)

/** A linearizable get of one key, or with `rangeEnd` a count of the keys up to it. */
export const rangeRequest = (key: Uint8Array, rangeEnd?: Uint8Array): Buffer =>
  asBuffer(
    encodeRangeRequest({
      key,
      rangeEnd: rangeEnd ?? emptyBytes,
      limit: 0,
      revision: 0,
      sortOrder: 0,
      sortTarget: 0,
      serializable: false,
      keysOnly: false,
      countOnly: rangeEnd !== undefined,
      minModRevision: 0,
      maxModRevision: 0,
      minCreateRevision: 0,
      maxCreateRevision: 0
    })
  )

const unary = (client: Client, method: string, request: Buffer): Effect.Effect<Buffer, BenchFailure> =>
  Effect.callback((resume) => {
    client.makeUnaryRequest(method, same, same, request, new Metadata(), (error, response) =>
      resume(
        error === null && response !== undefined
          ? Effect.succeed(response)
          : Effect.fail(new BenchFailure({ message: `${method}: ${error?.message ?? "no answer"}` }))
      )
    )
  })

/** Revision of the store and its number of keys. */
export const census = (
  client: Client
): Effect.Effect<{ readonly revision: number; readonly keys: number }, BenchFailure> =>
  Effect.map(unary(client, rangeMethod, rangeRequest(everything, everything)), (response) => {
    const { header, count }: RangeResponse = decodeRangeResponse(response)
    return { revision: header?.revision ?? 0, keys: count }
  })

/** Puts one key; the revision it got. */
export const put = (client: Client, key: string, value: string): Effect.Effect<number, BenchFailure> =>
  Effect.map(
    unary(client, putMethod, putRequest(Buffer.from(key), Buffer.from(value))),
    (response) => decodePutResponse(response).header?.revision ?? 0
  )
