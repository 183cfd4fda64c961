/** A caller that goes at any step of Lock or Campaign leaves neither a key nor a lease of its own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { CampaignRequest } from "../../src/core/wire/codec/election.ts"
import { LockRequest } from "../../src/core/wire/codec/lock.ts"
import { electionMethods } from "../../src/layers/clientapi/electionMethods.ts"
import { routeHere } from "../../src/layers/clientapi/method.ts"
import { lockMethods } from "../../src/layers/clientapi/lockMethods.ts"
import { Access } from "../../src/services/Access.ts"
import type { CallContext } from "../../src/services/ClientApi.ts"
import { Kv, type Reply } from "../../src/services/Kv.ts"
import { Forwarding } from "../../src/services/Forwarding.ts"
import { Leases } from "../../src/services/Leases.ts"
import { Quota } from "../../src/services/Quota.ts"
import { WatchHub } from "../../src/services/WatchHub.ts"
import { grant, list, revoke, running } from "../lease/node.ts"
import { bytes, everything, makeWorld, startNode } from "../node/world.ts"

/** More than such a call takes. */
const stepsMax = 8

/** The caller goes when `steps` steps have been answered, before the call hears of the last one; 0: when it has begun. */
const callerThatGoes = (steps: number, kv: Kv["Service"], leases: Leases["Service"]) => {
  let left = steps
  let gone = () => {}
  let closed = false
  const close = (): void => {
    closed = true
    gone()
  }
  const counted = <A>(reply: Reply<A>): Reply<A> => ({
    succeed: (answer) => {
      if (--left === 0) close()
      reply.succeed(answer)
    },
    fail: reply.fail
  })
  const context: CallContext = {
    identity: undefined,
    commonName: undefined,
    metadata: () => undefined,
    onClosed: (listener) => {
      gone = listener
      if (closed) listener()
    }
  }
  return {
    context,
    close,
    closed: () => closed,
    kv: {
      ...kv,
      range: (request, reply) => kv.range(request, counted(reply)),
      txn: (request, reply) => kv.txn(request, counted(reply))
    } satisfies Kv["Service"],
    leases: {
      ...leases,
      grant: (request, reply) => leases.grant(request, counted(reply))
    } satisfies Leases["Service"]
  }
}

describe("a caller that goes", () => {
  const calls = [
    { method: "/v3lockpb.Lock/Lock", request: (lease: bigint) => LockRequest.encode({ name: bytes("n"), lease }) },
    {
      method: "/v3electionpb.Election/Campaign",
      request: (lease: bigint) => CampaignRequest.encode({ name: bytes("n"), lease, value: bytes("v") })
    }
  ]
  for (const { method, request } of calls) {
    for (const own of [false, true]) {
      it.effect(`at any step of ${method} ${own ? "without" : "with"} a lease of its own leaves nothing`, () =>
        Effect.gen(function* () {
          const node = yield* running(startNode(makeWorld()))
          const options = {
            access: yield* node.use(Access.use(Effect.succeed)),
            kv: yield* node.use(Kv.use(Effect.succeed)),
            hub: yield* node.use(WatchHub.use(Effect.succeed)),
            leases: yield* node.use(Leases.use(Effect.succeed)),
            quota: yield* node.use(Quota.use(Effect.succeed)),
            forwarding: yield* node.use(Forwarding.use(Effect.succeed)),
            waiting: { callers: 0 }
          }
          let answered = 0
          for (let steps = 0; steps <= stepsMax; steps++) {
            const holder = (yield* running(node.use(grant(600)))).id
            const lease = own ? 0n : (yield* running(node.use(grant(600)))).id
            const call = (name: string, caller: ReturnType<typeof callerThatGoes>, of: bigint) => {
              const methods = new Map([
                ...lockMethods({ ...options, ...caller }),
                ...electionMethods({ ...options, ...caller })
              ])
              let answer: Uint8Array | undefined
              const reply = { succeed: (found: Uint8Array) => (answer = found), fail: () => {} }
              methods.get(name)!(request(of), caller.context, reply, routeHere)
              return () => answer
            }
            const first = call(method, callerThatGoes(-1, options.kv, options.leases), holder)
            yield* TestClock.adjust(100)
            assert.isDefined(first())
            const caller = callerThatGoes(steps, options.kv, options.leases)
            const second = call(method, caller, lease)
            if (steps === 0) caller.close()
            yield* TestClock.adjust(100)
            yield* running(node.use(revoke(holder)))
            yield* TestClock.adjust(200)
            if (!caller.closed()) {
              answered++
              assert.isDefined(second())
              const [id] = own ? yield* running(node.use(list)) : [lease]
              yield* running(node.use(revoke(id!)))
              continue
            }
            assert.strictEqual(yield* running(node.use(everything)), "", `after ${steps} steps`)
            assert.deepStrictEqual(yield* running(node.use(list)), own ? [] : [lease], `after ${steps} steps`)
            if (!own) yield* running(node.use(revoke(lease)))
          }
          assert.isAbove(answered, 0)
          assert.isBelow(answered, stepsMax - 1)
          yield* running(node.stop)
        })
      )
    }
  }
})
