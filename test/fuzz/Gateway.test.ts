/**
 * Random and damaged requests to the JSON gateway for a while: nothing breaks, nothing hangs, nothing grows.
 * NETSY_FUZZ_SECONDS: how long (default 2). NETSY_SEED: where the seeds begin.
 */
import { request as httpRequest } from "node:http"
import { connect } from "node:net"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fromProtobuf } from "../../src/core/json/fromProtobuf.ts"
import { rpcs } from "../../src/core/json/descriptor.ts"
import { Documents } from "../../src/core/json/documents.ts"
import { BadJson } from "../../src/core/json/reader.ts"
import { toProtobuf } from "../../src/core/json/toProtobuf.ts"
import { errors } from "../../src/core/wire/errors.ts"
import { methods } from "../../src/layers/clientapi/methods.ts"
import { routes } from "../../src/layers/httpapi/routes.ts"
import type { ClientApi } from "../../src/services/ClientApi.ts"
import { HttpApi } from "../../src/services/HttpApi.ts"
import { Supervisor } from "../../src/services/Supervisor.ts"
import { mutated, randomJson } from "../httpapi/randomJson.ts"
import { address, worldOf } from "../httpapi/server.ts"
import { startDaemon } from "../support/daemon.ts"
import { messageType, randomMessage } from "../wire/reference.ts"
import { type Random, random } from "../wire/random.ts"
import { eventually } from "../support/eventually.ts"

const millis = Number(process.env["NETSY_FUZZ_SECONDS"] ?? 2) * 1_000
const firstSeed = Number(process.env["NETSY_SEED"] ?? 1)
const testMillis = millis * 2 + 60_000

/** What one input may take on a slow machine. */
const inputMillisMax = 2_000
/** However slow the machine is. */
const inputsMin = 30
const growthBytesMax = 64 << 20
/** The node stores what it is sent, and its memory is what the system says of it. */
const nodeGrowthBytesMax = 512 << 20

const types = [...rpcs().values()].map(({ request }) => request)
const paths = [...routes.keys()]
const streams = new Set([...methods].filter(([, kind]) => kind !== "unary").map(([method]) => method))

