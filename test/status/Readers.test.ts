/** The program as a process whose reader goes away: `netsy --help | head -1`. */
import { spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"

const program = fileURLToPath(new URL("../../src/programs/netsy.ts", import.meta.url))

/** Nobody reads standard output, from the first byte on. */
const unread = (args: ReadonlyArray<string>): Promise<{ readonly code: number | null; readonly error: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...args])
    let error = ""
    child.stdout.destroy()
    child.stderr.on("data", (part: Buffer) => (error += part.toString()))
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, error }))
  })

describe("a reader that has seen enough", () => {
  it.each(["--help", "etcd --help", "status --help"])("ends the program without a word: netsy %s", async (line) =>
    assert.deepStrictEqual(await unread(line.split(" ")), { code: 141, error: "" })
  )

  it("is not what a full disk is: that is said", () => {
    const args = ["-c", '"$0" --disable-warning=ExperimentalWarning "$1" --help >/dev/full', process.execPath, program]
    const { status, stderr } = spawnSync("sh", args, { encoding: "utf8" })
    assert.notStrictEqual(status, 0)
    assert.match(stderr, /ENOSPC/)
  })

  it("does not keep netsy recover from its work", async () => {
    const { code, error } = await unread(["recover", "--help"])
    assert.deepStrictEqual({ code, error }, { code: 0, error: "" })
  })
})
