/**
 * The executable for this machine in an empty root: no Node, no shell, a read-only file system, a user without rights. It
 * is a daemon over TLS there, `etcd`, and every subcommand.
 */
import { execFile, execFileSync } from "node:child_process"
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { freePorts } from "../support/daemon.ts"
import { emptyRoot, type EmptyRoot, ready, removeRoot, type Running, user } from "./support/emptyRoot.ts"
import { ownExecutable, project } from "./support/files.ts"

/** What the documents say that the machine must have, besides the dynamic linker. */
const documentedLibraries = [
  "libc.so.6",
  "libdl.so.2",
  "libgcc_s.so.1",
  "libm.so.6",
  "libpthread.so.0",
  "libstdc++.so.6"
]

describe("the release executable in an empty root", () => {
  let root: EmptyRoot
  let ports: ReadonlyArray<number>
  let env: Record<string, string>
  const running = new Set<Running>()

  beforeAll(async () => {
    root = emptyRoot(ownExecutable())
    symlinkSync("netsy", join(root.directory, "usr/bin/etcd"))
    ports = await freePorts(4)
    const inside = join(root.directory, "etc/netsy")
    execFileSync(join(project, "scripts/dev/certs.sh"), {
      env: { ...process.env, NETSY_CERTS_DIR: join(inside, "certs") }
    })
    execFileSync("chmod", ["-R", "a+rX", inside])
    const settings = {
      cluster_id: "dev-cluster",
      storage: { provider: "directory", path: "/var/lib/netsy/bucket" },
      heartbeat_interval: "1s",
      elector: { primary_prior_timeout: "5s" },
      replication: { quorum: 0 }
    }
    writeFileSync(join(inside, "config.jsonc"), JSON.stringify(settings))
    const [client, peer, election, health] = ports
    env = {
      NETSY_CONFIG: "/etc/netsy/config.jsonc",
      NETSY_NODE_ID: "dev-node-1",
      NETSY_DATA_DIR: "/var/lib/netsy/node",
      NETSY_TLS_CA_CERT: "/etc/netsy/certs/ca.crt",
      NETSY_TLS_SERVER_CERT: "/etc/netsy/certs/dev-node-1/server.crt",
      NETSY_TLS_SERVER_KEY: "/etc/netsy/certs/dev-node-1/server.key",
      NETSY_TLS_CLIENT_CERT: "/etc/netsy/certs/dev-node-1/peer.crt",
      NETSY_TLS_CLIENT_KEY: "/etc/netsy/certs/dev-node-1/peer.key",
      NETSY_BIND_CLIENT: `127.0.0.1:${client}`,
      NETSY_BIND_PEER: `127.0.0.1:${peer}`,
      NETSY_BIND_ELECTION: `127.0.0.1:${election}`,
      NETSY_BIND_HEALTH: `127.0.0.1:${health}`,
      NETSY_ADVERTISE_CLIENT: `127.0.0.1:${client}`,
      NETSY_ADVERTISE_PEER: `127.0.0.1:${peer}`,
      NETSY_ADVERTISE_ELECTION: `127.0.0.1:${election}`
    }
  })
  afterAll(async () => {
    for (const one of running) await one.kill("SIGKILL")
    removeRoot(root)
  })

  const start: EmptyRoot["start"] = (options) => {
    const one = root.start(options)
    running.add(one)
    void one.ended.finally(() => running.delete(one))
    return one
  }
  /** To its end: what it printed, and its exit code. */
  const run = async (...args: ReadonlyArray<string>) => {
    const one = start({ args, env })
    const code = await one.ended
    return { code, out: one.stdout(), error: one.stderr() }
  }
  const daemon = async (): Promise<Running> => {
    const one = start({ env })
    await ready(one, `http://127.0.0.1:${ports[3]}/readyz`)
    return one
  }
  const etcdctl = (...args: ReadonlyArray<string>): Promise<string> =>
    new Promise((resolve, reject) => {
      const certs = join(root.directory, "etc/netsy/certs")
      const identity = [`--cacert=${certs}/ca.crt`, `--cert=${certs}/client.crt`, `--key=${certs}/client.key`]
      const all = [`--endpoints=https://127.0.0.1:${ports[0]}`, ...identity, ...args]
      execFile("etcdctl", all, { env: { PATH: process.env["PATH"], ETCDCTL_API: "3" } }, (error, out, err) =>
        error === null ? resolve(out) : reject(new Error(`etcdctl ${args.join(" ")}: ${err}${out}`))
      )
    })
  const filesIn = (folder: string): ReadonlyArray<string> =>
    readdirSync(join(root.data, folder), { recursive: true, encoding: "utf8" })

  it("is linked with the libraries that the documents name, and with no other", () => {
    const names = root.libraries.map((path) => path.split("/").at(-1)!).filter((name) => !name.startsWith("ld-linux"))
    assert.deepStrictEqual(names.toSorted(), documentedLibraries)
  })

  it("says its version and its commit, and nothing of Node's", async () => {
    const { code, error, out } = await run("--version")
    assert.match(out, /^netsy \d+\.\d+\.\d+ \(commit [0-9a-f]{12}(?:\+changes)?\)\n$/)
    assert.deepStrictEqual([code, error], [0, ""])
    const help = await run("--help")
    assert.include(help.out, "--validate PATH")
    assert.notInclude(help.out, "inspect-brk")
  })

  it("takes no word of its command line as one of Node's", async () => {
    for (const word of ["--inspect", "--eval=1", "--require=/etc/netsy/config.jsonc", "--v8-options"]) {
      const { code, error } = await run(word)
      assert.strictEqual(code, 1, word)
      assert.include(error, `${word.split("=")[0]}: got `)
    }
  })

  it("checks a configuration", async () => {
    const good = await run("--validate", "/etc/netsy/config.jsonc")
    assert.deepStrictEqual(good, { code: 0, out: "Config is valid.\n", error: "" })
    const bad = await run("--validate", "/etc/netsy/certs/ca.crt")
    assert.strictEqual(bad.code, 1)
    assert.include(bad.error, "Validation failed:")
  })

  it("serves etcdctl over TLS, keeps what was written over a stop and over kill -9, and leaves no file of its own", async () => {
    let one = await daemon()
    assert.strictEqual(await etcdctl("put", "a", "1"), "OK\n")
    assert.strictEqual(await one.kill("SIGTERM"), 0, one.stderr())
    one = await daemon()
    assert.strictEqual(await etcdctl("get", "a"), "a\n1\n")
    await etcdctl("put", "b", "2")
    await one.kill("SIGKILL")
    one = await daemon()
    assert.strictEqual(await etcdctl("get", "b"), "b\n2\n")
    await etcdctl("snapshot", "save", join(root.data, "snapshot.db"))
    assert.include(await etcdctl("snapshot", "status", join(root.data, "snapshot.db")), ",")
    assert.notMatch(one.stdout() + one.stderr(), /Warning|experimental/i)
    assert.deepStrictEqual(
      [...filesIn("."), ...readdirSync(join(root.directory, "tmp"))].filter((name) => name.includes("native")),
      []
    )
    await one.kill("SIGTERM")
  })

  it("shows, verifies, inspects and recovers", async () => {
    const one = await daemon()
    const status = await run("status", "--endpoint", `127.0.0.1:${ports[3]}`)
    assert.strictEqual(status.code, 0, status.error)
    assert.include(status.out, "dev-node-1")
    const identity = ["--cacert", "ca.crt", "--cert", "client.crt", "--key", "client.key"].map((word) =>
      word.startsWith("--") ? word : `/etc/netsy/certs/${word}`
    )
    const verify = await run(
      "verify",
      "--config",
      "/etc/netsy/config.jsonc",
      "--endpoints",
      `127.0.0.1:${ports[0]}`,
      ...identity
    )
    assert.strictEqual(verify.code, 0, verify.out + verify.error)
    assert.include(verify.out, "nothing wrong")
    assert.strictEqual(await one.kill("SIGTERM"), 0)
    const chunk = filesIn("bucket").find((name) => name.endsWith(".netsy"))!
    const inspect = await run("inspect", `/var/lib/netsy/bucket/${chunk}`)
    assert.strictEqual(inspect.code, 0, inspect.error)
    assert.include(inspect.out, '"key"')
    const recover = await run("recover", "dev-node-1", "--config", "/etc/netsy/config.jsonc")
    assert.strictEqual(recover.code, 2, recover.out + recover.error)
    assert.include(recover.out, "Nothing has been changed")
  })

  it("is etcd under the name etcd", async () => {
    const { stdout, ended } = start({ program: "/usr/bin/etcd", args: ["--version"] })
    assert.strictEqual(await ended, 0)
    assert.match(stdout(), /^etcd Version: \d+\.\d+\.\d+\nGit SHA: netsy-\S+\+[0-9a-f]{12}/)
    const url = `http://127.0.0.1:${ports[0]}`
    const peer = `http://127.0.0.1:${ports[1]}`
    const flags = [
      "--name=one",
      "--data-dir=/var/lib/netsy/etcd",
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=one=${peer}`
    ]
    const one = start({ program: "/usr/bin/etcd", args: flags })
    await ready(one, `${url}/health`)
    const put = execFileSync("etcdctl", [`--endpoints=${url}`, "put", "k", "v"], { encoding: "utf8" })
    assert.strictEqual(put, "OK\n")
    assert.strictEqual(await one.kill("SIGTERM"), 0, one.stderr())
  })

  it("says what to do where no directory lets a library be loaded", async () => {
    const one = start({ env, dataMount: "noexec" })
    assert.strictEqual(await one.ended, 1)
    assert.match(one.stderr(), /set TMPDIR to one that is writable and not mounted noexec/)
    assert.match(one.stderr(), /\/var\/lib\/netsy\/node: .*failed to map segment/)
    assert.match(one.stderr(), /\/tmp: EROFS/)
  })

  it("loads its libraries from /tmp where the data directory does not let them be loaded", async () => {
    const one = start({ env, dataMount: "noexec", tmp: true })
    await ready(one, `http://127.0.0.1:${ports[3]}/readyz`)
    assert.strictEqual(await etcdctl("get", "b"), "b\n2\n")
    assert.strictEqual(await one.kill("SIGTERM"), 0)
  })

  it("names the source files in the stack trace of a crash, and exits with a code that is not 0", () => {
    const printed = execFileSync(
      "sh",
      ["-c", `"$1" --help 2>&1 >/dev/full; echo "exit code $?"`, "sh", ownExecutable()],
      {
        encoding: "utf8"
      }
    )
    assert.match(printed, /ENOSPC/)
    assert.match(printed, / at main \(src\/programs\/main\.ts:\d+:\d+\)/)
    assert.match(printed, /exit code [1-9]/)
  })

  it("keeps a directory of its own for a moment only, and removes what a killed process left an hour ago", async () => {
    const left = join(root.data, "node/.netsy-native-killed")
    cpSync(join(root.directory, "etc/netsy/certs"), left, { recursive: true })
    execFileSync("touch", ["-d", "2 hours ago", left])
    execFileSync("chown", ["-R", `${user}:${user}`, left])
    const fresh = join(root.data, "node/.netsy-native-now")
    mkdirSync(fresh)
    const one = await daemon()
    await one.kill("SIGTERM")
    const names = readdirSync(join(root.data, "node"))
    assert.notInclude(names, ".netsy-native-killed")
    assert.include(names, ".netsy-native-now")
    rmSync(fresh, { recursive: true })
  })
})
