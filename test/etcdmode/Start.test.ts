/** Command lines written for etcd, run as they are. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { request as httpsRequest, type RequestOptions } from "node:https"
import { request as httpRequest } from "node:http"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { authority } from "../identity/openssl.ts"
import { freePorts } from "../support/daemon.ts"
import { notifySocket } from "./notifySocket.ts"
import { etcdctl, place, runOnce, start } from "./program.ts"

const ports = (count: number) => Effect.promise(() => freePorts(count))

const get = (url: string): Effect.Effect<{ readonly status: number; readonly body: string }> =>
  Effect.promise(async () => {
    const response = await fetch(url)
    return { status: response.status, body: await response.text() }
  })

/** Over TLS or a socket file; the status, or what went wrong. */
const ask = (options: RequestOptions): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const make = "socketPath" in options ? httpRequest : httpsRequest
    const request = make(options, (response) => {
      response.resume()
      response.once("end", () => resume(Effect.succeed(String(response.statusCode))))
    })
    request.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    request.end()
  })

describe("netsy etcd, started by its link", () => {
  it.live(
    "serves a kubeadm manifest: TLS with client certificates, plain metrics, peers with their own",
    () =>
      Effect.gen(function* () {
        const there = yield* place
        const ca = yield* authority
        const server = ca.issue("server", "IP:127.0.0.1,DNS:localhost")
        const client = ca.issue("kube-apiserver", "DNS:kube-apiserver")
        const [port, peer, metrics] = yield* ports(3)
        const url = `https://127.0.0.1:${port}`
        const argv = [
          "--name=cp-1.example",
          "--feature-gates=InitialCorruptCheck=true",
          `--listen-client-urls=${url}`,
          `--advertise-client-urls=${url},https://cp-1.example:2379`,
          `--listen-peer-urls=https://127.0.0.1:${peer}`,
          `--initial-advertise-peer-urls=https://127.0.0.1:${peer}`,
          `--data-dir=${join(there.directory, "data")}`,
          `--cert-file=${server.cert}`,
          `--key-file=${server.key}`,
          `--trusted-ca-file=${ca.caCert}`,
          "--client-cert-auth=true",
          `--peer-cert-file=${server.cert}`,
          `--peer-key-file=${server.key}`,
          `--peer-trusted-ca-file=${ca.caCert}`,
          "--peer-client-cert-auth=true",
          "--snapshot-count=10000",
          `--listen-metrics-urls=http://127.0.0.1:${metrics}`,
          "--watch-progress-notify-interval=5s",
          `--initial-cluster=cp-1.example=https://127.0.0.1:${peer}`,
          "--experimental-initial-corrupt-check=true"
        ]
        const tls = [`--cacert=${ca.caCert}`, `--cert=${client.cert}`, `--key=${client.key}`, `--endpoints=${url}`]
        const first = yield* start(there, { argv })
        assert.strictEqual((yield* etcdctl([...tls, "put", "greeting", "hello"])).stdout, "OK\n")
        const { stdout: members } = yield* etcdctl([...tls, "member", "list"])
        assert.include(members, `cp-1.example, https://127.0.0.1:${peer}, ${url},https://cp-1.example:2379, false`)
        const stranger = yield* etcdctl([
          `--endpoints=${url}`,
          `--cacert=${ca.caCert}`,
          "--command-timeout=1s",
          "--dial-timeout=1s",
          "get",
          "greeting"
        ])
        assert.notStrictEqual(stranger.code, 0)

        for (const path of ["livez", "readyz", "health"]) {
          assert.strictEqual((yield* get(`http://127.0.0.1:${metrics}/${path}`)).status, 200, path)
        }
        assert.include((yield* get(`http://127.0.0.1:${metrics}/metrics`)).body, "etcd_server_has_leader 1")
        assert.strictEqual((yield* get(`http://127.0.0.1:${metrics}/v3/kv/range`)).status, 404)

        const leadership = { host: "127.0.0.1", port: peer!, path: "/health/leadership", ca: readFileSync(ca.caCert) }
        const pair = { cert: readFileSync(client.cert), key: readFileSync(client.key) }
        assert.strictEqual(yield* ask({ ...leadership, ...pair }), "200")
        assert.notStrictEqual(yield* ask(leadership), "200")

        const said = first.lines()
        assert.isTrue(said.every(({ level, msg, ts }) => level !== "" && msg !== "" && /^\d{4}-.*Z$/.test(ts)))
        assert.isDefined(said.find(({ level, msg }) => level === "info" && msg === "ready to serve client requests"))
        assert.isDefined(said.find(({ level, msg }) => level === "warn" && msg.includes("older versions")))
        assert.strictEqual(yield* Effect.promise(first.stop), 0)

        yield* start(there, { argv })
        assert.strictEqual((yield* etcdctl([...tls, "get", "greeting", "--print-value-only"])).stdout, "hello\n")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "serves a unit file with variables: plain text, several addresses, a socket file, systemd told",
    () =>
      Effect.gen(function* () {
        const there = yield* place
        const [port, second, http, peer] = yield* ports(4)
        const manager = yield* notifySocket(join(there.directory, "notify"))
        const file = join(there.directory, "localhost:2379")
        const env = {
          ETCD_NAME: "default",
          ETCD_LISTEN_CLIENT_URLS: `http://127.0.0.1:${port},http://127.0.0.1:${second},unix://localhost:2379,unix://${file}.second`,
          ETCD_ADVERTISE_CLIENT_URLS: `http://127.0.0.1:${port}`,
          ETCD_LISTEN_CLIENT_HTTP_URLS: `http://127.0.0.1:${http}`,
          ETCD_LISTEN_PEER_URLS: `http://127.0.0.1:${peer}`,
          ETCD_LOG_FORMAT: "console",
          NOTIFY_SOCKET: join(there.directory, "notify")
        }
        const program = yield* start(there, { env })
        for (const each of [port, second]) {
          assert.strictEqual((yield* etcdctl([`--endpoints=http://127.0.0.1:${each}`, "put", "a", "1"])).code, 0)
        }
        const { stdout } = yield* etcdctl(["--endpoints=unix://localhost:2379", "get", "a"], there.directory)
        assert.strictEqual(stdout, "a\n1\n")
        assert.strictEqual(yield* ask({ socketPath: `${file}.second`, path: "/nothing" }), "404")
        // HTTP has a port of its own here, as with etcd.
        assert.strictEqual((yield* get(`http://127.0.0.1:${http}/version`)).status, 200)
        assert.strictEqual((yield* get(`http://127.0.0.1:${port}/version`)).status, 404)
        assert.isTrue(existsSync(join(there.directory, "default.etcd/object-store")))
        assert.match(program.printed(), /^\S+Z\tinfo\tready to serve client requests$/m)
        assert.deepStrictEqual(manager.take(), ["READY=1"])
        assert.strictEqual(yield* Effect.promise(program.stop), 0)
        assert.deepStrictEqual(manager.take(), ["STOPPING=1"])
        assert.isFalse(existsSync(file))
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "reads a configuration file, makes its own certificate, writes its log to a file",
    () =>
      Effect.gen(function* () {
        const there = yield* place
        const [port, peer] = yield* ports(2)
        const config = join(there.directory, "etcd.conf.yml")
        writeFileSync(
          config,
          `name: auto
data-dir: ${join(there.directory, "d")}
listen-client-urls: https://127.0.0.1:${port}
advertise-client-urls: https://127.0.0.1:${port}
listen-peer-urls: https://127.0.0.1:${peer}
client-transport-security: { auto-tls: true }
peer-transport-security: { auto-tls: true }
log-outputs: [stdout, etcd.log]
tls-max-version: TLS1.2
cipher-suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]
`
        )
        const program = yield* start(there, { argv: ["--config-file", config], env: { ETCD_NAME: "ignored" } })
        const made = join(there.directory, "d/fixtures/client/cert.pem")
        const { code, stderr } = yield* etcdctl([
          `--endpoints=https://127.0.0.1:${port}`,
          `--cacert=${made}`,
          "put",
          "a",
          "b"
        ])
        assert.strictEqual(code, 0, stderr)
        const target = { host: "127.0.0.1", port: port!, path: "/version", ca: readFileSync(made) }
        assert.strictEqual(yield* ask({ ...target, maxVersion: "TLSv1.2" }), "200")
        assert.notStrictEqual(yield* ask({ ...target, minVersion: "TLSv1.3" }), "200")
        assert.notStrictEqual(yield* ask({ ...target, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" }), "200")
        assert.strictEqual(yield* Effect.promise(program.stop), 0)
        const written = readFileSync(join(there.directory, "etcd.log"), "utf8")
        assert.include(written, '"msg":"serving client traffic securely"')
        assert.strictEqual(written, program.printed())
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "takes the common name of a client's certificate for the user where auth is on",
    () =>
      Effect.gen(function* () {
        const there = yield* place
        const ca = yield* authority
        const server = ca.issue("server", "IP:127.0.0.1")
        const users = { root: ca.issue("root", "DNS:x"), alice: ca.issue("alice", "DNS:x") }
        const [port, peer] = yield* ports(2)
        const url = `https://127.0.0.1:${port}`
        yield* start(there, {
          argv: [
            ...["--listen-client-urls", url, "--advertise-client-urls", url],
            ...["--cert-file", server.cert, "--key-file", server.key, "--trusted-ca-file", ca.caCert],
            ...["--client-cert-auth", `--listen-peer-urls=http://127.0.0.1:${peer}`]
          ]
        })
        const as = (user: keyof typeof users, ...command: ReadonlyArray<string>) => {
          const { cert, key } = users[user]
          return etcdctl([`--endpoints=${url}`, `--cacert=${ca.caCert}`, `--cert=${cert}`, `--key=${key}`, ...command])
        }
        for (const command of [
          ["user", "add", "root", "--no-password"],
          ["role", "add", "root"],
          ["user", "grant-role", "root", "root"],
          ["user", "add", "alice", "--no-password"],
          ["role", "add", "some"],
          ["role", "grant-permission", "some", "readwrite", "hers"],
          ["user", "grant-role", "alice", "some"],
          ["auth", "enable"]
        ]) {
          const { code, stderr } = yield* as("root", ...command)
          assert.strictEqual(code, 0, `${command.join(" ")}: ${stderr}`)
        }
        assert.strictEqual((yield* as("alice", "put", "hers", "1")).stdout, "OK\n")
        assert.include((yield* as("alice", "put", "other", "1")).stderr, "permission denied")
        assert.strictEqual((yield* as("root", "put", "other", "1")).stdout, "OK\n")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "forms a cluster of the members of one --initial-cluster: each serves everything, and goes on without the other",
    () =>
      Effect.gen(function* () {
        const there = yield* place
        const free = yield* ports(6)
        const peers = `a=http://127.0.0.1:${free[1]},b=http://127.0.0.1:${free[4]}`
        const optionsOf = (name: string, [client, peer, metrics]: ReadonlyArray<number>) => ({
          argv: [
            ...["--name", name, "--initial-cluster", peers, "--initial-cluster-token", "two"],
            ...["--listen-client-urls", `http://127.0.0.1:${client}`],
            ...["--advertise-client-urls", `http://127.0.0.1:${client}`],
            ...["--listen-peer-urls", `http://127.0.0.1:${peer}`],
            ...["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
            ...["--listen-metrics-urls", `http://127.0.0.1:${metrics}`]
          ],
          env: { NETSY_STORAGE: `dir:${join(there.directory, "shared")}` }
        })
        const ask = (port: number, ...args: ReadonlyArray<string>) =>
          Effect.map(etcdctl([`--endpoints=127.0.0.1:${port}`, ...args]), ({ code, stderr, stdout }) => {
            assert.strictEqual(code, 0, stderr)
            return stdout
          })
        const a = yield* start(there, optionsOf("a", free.slice(0, 3)))
        yield* ask(free[0]!, "put", "k", "v")
        a.signal("SIGSTOP")
        const b = yield* start(there, { ...optionsOf("b", free.slice(3)), ready: `"msg":"waiting"` })
        const probe = (path: string) => get(`http://127.0.0.1:${free[5]}/${path}`)
        assert.deepStrictEqual([(yield* probe("livez")).status, (yield* probe("readyz")).status], [200, 503])
        assert.deepStrictEqual(yield* probe("health"), {
          status: 503,
          body: '{"health":"false","reason":"RAFT NO LEADER"}\n'
        })
        a.signal("SIGCONT")
        for (let waited = 0; !b.printed().includes("ready to serve client requests"); waited += 50) {
          assert.isBelow(waited, 20_000, b.printed())
          yield* Effect.sleep(50)
        }
        assert.strictEqual((yield* probe("readyz")).status, 200)
        assert.strictEqual(yield* ask(free[3]!, "get", "k", "--print-value-only"), "v\n")
        yield* ask(free[3]!, "put", "k", "w")
        assert.strictEqual(yield* ask(free[0]!, "get", "k", "--print-value-only"), "w\n")
        for (const port of [free[0]!, free[3]!]) {
          const members = (yield* ask(port, "member", "list")).trim().split("\n")
          assert.deepStrictEqual(
            members.map((line) => line.split(", ").slice(1, 3)),
            [
              ["started", "a"],
              ["started", "b"]
            ]
          )
        }
        assert.strictEqual(yield* Effect.promise(a.stop), 0)
        assert.strictEqual(yield* ask(free[3]!, "get", "k", "--print-value-only"), "w\n")
        yield* ask(free[3]!, "put", "k", "x")
        assert.strictEqual((yield* probe("readyz")).status, 200)
        assert.isTrue(existsSync(join(there.directory, "shared/two")))
      }).pipe(Effect.scoped),
    90_000
  )

  it.live(
    "exits 2 for flags that it cannot read, 1 for what they say, 0 for --version",
    () =>
      Effect.gen(function* () {
        const there = yield* place
        const version = runOnce(there, ["--version"])
        assert.deepStrictEqual([version.code, version.stdout.split("\n")[0]], [0, "etcd Version: 3.7.1"])
        const unknown = runOnce(there, ["--listen-client-url=http://127.0.0.1:1"])
        assert.strictEqual(unknown.code, 2)
        assert.include(unknown.stderr, "did you mean --listen-client-urls?")
        mkdirSync(join(there.directory, "theirs/member"), { recursive: true })
        const foreign = runOnce(there, ["--data-dir=theirs"])
        assert.strictEqual(foreign.code, 1)
        assert.include(foreign.stderr, "holds the data of an etcd server")
        const missing = runOnce(there, [
          "--listen-client-urls=https://127.0.0.1:0",
          "--advertise-client-urls=https://127.0.0.1:1",
          "--listen-peer-urls=http://127.0.0.1:0",
          "--cert-file=no.crt",
          "--key-file=no.key"
        ])
        assert.strictEqual(missing.code, 1)
        assert.include(missing.stderr, "no.crt")
      }).pipe(Effect.scoped),
    60_000
  )
})
