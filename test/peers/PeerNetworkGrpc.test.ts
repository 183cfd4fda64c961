/** The network over sockets, in plain text and with TLS. */
import { constants, type ClientHttp2Session, connect, type OutgoingHttpHeaders } from "node:http2"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { Code } from "../../src/core/wire/errors.ts"
import * as IdentityPlain from "../../src/layers/IdentityPlain.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as PeerNetworkGrpc from "../../src/layers/PeerNetworkGrpc.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { PeerListener } from "../../src/services/PeerListener.ts"
import { PeerNetwork, PeerUnreachable } from "../../src/services/PeerNetwork.ts"
import type { ListenUrl } from "../../src/services/Settings.ts"
import { held, type Held, identity } from "./certs.ts"
import { cases } from "./conformance.ts"
import { silentPort } from "./silentPort.ts"
import { call, nodeSettings, socketWorld, Taken } from "./world.ts"
import { type Authority, authority } from "../support/authority.ts"

const method = "/netsy.Test/Ask"
const streamMethod = "/netsy.Test/Talk"

const plain = socketWorld("plain text", () => IdentityPlain.layer)

/** The certificates are made once for all tests. */
const folder = Scope.makeUnsafe()
let made: Authority | undefined
const shared = Effect.gen(function* () {
  return (made ??= yield* authority(3).pipe(Effect.provideService(Scope.Scope, folder)))
})
afterAll(() => Effect.runPromise(Scope.close(folder, Exit.void)))

const unreachable = (outcome: object): PeerUnreachable => {
  const { error } = outcome as { readonly error: unknown }
  assert.instanceOf(error, PeerUnreachable)
  return error
}

describe("PeerNetworkGrpc in plain text", () => {
  for (const [name, run] of Object.entries(cases)) it.live(name, () => run(plain))
})

describe("PeerNetworkGrpc with TLS on [::1]", () => {
  for (const [name, run] of Object.entries(cases)) {
    it.live(name, () =>
      Effect.gen(function* () {
        const from = yield* shared
        yield* run(socketWorld("TLS", (nodeId) => identity(held(from, nodeId)), "::1"))
      })
    )
  }
})

describe("the debug log", () => {
  it.live("has a line for each message of a stream, on both sides, with the other node's name", () =>
    Effect.gen(function* () {
      const lines: Array<LogMemory.MemoryLine> = []
      const world = socketWorld("plain text", () => IdentityPlain.layer, "127.0.0.1", lines)
      const a = yield* world.node("node-1")
      const b = yield* world.node("node-2")
      b.network.handleStream(streamMethod, (_from, out) => {
        const taken = new Taken()
        taken.onMessage = (text) => out.send(Buffer.from(`${text}, node-1`))
        return taken
      })
      const taken = new Taken()
      a.network.open(b.at, streamMethod, taken).send(Buffer.from("hello"))
      yield* taken.count(1)
      assert.deepStrictEqual(taken.messages, ["hello, node-1"])
      const messages: ReadonlyArray<object> = lines.flatMap(({ event, fields, level }) =>
        event === "stream_message" ? [{ level, ...fields }] : []
      )
      const line = { level: "DEBUG", component: "peer", method: streamMethod }
      assert.deepStrictEqual(messages, [
        { ...line, node: "node-2", direction: "sent", bytes: 5 },
        { ...line, node: "node-1", direction: "received", bytes: 5 },
        { ...line, node: "node-1", direction: "sent", bytes: 13 },
        { ...line, node: "node-2", direction: "received", bytes: 13 }
      ])
    })
  )
})

/** Nodes whose certificates can be changed. */
const secureWorld = (change: (nodeId: string, holds: Held, from: Authority) => void) =>
  Effect.gen(function* () {
    const from = yield* shared
    const holds = new Map<string, Held>()
    const lines: Array<LogMemory.MemoryLine> = []
    const world = socketWorld(
      "TLS",
      (nodeId) => {
        const one = held(from, nodeId)
        change(nodeId, one, from)
        holds.set(nodeId, one)
        return identity(one)
      },
      "127.0.0.1",
      lines
    )
    return { world, holds, lines, from }
  })

