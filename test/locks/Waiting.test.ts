/** Callers that wait for locks are counted, and there is an end to them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LockRequest, LockResponse, UnlockRequest } from "../../src/core/wire/codec/lock.ts"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import { lockMethods } from "../../src/layers/clientapi/lockMethods.ts"
import { routeHere } from "../../src/layers/clientapi/method.ts"
import { Access } from "../../src/services/Access.ts"
import type { CallContext } from "../../src/services/ClientApi.ts"
import { Forwarding } from "../../src/services/Forwarding.ts"
import { Kv } from "../../src/services/Kv.ts"
import { Leases } from "../../src/services/Leases.ts"
import { Quota } from "../../src/services/Quota.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { bytes, everything, makeWorld, startNode } from "../node/world.ts"
import { eventually } from "../support/eventually.ts"

interface Caller {
  /** What became of the call, once it is known. */
  answer: Uint8Array | EtcdError | undefined
  leave: () => void
}

const prepared = Effect.gen(function* () {
  const node = yield* startNode(makeWorld())
  const waiting = { callers: 0 }
  const methods = yield* node.use(
    Effect.gen(function* () {
      return lockMethods({
        access: yield* Access,
        kv: yield* Kv,
        hub: yield* WatchHub,
        leases: yield* Leases,
        quota: yield* Quota,
        forwarding: yield* Forwarding,
        waiting
      })
    })
  )
  const call = (rpc: string, request: Uint8Array): Caller => {
    const caller: Caller = { answer: undefined, leave: () => {} }
    const context: CallContext = {
      identity: undefined,
      commonName: undefined,
      metadata: () => undefined,
      onClosed: (listener) => {
        caller.leave = listener
      }
    }
    const tell = (answer: Uint8Array | EtcdError): void => {
      caller.answer = answer
    }
    methods.get(`/v3lockpb.Lock/${rpc}`)!(request, context, { succeed: tell, fail: tell }, routeHere)
    return caller
  }
  return { node, waiting, call, lock: () => call("Lock", LockRequest.encode({ name: bytes("a"), lease: 0n })) }
})

describe("callers that wait for a lock", () => {
  it.live("are counted until they have it or go", () =>
    Effect.gen(function* () {
      const { call, lock, node, waiting } = yield* prepared
      const holder = lock()
      yield* eventually("the holder has it", () => holder.answer !== undefined)
      assert.strictEqual(waiting.callers, 0)
      const patient = lock()
      yield* eventually("one waits", () => waiting.callers === 1)
      const fickle = lock()
      yield* eventually("two wait", () => waiting.callers === 2)
      fickle.leave()
      assert.strictEqual(waiting.callers, 1)
      assert.isDefined(fickle.answer)
      call("Unlock", UnlockRequest.encode({ key: LockResponse.decode(holder.answer as Uint8Array).key }))
      yield* eventually("the patient one has it", () => patient.answer !== undefined)
      assert.strictEqual(waiting.callers, 0)
      patient.leave()
      assert.strictEqual(waiting.callers, 0)
      yield* node.stop
    })
  )

  it.live("are refused when there are too many, and do not stay in the line", () =>
    Effect.gen(function* () {
      const { lock, node, waiting } = yield* prepared
      waiting.callers = 16_384
      const holder = lock()
      yield* eventually("the holder has it", () => holder.answer !== undefined)
      const before = yield* node.use(everything)
      const refused = lock()
      yield* eventually("the other is refused", () => refused.answer !== undefined)
      assert.strictEqual((refused.answer as EtcdError).message, errors.tooManyRequests.message)
      assert.strictEqual(waiting.callers, 16_384)
      for (let i = 0; i < 1_000 && (yield* node.use(everything)) !== before; i++) yield* Effect.sleep(5)
      assert.strictEqual(yield* node.use(everything), before)
      yield* node.stop
    })
  )
})
