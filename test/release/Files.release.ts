/** What lies in dist/release: sums that are right, libraries no newer than documented, and the image's steps by hand. */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { freePorts } from "../support/daemon.ts"
import { emptyRoot, type EmptyRoot, ready, removeRoot } from "./support/emptyRoot.ts"
import { instructionsOf } from "./support/containerfile.ts"
import { executable, ownExecutable, project, released } from "./support/files.ts"

const machine = process.arch === "arm64" ? "arm64" : "amd64"

describe("the release files", () => {
  it("have the sums that SHA512SUMS says", () => {
    const checked = execFileSync("sha512sum", ["--check", "--strict", "SHA512SUMS"], {
      cwd: released,
      encoding: "utf8"
    })
    assert.strictEqual(checked, "netsy-linux-amd64: OK\nnetsy-linux-arm64: OK\n")
  })

  it("name no folder of the machine that built them", () => {
    for (const one of ["amd64", "arm64"] as const) {
      assert.isFalse(readFileSync(executable(one)).includes(project), one)
    }
  })

  it("come with the licence of everything that is in them", () => {
    const text = readFileSync(join(released, "LICENSES.txt"), "utf8")
    for (const name of ["netsy", "Node.js 24", "better-sqlite3 ", "bcrypt ", "koffi ", "effect ", "@grpc/grpc-js "]) {
      assert.include(text, `\n${name}`, name)
    }
  })
})

describe("the image's steps", () => {
  let root: EmptyRoot
  let context: string
  beforeAll(() => {
    root = emptyRoot(ownExecutable())
    rmSync(join(root.directory, "usr/bin"), { recursive: true })
    context = mkdtempSync(join(tmpdir(), "netsy-context-"))
  })
  afterAll(() => {
    removeRoot(root)
    rmSync(context, { recursive: true, force: true })
  })

  it("played in a clean directory, with the context that make image lays out, give a node that works", async () => {
    execFileSync(join(project, "scripts/release/image.sh"), ["--context"])
    const steps = instructionsOf(readFileSync(join(project, "images/netsy/Containerfile"), "utf8"), {
      TARGETARCH: machine
    })
    const env: Record<string, string> = {}
    let entry: ReadonlyArray<string> = []
    for (const { flags, name, words } of steps) {
      if (name === "COPY") {
        const [from, to] = words as [string, string]
        const target = join(root.directory, to)
        const source = join(project, "dist/image", from)
        mkdirSync(dirname(target), { recursive: true })
        if (statSync(source).isDirectory()) cpSync(source, target, { recursive: true })
        else copyFileSync(source, target)
        const [uid, gid] = (flags["chown"] ?? "0:0").split(":").map(Number)
        chmodSync(target, Number.parseInt(flags["chmod"]!, 8))
        chownSync(target, uid!, gid!)
      } else if (name === "ENV") {
        for (const word of words) env[word.split("=")[0]!] = word.split("=")[1]!
      } else if (name === "ENTRYPOINT") entry = words
    }
    // A new volume begins as what the image has in its place.
    const made = statSync(join(root.directory, "var/lib/netsy"))
    assert.deepStrictEqual([made.uid, made.gid, made.mode & 0o777], [65_532, 65_532, 0o750])
    const [client, peer, election, health] = await freePorts(4)
    const one = root.start({
      program: entry[0]!,
      args: [...entry.slice(1), "--storage", "dir:/var/lib/netsy/bucket", "--insecure"],
      env: {
        ...env,
        NETSY_BIND_CLIENT: `127.0.0.1:${client}`,
        NETSY_BIND_PEER: `127.0.0.1:${peer}`,
        NETSY_BIND_ELECTION: `127.0.0.1:${election}`,
        NETSY_BIND_HEALTH: `127.0.0.1:${health}`
      }
    })
    try {
      await ready(one, `http://127.0.0.1:${health}/readyz`)
      const put = execFileSync("etcdctl", [`--endpoints=127.0.0.1:${client}`, "put", "k", "v"], { encoding: "utf8" })
      assert.strictEqual(put, "OK\n")
      assert.strictEqual(await one.kill("SIGTERM"), 0, one.stderr())
    } finally {
      await one.kill("SIGKILL")
    }
  })
})
