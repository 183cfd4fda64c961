/**
 * Broken and random protobuf requests for every method of the client API, on whole nodes over memory stores: each call
 * ends in an answer or an error that says what is wrong, the node goes on serving, and nothing grows.
 * NETSY_FUZZ_SECONDS says for how long, NETSY_SEED where to begin.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Code, type EtcdError } from "../../src/core/wire/errors.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import { Alarms } from "../../src/services/Alarms.ts"
import { type CallContext, ClientApi } from "../../src/services/ClientApi.ts"
import { asEffect, makeWorld, put, startNode } from "../node/world.ts"
import { type Random, random } from "../wire/random.ts"
import { messageType, randomMessage, rpcServices } from "../wire/reference.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const seconds = Number(process.env["NETSY_FUZZ_SECONDS"] ?? 2)
const firstSeed = Number(process.env["NETSY_SEED"] ?? 1)
const requestsPerNode = 3_000
const growthMax = 64 * 1024 * 1024
/** Requests that may wait for others for ever: they are given up after a while, as a client would. */
const patient = /^\/(v3lockpb\.Lock\/Lock|v3electionpb\.Election\/Campaign)$/

const requestTypes = new Map(
  rpcServices().flatMap((service) =>
    service.methodsArray.map((rpc) => {
      const packageName = service.parent!.fullName.slice(1)
      const type = rpc.requestType.includes(".") ? rpc.requestType : `${packageName}.${rpc.requestType}`
      return [`/${service.fullName.slice(1)}/${rpc.name}`, type] as const
    })
  )
)

/** A well-formed message, most often with some damage. */
const requestFor = (source: Random, type: string): Uint8Array => {
  const reference = messageType(type)
  const whole = reference.encode(randomMessage(source, reference)).finish()
  const bytes = Uint8Array.from(whole.subarray(0, 4_000))
  switch (source.int(6)) {
    case 0:
      return bytes
    case 1:
      return bytes.subarray(0, source.int(bytes.length + 1))
    case 2:
      return source.bytes(source.int(80))
    case 3:
      return Buffer.concat([bytes, source.bytes(source.int(12))])
    case 4:
      return Buffer.concat([bytes, bytes])
    default: {
      for (let flips = 1 + source.int(4); flips > 0 && bytes.length > 0; flips--) {
        const at = source.int(bytes.length)
        bytes[at] = bytes[at]! ^ (1 << source.int(8))
      }
      return bytes
    }
  }
}

interface Outcome {
  readonly what: string
  readonly result: Promise<EtcdError | undefined>
}

const contextOf = (closed: Array<() => void>): CallContext => ({
  identity: undefined,
  commonName: undefined,
  metadata: () => undefined,
  onClosed: (listener) => closed.push(listener)
})

const unary = (api: ClientApi["Service"], method: string, request: Uint8Array, what: string): Outcome => {
  const closed: Array<() => void> = []
  const result = new Promise<EtcdError | undefined>((resolve) => {
    const fail = (error: EtcdError): void => resolve(error)
    api.unary(method, request, contextOf(closed), { succeed: () => resolve(undefined), fail })
    if (patient.test(method)) setTimeout(() => resolve(undefined), 20)
  })
  return {
    what,
    result: result.finally(() => {
      for (const listener of closed) listener()
    })
  }
}

const streamed = (
  api: ClientApi["Service"],
  method: string,
  requests: ReadonlyArray<Uint8Array>,
  what: string
): Outcome => ({
  what,
  result: new Promise((resolve) => {
    let over = false
    const stream = api.stream(method, contextOf([]), {
      send: () => !over,
      end: (error) => {
        over = true
        resolve(error)
      }
    })
    for (const request of requests) stream.message(request)
    stream.ended()
    setTimeout(() => {
      stream.closed()
      resolve(undefined)
    }, 20)
  })
})

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void
const heapUsed = async (): Promise<number> => {
  collect()
  await sleep(20)
  collect()
  return process.memoryUsage().heapUsed
}

const known = new Set<number>(Object.values(Code))

/** One node, so many requests; the seed of each is in its description. */
const round = (seed: number) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const node = yield* startNode(makeWorld({ NETSY_DATA_DIR: folder }))
    yield* node.use(
      Effect.gen(function* () {
        const api = yield* ClientApi
        const methods = [...requestTypes.keys()]
        let waiting: Array<Outcome> = []
        for (let i = 0; i < requestsPerNode; i++) {
          const source = random(seed + i)
          const method = methods[source.int(methods.length)]!
          const what = `${method}, NETSY_SEED=${seed + i}`
          const next = (): Uint8Array => requestFor(source, requestTypes.get(method)!)
          waiting.push(
            api.methods.get(method) === "unary"
              ? unary(api, method, next(), what)
              : streamed(api, method, [next(), next()], what)
          )
          if (waiting.length < 100) continue
          yield* settle(waiting)
          waiting = []
          // An alarm that a request has raised would have everything else refused at the door.
          const alarms = yield* Alarms
          for (const alarm of alarms.active()) yield* asEffect<unknown>((reply) => alarms.deactivate(alarm, reply))
        }
        yield* settle(waiting)
      }).pipe(Effect.provide(Layer.fresh(ClientApiEtcd.layer)))
    )
    assert.isAbove((yield* node.use(put("still", "there"))).header!.revision, 1)
    yield* node.stop
  }).pipe(Effect.scoped)

const settle = (outcomes: ReadonlyArray<Outcome>) =>
  Effect.promise(async () => {
    for (const { result, what } of outcomes) {
      const error = await Promise.race([result, sleep(20_000, "hangs" as const)])
      assert.ok(error !== "hangs", `${what}: no answer after 20 s`)
      if (error === undefined) continue
      assert.ok(known.has(error.code) && error.message.length > 0, `${what}: ${JSON.stringify(error)}`)
      assert.ok(error.code !== Code.Internal, `${what}: ${error.message}`)
    }
  })

describe("any bytes for any method", () => {
  it.live(
    "are answered or refused; the node neither ends nor hangs nor grows",
    () =>
      Effect.gen(function* () {
        const until = Date.now() + seconds * 1_000
        let before: number | undefined
        for (let seed = firstSeed; Date.now() < until || seed === firstSeed; seed += requestsPerNode) {
          yield* round(seed)
          const used = yield* Effect.promise(heapUsed)
          // The first round loads and compiles what all others use.
          before ??= used
          assert.isBelow(used - before, growthMax, `heap after NETSY_SEED=${seed}`)
        }
      }),
    (seconds + 120) * 1_000
  )
})
