/** The program of this folder, etcd's own Go client, against the server: built from Debian's packages, offline. */
import { execFile, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"

const debianGoPath = "/usr/share/gocode"
const folder = new URL(".", import.meta.url).pathname

const build = async (output: string): Promise<void> => {
  if (!existsSync(join(debianGoPath, "src/go.etcd.io/etcd/clientv3"))) {
    throw new Error("etcd's Go client is missing (Debian: apt-get install golang-etcd-server-dev)")
  }
  const env = { ...process.env, GO111MODULE: "off", GOPATH: debianGoPath, GOFLAGS: "", GOTOOLCHAIN: "local" }
  try {
    await promisify(execFile)("go", ["build", "-o", output, "."], { cwd: folder, env })
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT"
    throw missing ? new Error("go is missing (Debian: apt-get install golang-go)") : error
  }
}

describe("etcd's Go client", () => {
  let daemon: Daemon
  let program: string

  beforeAll(async () => {
    daemon = await startDaemon()
    program = join(daemon.directory, "goclient")
    await build(program)
  }, 300_000)
  afterAll(() => daemon?.release())

  it("finds everything as it is used to, over restarts of the server", { timeout: 300_000 }, async () => {
    const child = spawn(program, [daemon.endpoint], { stdio: ["pipe", "pipe", "pipe"] })
    // The client logs every answer that is an error: of interest when the program itself breaks.
    let logged = ""
    child.stderr.on("data", (bytes: Buffer) => {
      logged = (logged + bytes.toString()).slice(-10_000)
    })
    const lines: Array<string> = []
    const output = createInterface({ input: child.stdout })
    output.on("line", (line) => {
      lines.push(line)
      process.stdout.write(`${line}\n`)
      if (line !== "RESTART") return
      daemon
        .kill9()
        .then(() => daemon.start())
        .then(
          () => child.stdin.write("restarted\n"),
          () => child.kill()
        )
    })
    const code = await new Promise((resolve) => child.once("close", resolve))
    assert.deepStrictEqual(
      lines.filter((line) => line.startsWith("FAILED")),
      []
    )
    assert.strictEqual(code, 0, logged)
    assert.strictEqual(lines.at(-1), "DONE")
    assert.strictEqual(lines.filter((line) => line === "RESTART").length, 4)
  })
})
