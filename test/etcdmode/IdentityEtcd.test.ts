/** Real files and real handshakes with the certificates that etcd's flags name, so real time. */
import { execFileSync } from "node:child_process"
import { copyFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect, type ConnectionOptions } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { listen } from "../../src/layers/listening/listener.ts"
import * as IdentityEtcd from "../../src/layers/IdentityEtcd.ts"
import * as LogMemory from "../../src/layers/LogMemory.ts"
import * as SettingsValue from "../../src/layers/SettingsValue.ts"
import * as SupervisorFatal from "../../src/layers/SupervisorFatal.ts"
import type { Caller } from "../../src/services/ClientApi.ts"
import { type CertificateInvalid, Identity, type Role } from "../../src/services/Identity.ts"
import { Log } from "../../src/services/Log.ts"
import { etcdSettings } from "../config/etcdSetup.ts"
import { type Authority, authority, type Pair } from "../identity/openssl.ts"
import { eventually } from "../support/eventually.ts"

const urls = [
  "--listen-client-urls=https://127.0.0.1:2379",
  "--advertise-client-urls=https://127.0.0.1:2379",
  "--listen-peer-urls=https://127.0.0.1:2380"
]

const flagsFor = (prefix: "" | "peer-", pair: Pair): ReadonlyArray<string> => [
  `--${prefix}cert-file=${pair.cert}`,
  `--${prefix}key-file=${pair.key}`
]

interface Port {
  /** Who was let in; a word for the reason otherwise. */
  readonly knock: (options: ConnectionOptions) => Effect.Effect<Caller | "anonymous" | "refused">
  readonly lines: ReadonlyArray<LogMemory.MemoryLine>
  /** Bytes of the certificate that is shown now. */
  readonly shown: (ca: Authority) => Effect.Effect<string>
}

const knockAt = (
  port: number,
  seen: Map<number, Caller | undefined>,
  options: ConnectionOptions
): Effect.Effect<Caller | "anonymous" | "refused"> =>
  Effect.callback((resume) => {
    const socket = connect({ host: "127.0.0.1", port, ALPNProtocols: ["http/1.1"], ...options })
    let own = 0
    const done = (): void => {
      const caller = seen.get(own)
      resume(Effect.succeed(!seen.has(own) ? "refused" : (caller ?? "anonymous")))
      socket.destroy()
    }
    socket.once("secureConnect", () => {
      own = socket.localPort ?? 0
    })
    socket.once("data", done)
    socket.once("error", done)
    socket.once("close", done)
  })

/** A port of that role over the flags' certificates; it greets whom it lets in. */
const portOf = (argv: ReadonlyArray<string>, role: Role): Effect.Effect<Port, CertificateInvalid, Scope.Scope> =>
  Effect.gen(function* () {
    const lines: Array<LogMemory.MemoryLine> = []
    const ground = Layer.mergeAll(
      SettingsValue.layer(etcdSettings({ argv: [...urls, ...argv] })),
      LogMemory.layer(lines),
      SupervisorFatal.layer
    )
    const context = yield* Layer.build(IdentityEtcd.layer({ intervalMillis: 20 }).pipe(Layer.provideMerge(ground)))
    const seen = new Map<number, Caller | undefined>()
    const { port } = yield* Effect.gen(function* () {
      return yield* listen({
        name: role,
        bind: { host: "127.0.0.1", port: 0 },
        secure: true,
        role,
        identity: yield* Identity,
        log: yield* Log,
        connectionsMax: 100,
        firstBytesMillis: 5_000,
        stopMillis: 100,
        http2: (socket) => socket.destroy(),
        http1: (socket, caller) => {
          seen.set(socket.remotePort!, caller)
          socket.end("welcome")
        },
        stop: () => {}
      })
    }).pipe(Effect.provide(context), Effect.orDie)
    return {
      lines,
      knock: (options) => knockAt(port, seen, options),
      shown: (ca) =>
        Effect.callback((resume) => {
          const socket = connect({ host: "127.0.0.1", port, ca: readFileSync(ca.caCert) }, () => {
            const { fingerprint256 } = socket.getPeerCertificate()
            resume(Effect.succeed(fingerprint256))
            socket.destroy()
          })
          socket.once("error", (error) => resume(Effect.succeed(error.message)))
        })
    }
  })

const holding = (ca: Authority, pair?: Pair): ConnectionOptions => ({
  ca: readFileSync(ca.caCert),
  ...(pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) })
})

