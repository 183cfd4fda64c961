/** The shell scripts of the development environment, run as a developer runs them. */
import { spawnSync } from "node:child_process"
import { X509Certificate } from "node:crypto"
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"

const root = fileURLToPath(new URL("../..", import.meta.url))
const temp = mkdtempSync(join(tmpdir(), "netsy-dev-"))
afterAll(() => rmSync(temp, { recursive: true, force: true }))

const run = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  const result = spawnSync(command, [...args], { encoding: "utf8", env: { ...process.env, ...env } })
  return { status: result.status, out: result.stdout, err: result.stderr }
}

const executable = (path: string, text: string): void => {
  writeFileSync(path, text)
  chmodSync(path, 0o755)
}

describe("certs.sh", () => {
  const certs = join(temp, "certs")
  const make = (count: string) => run(join(root, "scripts/dev/certs.sh"), [count], { NETSY_CERTS_DIR: certs })
  const certificate = (name: string) => new X509Certificate(readFileSync(join(certs, `${name}.crt`)))

  it("makes a CA, a client and a node's two certificates, each with its identity, and keeps them the next time", () => {
    assert.strictEqual(make("1").status, 0)
    const ca = certificate("ca")
    const server = certificate("dev-node-1/server")
    const names = ["client", "dev-node-1/server", "dev-node-1/peer"]
    for (const name of names) assert.isTrue(certificate(name).checkIssued(ca), name)
    assert.isTrue(ca.ca)
    assert.strictEqual(certificate("client").subjectAltName, "URI:netsy://dev-cluster/client/etcd-client")
    assert.strictEqual(certificate("dev-node-1/peer").subjectAltName, "URI:netsy://dev-cluster/peer/dev-node-1")
    assert.include(server.subjectAltName, "URI:netsy://dev-cluster/peer/dev-node-1")
    assert.strictEqual(server.checkHost("localhost"), "localhost")
    assert.strictEqual(server.checkIP("127.0.0.1"), "127.0.0.1")
    assert.strictEqual(server.checkIP("::1"), "::1")
    // serverAuth for what listens, clientAuth for what connects.
    assert.deepStrictEqual(server.keyUsage, ["1.3.6.1.5.5.7.3.1"])
    assert.deepStrictEqual(certificate("client").keyUsage, ["1.3.6.1.5.5.7.3.2"])
    assert.include(readFileSync(join(certs, "service-account.key"), "utf8"), "PRIVATE KEY")

    const before = names.map((name) => certificate(name).fingerprint256)
    assert.strictEqual(make("2").status, 0)
    assert.deepStrictEqual(
      names.map((name) => certificate(name).fingerprint256),
      before
    )
    assert.isTrue(certificate("dev-node-2/server").checkIssued(ca))
  })

  it("refuses a number of nodes that is none", () => {
    assert.strictEqual(make("none").status, 2)
  })
})

describe("check-ports.sh", () => {
  const check = (...args: ReadonlyArray<string>) => run(join(root, "scripts/dev/check-ports.sh"), args)

  it("names a port that is taken and the process that has it, and is silent when it is free again", async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const taken = check("1", String(port))
    await new Promise((resolve) => server.close(resolve))
    assert.strictEqual(taken.status, 1)
    assert.include(taken.err, `port ${port} is taken by`)
    assert.include(taken.err, `(pid ${process.pid})`)
    assert.deepStrictEqual(check("1", String(port)), { status: 0, out: "", err: "" })
  })
})

describe("bin/netsy", () => {
  const clone = join(temp, "clone")
  const bin = join(temp, "bin")
  for (const folder of ["bin", "scripts/dev"]) mkdirSync(join(clone, folder), { recursive: true })
  mkdirSync(bin)
  copyFileSync(join(root, "bin/netsy"), join(clone, "bin/netsy"))
  copyFileSync(join(root, "scripts/dev/node.sh"), join(clone, "scripts/dev/node.sh"))
  symlinkSync(join(clone, "bin/netsy"), join(temp, "link"))
  symlinkSync("../link", join(bin, "netsy"))
  const env = { PATH: `${bin}:/usr/bin:/bin` }

  it("says in one sentence which Node it needs and how to get it", () => {
    executable(join(bin, "node"), '#!/bin/sh\n[ "$1" = --version ] && echo v20.1.0 && exit 0\nexit 1\n')
    const { err, out, status } = run(join(bin, "netsy"), ["--version"], env)
    assert.strictEqual(status, 1)
    assert.strictEqual(out, "")
    assert.strictEqual(err.trim().split("\n").length, 1)
    assert.include(err, "needs Node 22.19 or newer and found Node v20.1.0; run 'make setup'")
  })

  it("asks for make setup while the packages are missing, then runs the program through symbolic links", () => {
    executable(join(bin, "node"), '#!/bin/sh\n[ "$1" = -e ] && exit 0\nprintf "%s\\n" "$@"\n')
    const missing = run(join(bin, "netsy"), [], env)
    assert.strictEqual(missing.status, 1)
    assert.include(missing.err, "run 'make setup'")
    mkdirSync(join(clone, "node_modules/effect"), { recursive: true })
    const { out, status } = run(join(bin, "netsy"), ["--storage", "dir:a b"], env)
    assert.strictEqual(status, 0)
    assert.deepStrictEqual(out.trim().split("\n").slice(-3), [
      join(clone, "src/programs/netsy.ts"),
      "--storage",
      "dir:a b"
    ])
  })
})

describe("etcdctl.sh", () => {
  const clone = join(temp, "etcdctl")
  const bin = join(temp, "etcdctl-bin")
  const script = join(clone, "scripts/etcdctl/etcdctl.sh")
  mkdirSync(join(clone, "scripts/etcdctl"), { recursive: true })
  mkdirSync(bin)
  copyFileSync(join(root, "scripts/etcdctl/etcdctl.sh"), script)
  for (const tool of ["dirname", "tr", "sh"]) {
    symlinkSync(run("sh", ["-c", `command -v ${tool}`]).out.trim(), join(bin, tool))
  }
  const env = { PATH: bin, ETCDCTL_ENDPOINTS: "" }

  it("names the Debian package when etcdctl is missing, and make start when the certificates are", () => {
    const missing = run(script, ["get", "a"], env)
    assert.strictEqual(missing.status, 1)
    assert.include(missing.err, "apt-get install etcd-client")
    executable(
      join(bin, "etcdctl"),
      '#!/bin/sh\necho "$ETCDCTL_API $ETCDCTL_ENDPOINTS $ETCDCTL_CERT"\nprintf "<%s>" "$@"\n'
    )
    const uncertified = run(script, ["get", "a"], env)
    assert.strictEqual(uncertified.status, 1)
    assert.include(uncertified.err, "make start")
  })

  it("passes arguments on as they are, with the development endpoint and certificates unless others are given", () => {
    mkdirSync(join(clone, "temp/certs"), { recursive: true })
    for (const file of ["ca.crt", "client.crt", "client.key"]) writeFileSync(join(clone, "temp/certs", file), "x")
    const plain = run(script, ["get", "", "--prefix"], env)
    assert.strictEqual(plain.out, `3 https://127.0.0.1:2378 ${join(clone, "temp/certs/client.crt")}\n<get><><--prefix>`)
    const other = run(script, ["--endpoints=http://x:1", "get", "a b"], env)
    assert.strictEqual(other.out, `3  ${join(clone, "temp/certs/client.crt")}\n<--endpoints=http://x:1><get><a b>`)
  })
})