describe("certificates of peers", () => {
  it.live("a callee that shows another node's certificate is not called", () =>
    Effect.gen(function* () {
      const { world } = yield* secureWorld((nodeId, holds, from) => {
        if (nodeId === "node-2") holds.server = from.server("node-3")
      })
      const a = yield* world.node("node-1")
      const b = yield* world.node("node-2")
      b.network.handle(method, (_request, _from, answer) => answer.succeed(new Uint8Array(0)))
      const error = unreachable(yield* call(a, b.at, method, "x"))
      assert.isTrue(error.unsent)
      assert.include(error.reason, "the certificate is node node-3's, not node node-2's")
    })
  )

  it.live("a callee of another CA is not called", () =>
    Effect.gen(function* () {
      const other = yield* authority(3)
      const { world } = yield* secureWorld((nodeId, holds) => {
        if (nodeId === "node-2") Object.assign(holds, held(other, nodeId))
      })
      const a = yield* world.node("node-1")
      const b = yield* world.node("node-2")
      assert.isTrue(unreachable(yield* call(a, b.at, method, "x")).unsent)
    })
  )

  it.live("a caller with a client's certificate is not let in", () =>
    Effect.gen(function* () {
      const { lines, world } = yield* secureWorld((nodeId, holds, from) => {
        if (nodeId === "node-1") holds.client = from.client
      })
      const a = yield* world.node("node-1")
      const b = yield* world.node("node-2")
      let calls = 0
      b.network.handle(method, (_request, _from, answer) => {
        calls++
        answer.succeed(new Uint8Array(0))
      })
      unreachable(yield* call(a, b.at, method, "x"))
      assert.strictEqual(calls, 0)
      assert.isTrue(lines.some(({ fields }) => String(fields["reason"]).includes("this port is for role peer")))
    })
  )

  it.live("who calls is said by the certificate, whatever the caller says", () =>
    Effect.gen(function* () {
      const { from, world } = yield* secureWorld(() => {})
      const b = yield* world.node("node-2")
      const seen: Array<string> = []
      b.network.handle(method, (_request, caller, answer) => {
        seen.push(caller)
        answer.succeed(new Uint8Array(0))
      })
      const session = yield* open(`https://${b.at.address}`, { ca: from.ca, ...from.peer("node-3") })
      yield* ask(session, { ":path": method, "netsy-from": "node-1" })
      assert.deepStrictEqual(seen, ["node-3"])
    })
  )

  it.live("a renewed certificate holds for new connections, and old ones live on", () =>
    Effect.gen(function* () {
      const { from, holds, world } = yield* secureWorld(() => {})
      const a = yield* world.node("node-1")
      const b = yield* world.node("node-2")
      b.network.handleStream(streamMethod, (_from, out) => ({
        message: (bytes) => void out.send(bytes),
        drained: () => {},
        closed: () => {}
      }))
      b.network.handle(method, (_request, _from, answer) => answer.succeed(new Uint8Array(0)))
      const mine = new Taken()
      const out = a.network.open(b.at, streamMethod, mine)
      out.send(Buffer.from("before"))
      yield* mine.count(1)
      from.renew("node-2")
      holds.get("node-2")!.server = from.server("node-2")
      const c = yield* world.node("node-3")
      assert.deepStrictEqual(yield* call(c, b.at, method, "x"), { response: "" })
      const [old] = holds.get("node-1")!.seen
      const [renewed] = holds.get("node-3")!.seen
      assert.notStrictEqual(old, renewed)
      out.send(Buffer.from("after"))
      yield* mine.count(2)
      assert.deepStrictEqual(mine.messages, ["before", "after"])
      assert.lengthOf(mine.ends, 0)
    })
  )
})

const open = (url: string, options: object = {}): Effect.Effect<ClientHttp2Session, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const session = connect(url, options)
      session.on("error", () => {})
      return session
    }),
    (session) => Effect.sync(() => session.destroy())
  )

const ask = (session: ClientHttp2Session, headers: OutgoingHttpHeaders, body: Uint8Array = Buffer.alloc(5)) =>
  Effect.callback<Readonly<Record<string, unknown>>>((resume) => {
    const stream = session.request({
      ":method": "POST",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers
    })
    let all: Record<string, unknown> = {}
    const add = (more: object): void => {
      all = { ...all, ...more }
    }
    stream.on("response", add)
    stream.on("trailers", add)
    stream.on("error", (error) => add({ error: error.message }))
    stream.on("close", () => resume(Effect.succeed(all)))
    stream.resume()
    stream.end(body)
  })

