/** `etcdserverpb.KV` over the Kv service: size limit (rule T10), quota, counting and timing around each method. */
import type { Clock } from "effect"
import { catalog } from "../../core/metrics/catalog.ts"
import { checkDeleteRange, checkPut, checkRange, checkTxn } from "../../core/txn/check.ts"
import { putCost, txnCost } from "../../core/txn/cost.ts"
import { isReadOnlyTxn } from "../../core/txn/txn.ts"
import { encodeHeaderResponse } from "../../core/wire/codec/common.ts"
import {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse
} from "../../core/wire/codec/kv.ts"
import { RangeSteps } from "../../core/wire/codec/rangeSteps.ts"
import { decodeTxnRequest, encodeTxnResponse } from "../../core/wire/codec/txn.ts"
import { errors } from "../../core/wire/errors.ts"
import type { RangeRequest, RangeResponse, TxnResponse } from "../../core/wire/messages.ts"
import type { Access } from "../../services/Access.ts"
import type { UnaryReply } from "../../services/ClientApi.ts"
import type { Kv } from "../../services/Kv.ts"
import type { Metrics } from "../../services/Metrics.ts"
import type { Quota } from "../../services/Quota.ts"
import { makeKeyCounts } from "./clientRequests.ts"
import { type Method, type UnaryMethod, unaryMethod } from "./method.ts"

/** A big answer is encoded bit by bit, so that the others are not kept waiting. */
const encodeRange: NonNullable<Method<RangeRequest, RangeResponse>["encodeSlowly"]> = (response, send) => {
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

const uncounted: Done = () => {}

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

export interface KvOptions {
  readonly access: Access["Service"]
  readonly kv: Kv["Service"]
  readonly quota: Quota["Service"]
  readonly metrics: Metrics["Service"]
  readonly clock: Clock.Clock
  readonly maxRequestBytes: number
  readonly maxTxnOps: number
}

export const kvMethods = (options: KvOptions): ReadonlyMap<string, UnaryMethod> => {
  const { access, clock, kv, maxRequestBytes, maxTxnOps, metrics, quota } = options
  const timer = makeTimer(metrics, clock)
  const counts = makeKeyCounts(metrics)

  /** Counts and times the method; a write must not be too large. */
  const timed = <Request, Response>(
    rpc: string,
    kind: string,
    writes: boolean,
    method: Method<Request, Response>
  ): readonly [string, UnaryMethod] => {
    const begin = timer(kind)
    const operations = counts.single(kind)
    const run = unaryMethod(access, method)
    return [
      `/etcdserverpb.KV/${rpc}`,
      (request, context, reply, route) => {
        // Counted where the client is.
        const done = context.forwarded === true ? uncounted : begin()
        const fail: UnaryReply["fail"] = (error) => {
          done("error")
          reply.fail(error)
        }
        if (writes && request.length > maxRequestBytes) return fail(errors.requestTooLarge)
        run(
          request,
          context,
          {
            succeed: (bytes) => {
              done("success")
              operations?.inc()
              reply.succeed(bytes)
            },
            fail
          },
          route
        )
      }
    ]
  }

  return new Map([
    timed("Range", "range", false, {
      request: { name: "RangeRequest", decode: decodeRangeRequest },
      encode: encodeRangeResponse,
      encodeSlowly: encodeRange,
      check: checkRange,
      allow: (a, caller, request) => a.range(caller, request),
      shows: true,
      call: kv.range
    }),
    timed("Put", "put", true, {
      request: { name: "PutRequest", decode: decodePutRequest },
      encode: encodePutResponse,
      check: checkPut,
      allow: (a, caller, request) => a.put(caller, request),
      call: (request, reply) => {
        const full = quota.admit(putCost(request))
        if (full === undefined) kv.put(request, reply)
        else reply.fail(full)
      }
    }),
    timed("DeleteRange", "delete_range", true, {
      request: { name: "DeleteRangeRequest", decode: decodeDeleteRangeRequest },
      encode: encodeDeleteRangeResponse,
      check: checkDeleteRange,
      allow: (a, caller, request) => a.deleteRange(caller, request),
      call: kv.deleteRange
    }),
    timed("Txn", "txn", true, {
      request: { name: "TxnRequest", decode: decodeTxnRequest },
      encode: (response: TxnResponse) => {
        counts.txn(response)
        return encodeTxnResponse(response)
      },
      check: (request) => checkTxn(request, { maxTxnOps }),
      reads: isReadOnlyTxn,
      allow: (a, caller, request) => a.txn(caller, request),
      call: (request, reply) => {
        const cost = txnCost(request)
        const full = cost === 0 ? undefined : quota.admit(cost)
        if (full === undefined) kv.txn(request, reply)
        else reply.fail(full)
      }
    }),
    timed("Compact", "compact", true, {
      request: { name: "CompactionRequest", decode: decodeCompactionRequest },
      encode: encodeHeaderResponse,
      allow: (a, caller, request) => a.compact(caller, request),
      call: kv.compact
    })
  ])
}
