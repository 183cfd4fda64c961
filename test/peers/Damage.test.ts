/** Bytes between two nodes are damaged on their way: TLS notices, and what must follow is a new connection. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random, type Scope } from "effect"
import { PeerUnreachable } from "../../src/services/PeerNetwork.ts"
import { held, identity } from "./certs.ts"
import { call, socketWorld, Taken } from "./world.ts"
import { authority } from "../support/authority.ts"

const method = "/netsy.Test/Ask"
const streamMethod = "/netsy.Test/Talk"

interface Relay {
  readonly port: number
  damage: (piece: Buffer) => void
  /** How many connections there were. */
  connections: number
  /** Of those that are open. */
  readonly sockets: ReadonlySet<Socket>
}

const relay = (target: number): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Socket>()
    const pump = (from: Socket, to: Socket): void => {
      sockets.add(from)
      from.on("close", () => sockets.delete(from))
      from.on("data", (piece: Buffer) => {
        made.damage(piece)
        to.write(piece)
      })
      from.on("end", () => to.end())
      from.on("close", () => to.destroy())
      from.on("error", () => to.destroy())
    }
    const server = createServer({ noDelay: true }, (near) => {
      made.connections++
      const far = connect({ port: target, host: "127.0.0.1", noDelay: true })
      pump(near, far)
      pump(far, near)
    })
    yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
    )
    const made: Relay = { port: (server.address() as AddressInfo).port, damage: () => {}, connections: 0, sockets }
    return made
  })

describe("bytes that are damaged on their way", () => {
  it.live(
    "end the connection, and the next call has a new one",
    () =>
      Effect.gen(function* () {
        const from = yield* authority(3)
        const world = socketWorld("TLS", (nodeId) => identity(held(from, nodeId)))
        const a = yield* world.node("node-1")
        const b = yield* world.node("node-2")
        b.network.handle(method, (request, _from, answer) => answer.succeed(request))
        let served = 0
        b.network.handleStream(streamMethod, (_from, out) => {
          served++
          return { message: (bytes) => void out.send(bytes), drained: () => {}, closed: () => void served-- }
        })
        const way = yield* relay(Number(b.at.address.split(":")[1]))
        const at = { nodeId: "node-2", address: `127.0.0.1:${way.port}` }
        for (let round = 0; round < 12; round++) {
          const taken = new Taken()
          const out = a.network.open(at, streamMethod, taken)
          const before = way.connections
          // What is under way when it happens makes the difference: much is, in both directions.
          const sender = yield* Effect.forkScoped(
            Effect.forever(
              Effect.andThen(
                Effect.sync(() => out.send(Buffer.alloc(300_000))),
                Effect.sleep(2)
              )
            )
          )
          yield* taken.count(2)
          const rate = yield* Random.nextBetween(0.02, 0.3)
          const random = yield* Random.Random
          way.damage = (piece) => {
            if (random.nextDoubleUnsafe() < rate) piece[Math.floor(random.nextDoubleUnsafe() * piece.length)]! ^= 1
          }
          assert.instanceOf(yield* taken.end, PeerUnreachable)
          // Handshakes are damaged too.
          while (way.connections < before + 3) {
            yield* call(a, at, method, new Uint8Array(50_000), 500)
            yield* Effect.sleep(10)
          }
          way.damage = () => {}
          yield* Fiber.interrupt(sender)
          const began = performance.now()
          for (;;) {
            const outcome = yield* call(a, at, method, "x", 1_000)
            if ("response" in outcome) break
            assert.isBelow(performance.now() - began, 5_000, `round ${round}: ${String(outcome.error)}`)
            yield* Effect.sleep(20)
          }
        }
        // No end of a connection is left over, and every stream's end was told.
        const began = performance.now()
        while (way.sockets.size > 2 || served > 0) {
          assert.isBelow(performance.now() - began, 5_000, `${way.sockets.size} sockets, ${served} streams`)
          yield* Effect.sleep(20)
        }
      }).pipe(Random.withSeed(1)),
    60_000
  )
})