describe("the peer port", () => {
  it.live("refuses a caller that does not say who it is", () =>
    Effect.gen(function* () {
      const b = yield* plain.node("node-2")
      b.network.handle(method, (_request, _from, answer) => answer.succeed(new Uint8Array(0)))
      const session = yield* open(`http://${b.at.address}`)
      assert.strictEqual((yield* ask(session, { ":path": method }))["grpc-status"], String(Code.Unauthenticated))
      const known = yield* ask(session, { ":path": method, "netsy-from": "node-1" })
      assert.strictEqual(known["grpc-status"], "0")
      const other = yield* ask(session, {
        ":path": method,
        "netsy-from": "node-1",
        "netsy-to": "other-cluster/node-2"
      })
      assert.strictEqual(other["grpc-status"], String(Code.FailedPrecondition))
      assert.strictEqual(other["netsy-broken"], "unsent")
    })
  )

  it.live("refuses what is no gRPC, compressed messages, overlong ones and none at all", () =>
    Effect.gen(function* () {
      const b = yield* plain.node("node-2")
      let calls = 0
      b.network.handle(method, (_request, _from, answer) => {
        calls++
        answer.succeed(new Uint8Array(0))
      })
      const session = yield* open(`http://${b.at.address}`)
      const headers = { ":path": method, "netsy-from": "node-1" }
      assert.strictEqual((yield* ask(session, { ...headers, "content-type": "text/html" }))[":status"], 404)
      const status = (body: Uint8Array) => Effect.map(ask(session, headers, body), (all) => all["grpc-status"])
      assert.strictEqual(yield* status(Uint8Array.of(1, 0, 0, 0, 0)), String(Code.ResourceExhausted))
      assert.strictEqual(yield* status(Uint8Array.of(0, 255, 0, 0, 0)), String(Code.ResourceExhausted))
      assert.strictEqual(yield* status(Uint8Array.of(0, 0, 0)), String(Code.InvalidArgument))
      assert.strictEqual(calls, 0)
    })
  )

  it.live("asks who gets something over HTTP/2 that is no call to come over HTTP/1", () =>
    Effect.gen(function* () {
      const b = yield* plain.node("node-2")
      const session = yield* open(`http://${b.at.address}`)
      const code = yield* Effect.callback<number>((resume) => {
        const stream = session.request({ ":method": "GET", ":path": "/health/leadership" })
        stream.on("error", () => {})
        stream.on("close", () => resume(Effect.succeed(stream.rstCode)))
      })
      assert.strictEqual(code, constants.NGHTTP2_HTTP_1_1_REQUIRED)
    })
  )

  it.live("a request that comes byte by byte is understood", () =>
    Effect.gen(function* () {
      const b = yield* plain.node("node-2")
      b.network.handle(method, (request, _from, answer) => answer.fail(Code.Unknown, Buffer.from(request).toString()))
      const session = yield* open(`http://${b.at.address}`)
      const answer = yield* Effect.callback<unknown>((resume) => {
        const stream = session.request({
          ":method": "POST",
          ":path": method,
          "content-type": "application/grpc",
          "netsy-from": "node-1"
        })
        stream.on("response", (headers) => resume(Effect.succeed(headers["grpc-message"])))
        const bytes = Buffer.concat([Uint8Array.of(0, 0, 0, 0, 5), Buffer.from("hello")])
        let at = 0
        const next = (): void => {
          if (at < bytes.length) stream.write(bytes.subarray(at, ++at), () => setImmediate(next))
          else stream.end()
        }
        next()
      })
      assert.strictEqual(answer, "hello")
    })
  )

  it.live("answers HTTP/1 as its handler says, and 404 without one", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        PeerNetworkGrpc.layer.pipe(
          Layer.provide(
            Layer.mergeAll(
              IdentityPlain.layer,
              LogMemory.layer(),
              SettingsValue.layer(nodeSettings("node-1", "127.0.0.1", 0, ""))
            )
          )
        )
      )
      const listener = yield* Effect.provide(PeerListener, context)
      const status = Effect.promise(async () => {
        const { status: code } = await fetch(`http://127.0.0.1:${listener.address.port}/`)
        return code
      })
      assert.strictEqual(yield* status, 404)
      listener.handleHttp((_request, response) => {
        response.writeHead(200, {})
        response.end("")
      })
      assert.strictEqual(yield* status, 200)
    })
  )

  it.live("more than 10,000 calls to one peer are refused and the others are served", () =>
    Effect.gen(function* () {
      const a = yield* plain.node("node-1")
      const b = yield* plain.node("node-2")
      const answers: Array<() => void> = []
      b.network.handle(method, (_request, _from, answer) => answers.push(() => answer.succeed(new Uint8Array(0))))
      const done = new Taken()
      const reply = {
        succeed: () => done.message(Buffer.from("answer")),
        fail: () => done.closed(undefined)
      }
      for (let i = 0; i < 10_000; i++) a.network.call(b.at, method, new Uint8Array(1), 60_000, reply)
      const error = unreachable(yield* call(a, b.at, method, "x"))
      assert.isTrue(error.unsent)
      assert.include(error.reason, "more than 10000 calls")
      while (answers.length < 10_000) yield* Effect.sleep(10)
      for (const answer of answers) answer()
      yield* done.count(10_000)
      assert.lengthOf(done.ends, 0)
    })
  )

  it.live("calls on a connection that has fallen silent fail within three seconds, however many are begun on it", () =>
    Effect.gen(function* () {
      const a = yield* plain.node("node-1")
      const b = yield* plain.node("node-2")
      let isAnswering = true
      b.network.handle(method, (request, _from, answer) => {
        if (isAnswering) answer.succeed(request)
      })
      const way = yield* plain.way(a, b)
      yield* call(a, way.at, method, "x")
      isAnswering = false
      way.fallSilent()
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.andThen(
            Effect.forkScoped(call(a, way.at, method, "x", 60_000), { startImmediately: true }),
            Effect.sleep(100)
          )
        )
      )
      const error = unreachable(yield* call(a, way.at, method, "x", 10_000))
      assert.include(error.reason, "nothing heard")
      assert.isFalse(error.unsent)
    })
  )

  it.live("a port that stays silent is found silent, and a call to it fails as unsent after a second", () =>
    Effect.gen(function* () {
      const a = yield* plain.node("node-1")
      const to = { nodeId: "node-2", address: `127.0.0.1:${yield* silentPort}` }
      const found = yield* Effect.callback<string>((resume) =>
        a.network.probe(to, 200, (what) => resume(Effect.succeed(what)))
      )
      assert.strictEqual(found, "silent")
      const error = unreachable(yield* call(a, to, method, "x", 20_000))
      assert.isTrue(error.unsent)
      assert.include(error.reason, "within 1000 ms")
    })
  )
})

