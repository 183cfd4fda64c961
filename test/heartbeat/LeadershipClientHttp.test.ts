/** Asks real election ports on loopback, so real time. */
import { readFileSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { createSecureContext } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as ElectionListenerHttp from "../../src/layers/ElectionListenerHttp.ts"
import * as LeadershipClientHttp from "../../src/layers/LeadershipClientHttp.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import { ElectionListener } from "../../src/services/ElectionListener.ts"
import { Identity } from "../../src/services/Identity.ts"
import { type Leader, Leadership } from "../../src/services/Leadership.ts"
import { LeadershipClient } from "../../src/services/LeadershipClient.ts"
import { plain } from "../clientapi/certs.ts"
import { settings } from "../clientapi/fakes.ts"
import { type Authority, authority } from "../identity/openssl.ts"

const leader = { leaderID: "a", leaderAddr: "a.example:8443" }
const askMillis = 10_000

const both = (identity: Layer.Layer<Identity>, current: () => Leader | undefined = () => leader) =>
  Layer.fresh(Layer.merge(ElectionListenerHttp.layer, LeadershipClientHttp.layer)).pipe(
    Layer.provide(
      Layer.mergeAll(
        identity,
        SettingsValue.layer(settings),
        LogMemory.layer(),
        Layer.succeed(Leadership, Leadership.of({ current }))
      )
    )
  )

/** A server that is called localhost and nothing else. */
const identityOf = (ca: Authority): Layer.Layer<Identity> => {
  const { cert, key } = ca.issue("server", "DNS:localhost")
  const options = { ca: readFileSync(ca.caCert), cert: readFileSync(cert), key: readFileSync(key) }
  return Layer.succeed(
    Identity,
    Identity.of({
      secure: true,
      serverContext: () => createSecureContext(options),
      serverOptions: () => options,
      clientOptions: () => options,
      asksCertificate: () => true,
      check: () => ({ ok: false, reason: "not asked" }),
      verify: Effect.void
    })
  )
}

const ask = (host: string) =>
  Effect.gen(function* () {
    const { address } = yield* ElectionListener
    return yield* (yield* LeadershipClient).ask(`${host}:${address.port}`, askMillis)
  })

/** A server that does this with every connection, and how often there was one. */
const serverOf = (onConnection: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly port: number; connections: number }>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        made.connections++
        onConnection(socket)
      })
      const made = { server, port: 0, connections: 0 }
      server.listen(0, "127.0.0.1", () => {
        made.port = (server.address() as { port: number }).port
        resume(Effect.succeed(made))
      })
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

describe("LeadershipClientHttp", () => {
  it.live("hears from a node whether it is the leader, in plain text", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ask("127.0.0.1").pipe(Effect.provide(both(plain))), leader)
      assert.strictEqual(yield* ask("127.0.0.1").pipe(Effect.provide(both(plain, () => undefined))), "not leader")
    })
  )

  it.live("believes a server of the cluster's CA alone, under the name that it was asked for", () =>
    Effect.gen(function* () {
      const own = yield* authority
      const foreign = yield* authority
      const port = Context.get(yield* Layer.build(both(identityOf(own))), ElectionListener).address.port
      const askAs = (ca: Authority, host: string) =>
        LeadershipClient.use((client) => client.ask(`${host}:${port}`, askMillis)).pipe(
          Effect.provide(Layer.fresh(LeadershipClientHttp.layer).pipe(Layer.provide(identityOf(ca))))
        )
      assert.deepStrictEqual(yield* askAs(own, "localhost"), leader)
      assert.match((yield* Effect.flip(askAs(foreign, "localhost"))).reason, /certificate|signature/i)
      assert.match((yield* Effect.flip(askAs(own, "127.0.0.1"))).reason, /127\.0\.0\.1 is not in the cert/)
    }).pipe(Effect.scoped)
  )

  it.live("tries three times while a connection breaks, and gives up at the caller's time", () =>
    Effect.gen(function* () {
      const client = yield* LeadershipClient
      const breaking = yield* serverOf((socket) => socket.destroy())
      const broken = yield* Effect.flip(client.ask(`127.0.0.1:${breaking.port}`, askMillis))
      assert.strictEqual(broken.address, `127.0.0.1:${breaking.port}`)
      assert.strictEqual(breaking.connections, 3)
      const silent = yield* serverOf(() => {})
      const late = yield* Effect.flip(client.ask(`127.0.0.1:${silent.port}`, 300))
      assert.strictEqual(late.reason, "no answer within 300 ms")
    }).pipe(Effect.scoped, Effect.provide(both(plain)))
  )

  it.live("says what is wrong with an answer that is none", () =>
    Effect.gen(function* () {
      const client = yield* LeadershipClient
      const answering = (head: string, body: string) =>
        Effect.gen(function* () {
          const { port } = yield* serverOf((socket) => {
            socket.end(`HTTP/1.1 ${head}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
          })
          return (yield* Effect.flip(client.ask(`127.0.0.1:${port}`, askMillis))).reason
        })
      assert.strictEqual(yield* answering("500 Oops", ""), "HTTP 500")
      assert.strictEqual(yield* answering("404 Not Found", "nginx"), "not an election port: HTTP 404")
      assert.strictEqual(yield* answering("200 OK", "yes"), "the answer is not JSON")
      assert.strictEqual(yield* answering("200 OK", "{}"), "the answer names no leader")
      assert.include(yield* answering("200 OK", "x".repeat(100_000)), "longer than")
      assert.include((yield* Effect.flip(client.ask("nonsense", askMillis))).reason, "port is missing")
    }).pipe(Effect.scoped, Effect.provide(both(plain)))
  )
})
