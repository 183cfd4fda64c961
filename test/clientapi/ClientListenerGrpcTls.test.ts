/** The client port with TLS: who is let in, and what a change of certificates does. */
import { execFileSync } from "node:child_process"
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { Etcd3 } from "etcd3"
import { decodeRangeResponse, encodePutRequest, encodeRangeRequest } from "../../src/core/wire/codec/kv.ts"
import { encodeWatchRequest } from "../../src/core/wire/codec/watch.ts"
import * as ClientApiEtcd from "../../src/layers/ClientApiEtcd.ts"
import * as ClientListenerGrpc from "../../src/layers/ClientListenerGrpc.ts"
import * as HttpApiEtcd from "../../src/layers/HttpApiEtcd.ts"
import type { MemoryLine } from "../../src/layers/LogMemory.ts"
import { ClientApi } from "../../src/services/ClientApi.ts"
import { ClientListener } from "../../src/services/ClientListener.ts"
import { type Certs, certs, secure } from "./certs.ts"
import { ground, hubProbe, key, putOf, rangeOf } from "./fakes.ts"
import { connect, credentials } from "./grpcClient.ts"
import { eventually } from "../support/eventually.ts"
import type { Pair } from "../support/authority.ts"

const range = "/etcdserverpb.KV/Range"
const get = encodeRangeRequest(rangeOf("a"))

/** Remembers who called. */
const callers = (names: Array<string | undefined>) =>
  Layer.effect(
    ClientApi,
    Effect.map(ClientApi, (api) =>
      ClientApi.of({
        ...api,
        unary: (method, request, context, reply) => {
          names.push(context.identity)
          api.unary(method, request, context, reply)
        }
      })
    )
  ).pipe(Layer.provide(ClientApiEtcd.layer))

interface Given {
  readonly certs: Certs
  readonly port: number
  readonly lines: ReadonlyArray<MemoryLine>
  readonly names: ReadonlyArray<string | undefined>
  readonly reload: () => void
}

const withNode = <A, E>(
  body: (given: Given) => Effect.Effect<A, E, Scope.Scope>,
  options: Parameters<typeof ground>[0] = {}
) =>
  Effect.gen(function* () {
    const made = yield* certs
    const identity = secure(made)
    const lines: Array<MemoryLine> = []
    const names: Array<string | undefined> = []
    const world = ClientListenerGrpc.layer({ stopMillis: 500, firstBytesMillis: 2_000 }).pipe(
      Layer.provide(HttpApiEtcd.layer()),
      Layer.provide(Layer.merge(callers(names), identity.layer)),
      Layer.provide(ground({ ...options, lines }))
    )
    return yield* Effect.gen(function* () {
      const { address } = yield* ClientListener
      return yield* body({ certs: made, port: address.port, lines, names, reload: identity.reload })
    }).pipe(Effect.provide(world))
  })

const refusals = (lines: ReadonlyArray<MemoryLine>): ReadonlyArray<unknown> =>
  lines.filter((line) => line.event === "connection_refused").map((line) => line.fields["reason"])

/** A raw TLS connection; succeeds with the socket once it is closed by the other side. */
const closedByServer = (port: number, options: ConnectionOptions) =>
  Effect.callback<void>((resume) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"], ...options })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.void))
    socket.resume()
  })

