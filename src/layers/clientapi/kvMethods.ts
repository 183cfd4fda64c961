/** `etcdserverpb.KV` over the Kv service: decode, size limit (rule T10), count, encode. */
import type { Clock } from "effect"
import { catalog } from "../../core/metrics/catalog.ts"
import { encodeHeaderResponse } from "../../core/wire/codec/common.ts"
import {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  encodeDeleteRangeResponse,
  encodePutResponse
} from "../../core/wire/codec/kv.ts"
import { RangeSteps } from "../../core/wire/codec/rangeSteps.ts"
import { decodeTxnRequest, encodeTxnResponse } from "../../core/wire/codec/txn.ts"
import { errors } from "../../core/wire/errors.ts"
import type { RangeResponse } from "../../core/wire/messages.ts"
import type { UnaryReply } from "../../services/ClientApi.ts"
import type { Kv, Reply } from "../../services/Kv.ts"
import type { Metrics } from "../../services/Metrics.ts"
import { decoded } from "./decode.ts"

export type UnaryMethod = (request: Uint8Array, reply: UnaryReply) => void

type Encode<Response> = (response: Response, send: (bytes: Uint8Array) => void) => void

const atOnce =
  <Response>(encode: (response: Response) => Uint8Array): Encode<Response> =>
  (response, send) =>
    send(encode(response))

/** A big answer is encoded bit by bit, so that the others are not kept waiting. */
const encodeRange: Encode<RangeResponse> = (response, send) => {
  const steps = new RangeSteps(response)
  const go = (): void => {
    const bytes = steps.step()
    if (bytes === undefined) setImmediate(go)
    else send(bytes)
  }
  go()
}

/** How a request ended, for the counters. */
type Done = (result: "success" | "error") => void

/** `netsy_client_requests_total` and its duration, by kind. */
const makeTimer = (metrics: Metrics["Service"], clock: Clock.Clock): ((kind: string) => () => Done) => {
  const total = metrics.counter(catalog.clientRequests)
  const seconds = metrics.histogram(catalog.clientRequestDuration)
  return (kind) => {
    const labels = Object.freeze({ kind })
    const results = {
      success: Object.freeze({ kind, result: "success" }),
      error: Object.freeze({ kind, result: "error" })
    }
    return () => {
      const start = clock.monotonicTimeNanosUnsafe()
      return (result) => {
        total.inc(results[result])
        seconds.observe(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e9, labels)
      }
    }
  }
}

export const kvMethods = (
  kv: Kv["Service"],
  metrics: Metrics["Service"],
  clock: Clock.Clock,
  maxRequestBytes: number
): ReadonlyMap<string, UnaryMethod> => {
  const timer = makeTimer(metrics, clock)

  const method = <Request, Response>(options: {
    readonly kind: string
    readonly message: string
    readonly decode: (bytes: Uint8Array) => Request
    readonly call: (request: Request, reply: Reply<Response>) => void
    readonly encode: (response: Response, send: (bytes: Uint8Array) => void) => void
    readonly limited: boolean
  }): UnaryMethod => {
    const begin = timer(options.kind)
    return (request, reply) => {
      const done = begin()
      const fail: UnaryReply["fail"] = (error) => {
        done("error")
        reply.fail(error)
      }
      if (options.limited && request.length > maxRequestBytes) return fail(errors.requestTooLarge)
      const answer: Reply<Response> = {
        succeed: (response) => {
          done("success")
          options.encode(response, reply.succeed)
        },
        fail
      }
      decoded(options.message, request, options.decode, (message) => options.call(message, answer), fail)
    }
  }

  return new Map([
    [
      "/etcdserverpb.KV/Range",
      method({
        kind: "range",
        message: "RangeRequest",
        decode: decodeRangeRequest,
        call: kv.range,
        encode: encodeRange,
        limited: false
      })
    ],
    [
      "/etcdserverpb.KV/Put",
      method({
        kind: "put",
        message: "PutRequest",
        decode: decodePutRequest,
        call: kv.put,
        encode: atOnce(encodePutResponse),
        limited: true
      })
    ],
    [
      "/etcdserverpb.KV/DeleteRange",
      method({
        kind: "delete_range",
        message: "DeleteRangeRequest",
        decode: decodeDeleteRangeRequest,
        call: kv.deleteRange,
        encode: atOnce(encodeDeleteRangeResponse),
        limited: true
      })
    ],
    [
      "/etcdserverpb.KV/Txn",
      method({
        kind: "txn",
        message: "TxnRequest",
        decode: decodeTxnRequest,
        call: kv.txn,
        encode: atOnce(encodeTxnResponse),
        limited: true
      })
    ],
    [
      "/etcdserverpb.KV/Compact",
      method({
        kind: "compact",
        message: "CompactionRequest",
        decode: decodeCompactionRequest,
        call: kv.compact,
        encode: atOnce(encodeHeaderResponse),
        limited: true
      })
    ]
  ])
}
