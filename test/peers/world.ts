/** Nodes with a peer network between them: in memory with virtual time, or over sockets. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as PeerNetworkGrpc from "../../src/layers/PeerNetworkGrpc.ts"
import * as PeerNetworkMemory from "../../src/layers/PeerNetworkMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import type { Identity } from "../../src/services/Identity.ts"
import { PeerListener } from "../../src/services/PeerListener.ts"
import { type PeerAddress, type PeerError, PeerNetwork, type PeerStreamIn } from "../../src/services/PeerNetwork.ts"
import type { SettingsShape } from "../../src/services/Settings.ts"
import { settings } from "../clientapi/fakes.ts"

export type Network = PeerNetwork["Service"]

export interface Node {
  readonly network: Network
  readonly at: PeerAddress
  /** Its process is gone at once. */
  readonly kill: Effect.Effect<void>
}

/** An address behind which a node is, until the way to it falls silent. */
export interface Way {
  readonly at: PeerAddress
  readonly fallSilent: () => void
}

export interface World {
  readonly name: string
  /** With `at` a node comes back where it was. */
  readonly node: (nodeId: string, at?: PeerAddress) => Effect.Effect<Node, never, Scope.Scope>
  /** For a call from `from` to `to`. */
  readonly way: (from: Node, to: Node) => Effect.Effect<Way, never, Scope.Scope>
  /** Lets `effect` come to its end, which takes at most so many milliseconds of the network's time. */
  readonly within: <A, E>(millis: number, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

export const nodeSettings = (nodeId: string, host: string, port: number, peer: string): SettingsShape => ({
  ...settings,
  nodeId,
  bind: { ...settings.bind, peer: { host, port } },
  advertise: { ...settings.advertise, peer }
})

export const virtualWorld = (hub = new PeerNetworkMemory.MemoryPeers()): World => {
  const silent = new Set<string>()
  hub.decide = (from, to) => (silent.has(`${from} ${to}`) || silent.has(`${to} ${from}`) ? "drop" : "deliver")
  return {
    name: "PeerNetworkMemory",
    node: (nodeId, at = { nodeId, address: `${nodeId}:2381` }) =>
      Effect.gen(function* () {
        const context = yield* Layer.build(
          PeerNetworkMemory.layer(hub).pipe(
            Layer.provide(SupervisorFatal.layer),
            Layer.provide(SettingsValue.layer(nodeSettings(nodeId, "127.0.0.1", 0, at.address)))
          )
        )
        const network = yield* Effect.provide(PeerNetwork, context)
        return { network, at, kill: Effect.sync(() => hub.kill(nodeId)) }
      }),
    way: (from, to) =>
      Effect.succeed({
        at: to.at,
        fallSilent: () => silent.add(`${from.at.nodeId} ${to.at.nodeId}`)
      }),
    within: (millis, effect) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
        for (let passed = 0; passed <= millis && fiber.pollUnsafe() === undefined; passed += 50) {
          for (let i = 0; i < 20; i++) yield* Effect.yieldNow
          yield* TestClock.adjust(50)
        }
        if (fiber.pollUnsafe() === undefined) return yield* Effect.die(new Error(`not done within ${millis} ms`))
        return yield* Fiber.join(fiber)
      })
  }
}

/** Passes bytes on until it is told to keep still. */
const relay = (target: number, host: string): Effect.Effect<{ port: number; still: () => void }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pairs: Array<readonly [Socket, Socket]> = []
    const server = createServer((near) => {
      const far = connect(target, host)
      pairs.push([near, far])
      near.pipe(far)
      far.pipe(near)
      near.on("error", () => far.destroy())
      far.on("error", () => near.destroy())
      near.on("close", () => far.destroy())
      far.on("close", () => near.destroy())
    })
    yield* Effect.callback<void>((resume) => void server.listen(0, host, () => resume(Effect.void)))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        server.close()
        for (const pair of pairs) for (const socket of pair) socket.destroy()
      })
    )
    const still = (): void => {
      for (const [near, far] of pairs) {
        near.unpipe(far)
        far.unpipe(near)
        near.pause()
        far.pause()
      }
    }
    return { port: (server.address() as AddressInfo).port, still }
  })

export const socketWorld = (
  name: string,
  identity: (nodeId: string) => Layer.Layer<Identity>,
  host = "127.0.0.1",
  lines: Array<LogMemory.MemoryLine> = []
): World => {
  const addressOf = (port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)
  return {
    name,
    node: (nodeId, at) =>
      Effect.gen(function* () {
        const port = at === undefined ? 0 : Number(at.address.slice(at.address.lastIndexOf(":") + 1))
        const parent = yield* Effect.scope
        const scope = yield* Scope.fork(parent)
        const context = yield* Layer.buildWithScope(
          PeerNetworkGrpc.layer.pipe(
            Layer.provide(
              Layer.mergeAll(
                identity(nodeId),
                LogMemory.layer(lines),
                SettingsValue.layer(nodeSettings(nodeId, host, port, ""))
              )
            )
          ),
          scope
        ).pipe(Effect.orDie)
        const listener = yield* Effect.provide(PeerListener, context)
        return {
          network: yield* Effect.provide(PeerNetwork, context),
          at: { nodeId, address: addressOf(listener.address.port) },
          kill: Scope.close(scope, Exit.void)
        }
      }),
    way: (_from, to) =>
      Effect.gen(function* () {
        const { still, port } = yield* relay(Number(to.at.address.slice(to.at.address.lastIndexOf(":") + 1)), host)
        return { at: { nodeId: to.at.nodeId, address: addressOf(port) }, fallSilent: still }
      }),
    within: (_millis, effect) => effect
  }
}

export type Outcome = { readonly response: string } | { readonly error: PeerError }

export const call = (
  from: Node,
  to: PeerAddress,
  method: string,
  request: string | Uint8Array,
  timeoutMillis = 5_000
): Effect.Effect<Outcome> =>
  Effect.callback<Outcome>((resume) => {
    const giveUp = from.network.call(
      to,
      method,
      typeof request === "string" ? Buffer.from(request) : request,
      timeoutMillis,
      {
        succeed: (response) => resume(Effect.succeed({ response: Buffer.from(response).toString() })),
        fail: (error) => resume(Effect.succeed({ error }))
      }
    )
    return Effect.sync(giveUp)
  })

/** What a stream's end took, in order, and how to wait for it. */
export class Taken implements PeerStreamIn {
  readonly messages: Array<string> = []
  drains = 0
  readonly ends: Array<PeerError | undefined> = []
  #waiting: Array<{ readonly ready: () => boolean; readonly resume: () => void }> = []
  onMessage: (text: string) => void = () => {}

  readonly message = (bytes: Uint8Array): void => {
    const text = Buffer.from(bytes.subarray(0, 40)).toString()
    this.messages.push(text)
    this.onMessage(text)
    this.#look()
  }
  readonly drained = (): void => {
    this.drains++
    this.#look()
  }
  readonly closed = (error: PeerError | undefined): void => {
    this.ends.push(error)
    this.#look()
  }

  readonly until = (ready: () => boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      if (ready()) return resume(Effect.void)
      this.#waiting.push({ ready, resume: () => resume(Effect.void) })
    })
  readonly count = (messages: number): Effect.Effect<void> => this.until(() => this.messages.length >= messages)
  readonly end: Effect.Effect<PeerError | undefined> = Effect.suspend(() =>
    Effect.map(
      this.until(() => this.ends.length > 0),
      () => this.ends[0]
    )
  )

  #look(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) {
      if (one.ready()) one.resume()
      else this.#waiting.push(one)
    }
  }
}