describe("the log", () => {
  const unreachables = (lines: ReadonlyArray<LogMemory.MemoryLine>) =>
    lines.filter(({ event }) => event === "peer_unreachable").map(({ level }) => level)
  const answering = () =>
    Effect.gen(function* () {
      const lines: Array<LogMemory.MemoryLine> = []
      const world = socketWorld("plain text", () => IdentityPlain.layer, "127.0.0.1", lines)
      const a = yield* world.node("node-1")
      const b = yield* world.node("node-2")
      b.network.handle(method, (request, _from, answer) => answer.succeed(request))
      b.network.handleStream(streamMethod, (_from, out) => ({
        message: (bytes) => void out.send(bytes),
        drained: () => {},
        closed: () => {}
      }))
      yield* call(a, b.at, method, "x")
      return { a, b, lines, world }
    })
  const talking = Effect.gen(function* () {
    const { a, b, lines, world } = yield* answering()
    const wire = yield* Scope.make()
    const { at } = yield* Scope.provide(world.way(a, b), wire)
    const taken = new Taken()
    a.network.open(at, streamMethod, taken).send(Buffer.from("x"))
    yield* taken.until(() => taken.messages.length === 1)
    return { a, lines, taken, cut: Scope.close(wire, Exit.void) }
  })

  it.live("does not warn of a peer that closes a connection on which nothing is under way", () =>
    Effect.gen(function* () {
      const { b, lines } = yield* answering()
      yield* b.kill
      while (unreachables(lines).length === 0) yield* Effect.sleep(10)
      assert.deepStrictEqual(unreachables(lines), ["DEBUG"])
    })
  )

  it.live("warns of a peer that is gone while a stream is open to it", () =>
    Effect.gen(function* () {
      const { cut, lines, taken } = yield* talking
      yield* cut
      yield* taken.until(() => taken.ends.length > 0)
      assert.deepStrictEqual(unreachables(lines), ["WARN"])
    })
  )

  it.live("does not warn of what this node's own stop ends", () =>
    Effect.gen(function* () {
      const { a, lines, taken } = yield* talking
      yield* a.kill
      yield* taken.until(() => taken.ends.length > 0)
      assert.deepStrictEqual(new Set(unreachables(lines)), new Set(["DEBUG"]))
    })
  )
})

describe("PeerNetworkGrpc.layerEtcd", () => {
  it.live("listens at every address and says who it is by its name", () =>
    Effect.gen(function* () {
      const url = (host: string): ListenUrl => ({ text: "", secure: false, address: { host, port: 0 } })
      const lines: Array<LogMemory.MemoryLine> = []
      const base = nodeSettings("member-1", "127.0.0.1", 0, "")
      const etcd = {
        listenPeer: [url("127.0.0.1"), url("::1")],
        advertisePeerUrls: ["http://127.0.0.1:2380"],
        peerTls: undefined,
        reusePort: false
      }
      const context = yield* Layer.build(
        PeerNetworkGrpc.layerEtcd.pipe(
          Layer.provide(
            Layer.mergeAll(
              IdentityPlain.layer,
              LogMemory.layer(lines),
              SettingsValue.layer({ ...base, etcd: etcd as unknown as NonNullable<typeof base.etcd> })
            )
          )
        )
      )
      const network = yield* Effect.provide(PeerNetwork, context)
      network.handle(method, (_request, from, answer) => answer.succeed(Buffer.from(from)))
      const addresses = lines
        .filter(({ event }) => event === "listening")
        .map(({ fields }) => String(fields["address"]))
      assert.lengthOf(addresses, 2)
      const a = yield* plain.node("node-1")
      for (const address of addresses) {
        assert.deepStrictEqual(yield* call(a, { nodeId: "member-1", address }, method, "x"), { response: "node-1" })
      }
    })
  )
})