const tlsSocket = (port: number, made: Certs, options: ConnectionOptions) =>
  Effect.acquireRelease(
    Effect.callback<TLSSocket>((resume) => {
      const socket = connectTls({ port, host: "127.0.0.1", ca: made.ca, ...made.client, ...options }, () =>
        resume(Effect.succeed(socket))
      )
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

describe("ClientListenerGrpc with TLS", () => {
  it.live("a client certificate is let in, and its name reaches the handlers", () =>
    withNode(({ certs: made, names, port }) =>
      Effect.gen(function* () {
        const client = yield* connect({ host: "", port }, credentials(made, made.client))
        yield* client.call("/etcdserverpb.KV/Put", encodePutRequest(putOf("a", key("1"))))
        assert.strictEqual(decodeRangeResponse(yield* client.call(range, get)).count, 1)
        assert.deepStrictEqual(names, ["etcd-client", "etcd-client"])
      })
    )
  )

  it.live("a certificate of role peer is refused, and the log says why", () =>
    withNode(({ certs: made, lines, names, port }) =>
      Effect.gen(function* () {
        yield* closedByServer(port, made.peer)
        assert.deepStrictEqual(refusals(lines), ["role peer, wanted client"])
        assert.deepStrictEqual(names, [])
      })
    )
  )

  it.live("no certificate, one of another CA, and one that is not for clients are refused with the reason", () =>
    withNode(({ certs: made, lines, names, port }) =>
      Effect.gen(function* () {
        yield* closedByServer(port, {})
        const strangers = yield* certs
        yield* closedByServer(port, strangers.client)
        yield* closedByServer(port, made.server())
        yield* eventually("three refusals", () => refusals(lines).length === 3)
        assert.strictEqual(refusals(lines)[0], "no client certificate")
        assert.match(
          String(refusals(lines)[1]),
          /^client certificate: (UNABLE_TO_VERIFY|SELF_SIGNED|CERT_SIGNATURE|UNABLE_TO_GET)/
        )
        assert.match(
          String(refusals(lines)[2]),
          /^client certificate: (INVALID_PURPOSE|UNSUPPORTED_CERTIFICATE_PURPOSE|.*purpose)/i
        )
        assert.deepStrictEqual(names, [])
      })
    )
  )

  it.live("TLS 1.2 is refused", () =>
    withNode(({ certs: made, lines, port }) =>
      Effect.gen(function* () {
        yield* closedByServer(port, { ...made.client, maxVersion: "TLSv1.2" })
        yield* eventually("said", () => refusals(lines).length === 1)
        assert.match(String(refusals(lines)[0]), /unsupported protocol/)
      })
    )
  )

  it.live("HTTP/1.1 over TLS is answered, with and without ALPN", () =>
    withNode(({ certs: made, port }) =>
      Effect.gen(function* () {
        for (const options of [{ ALPNProtocols: ["http/1.1"] }, {}]) {
          const socket = yield* tlsSocket(port, made, options)
          let answer = ""
          socket.on("data", (chunk) => (answer += chunk.toString()))
          socket.write("GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
          yield* eventually("answered", () => answer.startsWith("HTTP/1.1 200"))
        }
      })
    )
  )

  it.live("plain text, garbage and half a handshake on the TLS port harm nobody", () =>
    withNode(({ certs: made, lines, port }) =>
      Effect.gen(function* () {
        const open = (input: string) =>
          Effect.acquireRelease(
            Effect.sync((): Socket => {
              const socket = connectTcp(port, "127.0.0.1")
              socket.on("error", () => {})
              socket.resume()
              socket.write(input)
              return socket
            }),
            (socket) => Effect.sync(() => socket.destroy())
          )
        const slow = yield* open("\u0016\u0003\u0001")
        for (const input of ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u0000".repeat(1000)]) {
          const socket = yield* open(input)
          yield* eventually("closed", () => socket.destroyed || socket.readableEnded)
        }
        assert.isAtLeast(refusals(lines).length, 3)
        assert.include(refusals(lines), "no TLS: this port is for TLS (http request)")
        yield* eventually("the handshake's time is over", () => slow.destroyed || slow.readableEnded)
        const client = yield* connect({ host: "", port }, credentials(made, made.client))
        yield* client.call(range, get)
      })
    )
  )

  it.live("new certificates hold for new connections; the old ones and their streams go on", () => {
    const probe = hubProbe()
    return withNode(
      ({ certs: made, port, reload }) =>
        Effect.gen(function* () {
          const serial = Effect.gen(function* () {
            const socket = yield* tlsSocket(port, made, { ALPNProtocols: ["h2"] })
            return socket.getPeerCertificate().serialNumber
          })
          const before = yield* serial
          const client = yield* connect({ host: "", port }, credentials(made, made.client))
          const stream = client.bidi("/etcdserverpb.Watch/Watch")
          let broken = false
          stream.on("error", () => {
            broken = true
          })
          stream.on("data", () => {})
          stream.write(encodeWatchRequest({ kind: "progress" }))
          yield* eventually("open", () => probe.requests.length === 1)
          made.renewServer()
          reload()
          assert.notStrictEqual(yield* serial, before)
          stream.write(encodeWatchRequest({ kind: "progress" }))
          yield* eventually("still open", () => probe.requests.length === 2)
          yield* client.call(range, get)
          assert.isFalse(broken)
          stream.on("error", () => {})
          stream.cancel()
        }),
      { probe }
    )
  })

  it.live("the npm client etcd3 works over TLS", () =>
    withNode(({ certs: made, port }) =>
      Effect.gen(function* () {
        const etcd = yield* Effect.acquireRelease(
          Effect.sync(
            () =>
              new Etcd3({
                hosts: `https://127.0.0.1:${port}`,
                credentials: { rootCertificate: made.ca, privateKey: made.client.key, certChain: made.client.cert }
              })
          ),
          (client) => Effect.sync(() => client.close())
        )
        yield* Effect.promise(async () => {
          await etcd.put("a").value("1")
          assert.strictEqual(await etcd.get("a").string(), "1")
        })
      })
    )
  )

  it.live("a client that trusts another CA does not talk to us", () =>
    withNode(({ certs: made, port }) =>
      Effect.gen(function* () {
        const strangers = yield* certs
        const pair: Pair = made.client
        const error = yield* Effect.flip(
          (yield* connect({ host: "", port }, credentials({ ...made, ca: strangers.ca }, pair))).call(range, get)
        )
        assert.strictEqual(error.code, 14)
      })
    )
  )
})

describe("openssl", () => {
  it("is there, as the tests of this file need it", () => {
    assert.match(execFileSync("openssl", ["version"]).toString(), /OpenSSL/)
  })
})