describe("IdentityEtcd", () => {
  it.live("without a CA asks nobody for a certificate, and TLS 1.2 will do", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const server = ca.issue("server", "IP:127.0.0.1")
      const port = yield* portOf([...flagsFor("", server), "--peer-auto-tls", "--data-dir", ca.directory], "client")
      assert.strictEqual(yield* port.knock({ ...holding(ca), maxVersion: "TLSv1.2" }), "anonymous")
      assert.strictEqual(yield* port.knock(holding(ca)), "anonymous")
      assert.strictEqual(yield* port.knock(holding(ca, ca.issue("someone", "DNS:x"))), "anonymous")
    }).pipe(Effect.scoped)
  )

  it.live("with a CA lets in whom it has signed, and knows the common name", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const other = yield* authority
      const server = ca.issue("server", "IP:127.0.0.1")
      const argv = [
        ...flagsFor("", server),
        `--trusted-ca-file=${ca.caCert}`,
        "--peer-auto-tls",
        "--data-dir",
        ca.directory
      ]
      const port = yield* portOf(argv, "client")
      const root = ca.issue("root", "DNS:x")
      assert.deepStrictEqual(yield* port.knock(holding(ca, root)), { identity: undefined, commonName: "root" })
      assert.strictEqual(yield* port.knock(holding(ca)), "refused")
      assert.strictEqual(yield* port.knock(holding(ca, other.issue("root", "DNS:x"))), "refused")
      assert.strictEqual(yield* port.knock(holding(ca, ca.issue("late", "DNS:x", "expired"))), "refused")
      assert.include(
        port.lines.map(({ fields }) => fields["reason"]),
        "no client certificate"
      )
    }).pipe(Effect.scoped)
  )

  it.live("lets in only the names that are allowed", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const server = ca.issue("server", "IP:127.0.0.1")
      const common = [...flagsFor("", server), ...flagsFor("peer-", server), `--peer-trusted-ca-file=${ca.caCert}`]
      const named = yield* portOf([...common, "--peer-cert-allowed-cn=peer-1,peer-2"], "peer")
      const one = ca.issue("peer-1", "DNS:a.example")
      const three = ca.issue("peer-3", "DNS:b.example,IP:10.0.0.3")
      assert.deepInclude(yield* named.knock(holding(ca, one)), { commonName: "peer-1" })
      assert.strictEqual(yield* named.knock(holding(ca, three)), "refused")
      const hosts = yield* portOf([...common, "--peer-cert-allowed-hostname=b.example"], "peer")
      assert.deepInclude(yield* hosts.knock(holding(ca, three)), { commonName: "peer-3" })
      assert.strictEqual(yield* hosts.knock(holding(ca, one)), "refused")
      const address = yield* portOf([...common, "--peer-cert-allowed-hostname=no name,10.0.0.3"], "peer")
      assert.deepInclude(yield* address.knock(holding(ca, three)), { commonName: "peer-3" })
    }).pipe(Effect.scoped)
  )

  it.live("refuses a certificate that has been revoked", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const server = ca.issue("server", "IP:127.0.0.1")
      const good = ca.issue("good", "DNS:x")
      const bad = ca.issue("bad", "DNS:x")
      const openssl = (...args: ReadonlyArray<string>) =>
        execFileSync("openssl", ["ca", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key", ...args], {
          cwd: ca.directory,
          stdio: "pipe"
        })
      openssl("-revoke", "bad.crt")
      openssl("-gencrl", "-crldays", "30", "-out", "ca.crl")
      const argv = [
        ...flagsFor("", server),
        ...flagsFor("peer-", server),
        `--trusted-ca-file=${ca.caCert}`,
        `--client-crl-file=${join(ca.directory, "ca.crl")}`
      ]
      const port = yield* portOf(argv, "client")
      assert.deepInclude(yield* port.knock(holding(ca, good)), { commonName: "good" })
      assert.strictEqual(yield* port.knock(holding(ca, bad)), "refused")
    }).pipe(Effect.scoped)
  )

  it.live("follows its files, and keeps what it has when new ones are no good", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const first = ca.issue("first", "IP:127.0.0.1")
      const second = ca.issue("second", "IP:127.0.0.1")
      const deployed = { cert: join(ca.directory, "deployed.crt"), key: join(ca.directory, "deployed.key") }
      const deploy = (pair: Pair): void => {
        copyFileSync(pair.key, deployed.key)
        copyFileSync(pair.cert, deployed.cert)
      }
      deploy(first)
      const port = yield* portOf([...flagsFor("", deployed), ...flagsFor("peer-", deployed)], "client")
      const before = yield* port.shown(ca)
      writeFileSync(deployed.cert, "half a certi")
      yield* eventually(
        "the complaint",
        Effect.sync(() => port.lines.some(({ event }) => event === "certificates_kept"))
      )
      assert.strictEqual(yield* port.shown(ca), before)
      deploy(second)
      yield* eventually(
        "the new certificate",
        Effect.map(port.shown(ca), (shown) => shown !== before && shown.includes(":"))
      )
    }).pipe(Effect.scoped)
  )

  it.live("does not start with files that are missing, mixed up or out of date", () =>
    Effect.gen(function* () {
      const ca = yield* authority
      const one = ca.issue("one", "IP:127.0.0.1")
      const two = ca.issue("two", "IP:127.0.0.1")
      const late = ca.issue("late", "IP:127.0.0.1", "expired")
      const peer = flagsFor("peer-", one)
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
        [flagsFor("", { cert: "/gone.crt", key: one.key }), "/gone.crt: ENOENT"],
        [flagsFor("", { cert: one.cert, key: two.key }), "does not fit the certificate"],
        [flagsFor("", late), "expired on"],
        [[...flagsFor("", one), `--trusted-ca-file=${one.key}`], "holds no certificate in PEM"],
        [[...flagsFor("", one), `--client-crl-file=${one.key}`], one.key]
      ]
      for (const [argv, part] of cases) {
        const { message } = yield* Effect.flip(Effect.scoped(portOf([...argv, ...peer], "client")))
        assert.include(message, part)
      }
    }).pipe(Effect.scoped)
  )
})
