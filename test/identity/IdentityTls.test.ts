/** Real files and real handshakes, so real time. */
import { copyFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { connect, createServer, type PeerCertificate, type TLSSocket } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as IdentityPlain from "../../src/layers/IdentityPlain.ts"
import * as IdentityTls from "../../src/layers/IdentityTls.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import { CertificateInvalid, Identity } from "../../src/services/Identity.ts"
import type { SettingsShape } from "../../src/services/Settings.ts"
import { embeddedSettings } from "../config/embedded.ts"
import { authority, type Authority } from "./openssl.ts"
import { eventually } from "../support/eventually.ts"

const peerName = "URI:netsy://netsy/peer/node-1"
const serverNames = `${peerName},DNS:node-1.example,IP:127.0.0.1`

/** The files that the node reads, as copies which a test may change. */
const deployed = (ca: Authority) => {
  const at = (name: string) => join(ca.directory, `deployed-${name}`)
  const deploy = (name: "server" | "client", pair: { readonly cert: string; readonly key: string }) => {
    copyFileSync(pair.key, at(`${name}.key`))
    copyFileSync(pair.cert, at(`${name}.crt`))
  }
  deploy("server", ca.issue("server", serverNames))
  deploy("client", ca.issue("peer", peerName))
  const settings: SettingsShape = {
    ...embeddedSettings(),
    advertise: { client: "node-1.example:2378", peer: "127.0.0.1:2381", election: "" },
    tls: {
      caCert: ca.caCert,
      serverCert: at("server.crt"),
      serverKey: at("server.key"),
      clientCert: at("client.crt"),
      clientKey: at("client.key")
    }
  }
  return { at, deploy, settings }
}

const layerOf = (settings: SettingsShape, lines: Array<LogMemory.MemoryLine> = []) =>
  IdentityTls.layerPolling(20).pipe(
    Layer.provide([SettingsValue.layer(settings), LogMemory.layer(lines), SupervisorFatal.layer])
  )

const refusal = (settings: SettingsShape) => Effect.flip(Effect.scoped(Layer.build(layerOf(settings))))

describe("IdentityTls", () => {
  it.live("starts with good files and checks others by their certificate", () =>
    Effect.gen(function* () {
      const { settings } = deployed(yield* authority)
      yield* Effect.gen(function* () {
        const identity = yield* Identity
        assert.isTrue(identity.secure)
        assert.strictEqual(identity.serverContext(), identity.serverContext())
        assert.deepInclude(identity.serverOptions(), { minVersion: "TLSv1.3" })
        yield* identity.verify
        const certificate = { subjectaltname: "URI:netsy://netsy/client/etcdctl" } as PeerCertificate
        assert.deepStrictEqual(identity.check(certificate, "client"), { ok: true, role: "client", name: "etcdctl" })
        assert.isFalse(identity.check(certificate, "peer").ok)
        assert.isFalse(identity.check({} as PeerCertificate, "client").ok)
      }).pipe(Effect.provide(layerOf(settings)))
    })
  )

  it.live(
    "refuses to start with bad files, naming file and reason",
    () =>
      Effect.gen(function* () {
        const ca = yield* authority
        const { at, settings } = deployed(ca)
        const tls = settings.tls!
        const other = ca.issue("other", "URI:netsy://netsy/peer/node-2,DNS:node-1.example,IP:127.0.0.1")
        const expired = ca.issue("expired", serverNames, "expired")
        const uncovered = ca.issue("uncovered", `${peerName},DNS:elsewhere`)
        const stranger = ca.issue("stranger", "DNS:node-1.example,IP:127.0.0.1")
        writeFileSync(at("garbage"), "garbage")
        writeFileSync(at("empty"), "")
        writeFileSync(at("huge"), "x".repeat(2 ** 20 + 1))
        const cases: ReadonlyArray<readonly [Partial<SettingsShape["tls"]>, string, string]> = [
          [{ caCert: at("gone") }, at("gone"), "ENOENT"],
          [{ caCert: at("garbage") }, at("garbage"), "holds no certificate"],
          [{ caCert: expired.cert }, expired.cert, "expired on"],
          [{ serverCert: at("empty") }, at("empty"), "not a certificate"],
          [{ serverCert: at("huge") }, at("huge"), "larger than"],
          [{ serverCert: ca.directory }, ca.directory, "EISDIR"],
          [{ serverKey: at("garbage") }, at("garbage"), "not a private key"],
          [{ serverKey: tls.clientKey }, tls.clientKey, "does not fit the certificate"],
          [{ serverCert: expired.cert, serverKey: expired.key }, expired.cert, "expired on Jan  1 00:00:00 2021 GMT"],
          [{ serverCert: other.cert, serverKey: other.key }, other.cert, "is for node node-2"],
          [
            { serverCert: uncovered.cert, serverKey: uncovered.key },
            uncovered.cert,
            "do not cover node-1.example (NETSY_ADVERTISE_CLIENT)"
          ],
          [
            { clientCert: stranger.cert, clientKey: stranger.key },
            stranger.cert,
            "has no URI name netsy://netsy/peer/NAME"
          ]
        ]
        for (const [change, path, reason] of cases) {
          const failure = yield* refusal({ ...settings, tls: { ...tls, ...change } })
          assert.instanceOf(failure, CertificateInvalid)
          assert.strictEqual(failure.path, path)
          assert.include(failure.reason, reason)
        }
        assert.include((yield* refusal({ ...settings, clusterId: "c2" })).reason, 'for cluster "netsy"')
        assert.include(
          (yield* refusal({ ...settings, advertise: { ...settings.advertise, election: "10.0.0.1:8443" } })).reason,
          "do not cover 10.0.0.1"
        )
      }),
    30_000
  )

  it.live("takes new files for new connections and keeps the open ones", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const lines: Array<LogMemory.MemoryLine> = []
      const { deploy, settings } = deployed(ca)
      yield* Effect.gen(function* () {
        const identity = yield* Identity
        const server = yield* listening(identity)
        const first = yield* dial(server, identity)
        const before = identity.serverContext()
        deploy("server", ca.issue("renewed", serverNames))
        yield* eventually("the new context", () => identity.serverContext() !== before)
        const second = yield* dial(server, identity)
        assert.strictEqual(first.getPeerCertificate().subject["CN"], "server")
        assert.strictEqual(second.getPeerCertificate().subject["CN"], "renewed")
        assert.strictEqual(second.getProtocol(), "TLSv1.3")
        yield* echo(first, "still here")
        assert.lengthOf(
          lines.filter(({ event }) => event === "certificates_reloaded"),
          1
        )
      }).pipe(Effect.provide(layerOf(settings, lines)))
    })
  )

  it.live("keeps the old files while a pair is half written or a link leads nowhere, and warns once for each", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const lines: Array<LogMemory.MemoryLine> = []
      const { at, deploy, settings } = deployed(ca)
      const kept = () => lines.filter(({ event }) => event === "certificates_kept")
      yield* Effect.gen(function* () {
        const identity = yield* Identity
        const before = identity.serverContext()
        const renewed = ca.issue("renewed", serverNames)
        copyFileSync(renewed.cert, at("server.crt"))
        yield* eventually("the warning", () => kept().length > 0)
        yield* Effect.sleep(100)
        assert.deepStrictEqual(
          kept().map(({ fields }) => fields["path"]),
          [at("server.key")]
        )
        assert.instanceOf(yield* Effect.flip(identity.verify), CertificateInvalid)
        assert.strictEqual(identity.serverContext(), before)
        rmSync(at("server.crt"))
        yield* eventually("the second warning", () => kept().length > 1)
        symlinkSync(renewed.cert, at("server.crt"))
        deploy("client", ca.issue("renewed-peer", peerName))
        rmSync(at("server.key"))
        symlinkSync(renewed.key, at("server.key"))
        yield* eventually("the new context", () => identity.serverContext() !== before)
        yield* identity.verify
      }).pipe(Effect.provide(layerOf(settings, lines)))
    })
  )
})