/** A message as JSON, as it is, damaged, or not a message at all. */
const body = (source: Random): string => {
  const kind = source.int(10)
  if (kind === 0) return Buffer.from(source.bytes(source.int(200))).toString("latin1")
  if (kind < 3) return mutated(source, randomJson(source), 4)
  const type = types[source.int(types.length)]!
  const model = messageType(type.name)
  const text = fromProtobuf(type, model.encode(randomMessage(source, model)).finish())
  return kind < 5 ? text : mutated(source, text, 6)
}

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** What is still held. */
const heapBytes = (): number => {
  collect()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

const until = async (end: number, each: (seed: number) => unknown): Promise<number> => {
  let seed = firstSeed
  for (; performance.now() < end || seed - firstSeed < inputsMin; seed++) {
    await each(seed)
    // Timers and sockets get their turn.
    if (seed % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  return seed - firstSeed
}

/** Ends with an answer, or hangs up after a moment: many of these are streams that wait for more. */
const one = (port: number, source: Random, answered: () => void): Promise<void> =>
  new Promise((resolve) => {
    const path = source.chance(90) ? paths[source.int(paths.length)]! : `/v3/${body(source).replaceAll(/[^ -~]/g, "")}`
    const request = httpRequest({
      port,
      host: "127.0.0.1",
      method: source.chance(95) ? "POST" : "GET",
      path: encodeURI(path),
      headers: { connection: "close" }
    })
    const ends = source.chance(80)
    const waits = ends && !streams.has(routes.get(path) ?? "") && source.chance(90)
    const patience = waits ? 500 : 5 + source.int(20)
    const timer = setTimeout(() => request.destroy(), patience)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    request.on("error", done)
    request.on("close", done)
    request.on("response", (response) => {
      answered()
      response.on("error", () => {})
      response.resume()
    })
    for (let pieces = source.int(4); pieces > 0; pieces--) request.write(body(source))
    if (ends) request.end()
  })

/** Bytes that are no HTTP, or half of it. */
const raw = (port: number, source: Random): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    const path = paths[source.int(paths.length)]!
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`
    const text = body(source)
    const timer = setTimeout(() => socket.destroy(), 5 + source.int(20))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(timer)
      resolve()
    })
    socket.resume()
    const whole = source.chance(80) ? `${head}${text.length.toString(16)}\r\n${text}\r\n` : text
    socket.write(Buffer.from(mutated(source, whole, 5), "latin1"))
  })

const clients = 8

/** Many clients until the time is over; how many answers they got. */
const attack = async (port: number, end: number): Promise<number> => {
  let answered = 0
  const client = (number: number): Promise<number> =>
    until(end, (seed) => {
      const source = random(seed * clients + number)
      return source.chance(80) ? one(port, source, () => answered++) : raw(port, source)
    })
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
  return answered
}

const answers = async (port: number): Promise<void> => {
  const last = await fetch(`http://127.0.0.1:${port}/v3/kv/range`, { method: "POST", body: '{"key":"YQ=="}' })
  assert.strictEqual(last.status, 200)
  await last.arrayBuffer()
}

/** Answers at random, at once or later, with messages of the right type or with errors. */
const randomApi = (source: Random): Pick<ClientApi["Service"], "unary" | "stream"> => {
  const answer = (method: string): Uint8Array => {
    const model = messageType(rpcs().get(method)!.response.name)
    return model.encode(randomMessage(source, model)).finish()
  }
  return {
    unary: (method, _request, _context, reply) => {
      // The last client asks for this.
      if (method.endsWith("/Range")) return reply.succeed(answer(method))
      const go = (): void => (source.chance(50) ? reply.succeed(answer(method)) : reply.fail(errors.noLeader))
      if (source.chance(50)) setImmediate(go)
      else if (source.chance(98)) go()
    },
    stream: (method, _context, out) => ({
      message: () => {
        for (let count = source.int(4); count > 0; count--) out.send(answer(method))
        if (source.chance(20)) out.end(source.chance(50) ? undefined : errors.noLeader)
      },
      drained: () => {},
      ended: () => out.end(undefined),
      closed: () => {}
    })
  }
}

describe("fuzzing the JSON gateway", () => {
  it(
    "JSON becomes a message that protobuf reads, or is refused with a reason",
    async () => {
      let accepted = 0
      const before = heapBytes()
      const count = await until(performance.now() + millis / 3, (seed) => {
        const source = random(seed)
        const text = body(source)
        const bytes = Buffer.from(text, source.chance(5) ? "latin1" : "utf8")
        const type = types[source.int(types.length)]!
        const began = performance.now()
        try {
          const message = toProtobuf(type, bytes)
          messageType(type.name).decode(message)
          // What was said comes back, and says the same again.
          const again = fromProtobuf(type, message)
          assert.strictEqual(fromProtobuf(type, toProtobuf(type, Buffer.from(again))), again)
          accepted++
        } catch (error) {
          if (!(error instanceof BadJson)) throw new Error(`NETSY_SEED=${seed}: ${text}`, { cause: error })
        }
        new Documents(1 << 20).push(bytes, () => {})
        assert.isBelow(performance.now() - began, inputMillisMax, `NETSY_SEED=${seed}`)
      })
      assert.isAbove(accepted, count / 20)
      assert.isBelow(heapBytes() - before, growthBytesMax)
    },
    testMillis
  )

  it.live(
    "the gateway is sent all of it by many clients, answers the next one and holds nothing afterwards",
    () =>
      Effect.gen(function* () {
        const { port } = yield* address
        const http = yield* HttpApi
        const supervisor = yield* Supervisor
        const before = heapBytes()
        const answered = yield* Effect.raceFirst(
          Effect.promise(() => attack(port, performance.now() + millis / 3)),
          supervisor.ended
        )
        yield* Effect.promise(() => answers(port))
        yield* eventually("quiet", http.isQuiet)
        assert.isAbove(answered, 10)
        assert.isBelow(heapBytes() - before, growthBytesMax)
      }).pipe(Effect.provide(worldOf(randomApi(random(firstSeed))))),
    testMillis
  )

  it(
    "a whole node is sent all of it and serves on, no larger than before",
    async () => {
      const daemon = await startDaemon()
      try {
        const { client: port } = daemon.ports
        await attack(port, performance.now() + 500)
        const before = daemon.memoryBytes()
        await attack(port, performance.now() + millis / 3)
        await answers(port)
        assert.isTrue(daemon.isRunning())
        assert.isBelow(daemon.memoryBytes() - before, nodeGrowthBytesMax)
      } finally {
        await daemon.release()
      }
    },
    testMillis
  )
})
