/** The executable for arm64 on another machine: by qemu, with the libraries of Debian's cross packages. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { freePorts } from "../support/daemon.ts"
import { executable } from "./support/files.ts"

/** An emulated processor on a busy machine. */
const millisMax = 240_000

describe("the release executable for arm64, under qemu", () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "netsy-arm64-"))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) => {
    const all = ["-L", "/usr/aarch64-linux-gnu", executable("arm64"), ...args]
    const child = spawn("qemu-aarch64-static", all, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] })
    let printed = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        printed += chunk.toString()
      })
    }
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once("close", resolve)
      child.once("error", reject)
    })
    return { child, printed: () => printed, ended }
  }
  const put = (endpoint: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn("etcdctl", [`--endpoints=${endpoint}`, "--command-timeout=60s", "put", "k", "v"])
      let out = ""
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString()
      })
      child.once("error", reject)
      child.once("close", () => resolve(out))
    })

  it("says its version", { timeout: millisMax }, async () => {
    const { ended, printed } = start(["--version"])
    assert.strictEqual(await ended, 0, printed())
    assert.match(printed(), /^netsy \d+\.\d+\.\d+ \(commit [0-9a-f]{12}(?:\+changes)?\)\n$/)
  })

  it("is a daemon that takes a put and stops when it is told to", { timeout: 2 * millisMax }, async () => {
    const [client, peer, election, health] = await freePorts(4)
    const one = start(["--storage", `dir:${join(directory, "bucket")}`, "--insecure"], {
      NETSY_BIND_CLIENT: `127.0.0.1:${client}`,
      NETSY_BIND_PEER: `127.0.0.1:${peer}`,
      NETSY_BIND_ELECTION: `127.0.0.1:${election}`,
      NETSY_BIND_HEALTH: `127.0.0.1:${health}`,
      TMPDIR: directory
    })
    try {
      for (const deadline = Date.now() + millisMax; ; await sleep(500)) {
        const answer = await fetch(`http://127.0.0.1:${health}/readyz`).catch(() => undefined)
        if (answer?.ok === true) break
        if (one.child.exitCode !== null || Date.now() > deadline) assert.fail(`not ready:\n${one.printed()}`)
      }
      assert.strictEqual(await put(`127.0.0.1:${client}`), "OK\n", one.printed())
      one.child.kill("SIGTERM")
      assert.strictEqual(await one.ended, 0, one.printed())
    } finally {
      one.child.kill("SIGKILL")
    }
  })
})