describe("IdentityPlain", () => {
  it.effect("has no TLS and identifies nobody", () =>
    Effect.gen(function* () {
      const identity = yield* Identity
      assert.isFalse(identity.secure)
      assert.throws(() => identity.serverContext(), /without/)
      assert.isFalse(identity.check({} as PeerCertificate, "client").ok)
      yield* identity.verify
    }).pipe(Effect.provide(IdentityPlain.layer))
  )
})

/** An echo server that takes the newest context for each connection, as the client port does. */
const listening = (identity: Identity["Service"]) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly renew: () => void; readonly close: () => void }>((resume) => {
      const server = createServer(
        { ...identity.serverOptions(), requestCert: true, rejectUnauthorized: true },
        (socket) => socket.pipe(socket)
      )
      server.on("tlsClientError", () => {})
      server.listen(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            port: (server.address() as AddressInfo).port,
            renew: () => server.setSecureContext(identity.serverOptions()),
            close: () => server.close()
          })
        )
      )
    }),
    (server) => Effect.sync(() => server.close())
  )

const dial = (server: { readonly port: number; readonly renew: () => void }, identity: Identity["Service"]) =>
  Effect.acquireRelease(
    Effect.callback<TLSSocket, Error>((resume) => {
      server.renew()
      const socket = connect({ ...identity.clientOptions(), port: server.port, host: "127.0.0.1" }, () =>
        resume(Effect.succeed(socket))
      )
      socket.on("error", (cause) => resume(Effect.fail(cause)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const echo = (socket: TLSSocket, text: string) =>
  Effect.callback<void>((resume) => {
    socket.once("data", (data) => {
      assert.strictEqual(data.toString(), text)
      resume(Effect.void)
    })
    socket.write(text)
  })
