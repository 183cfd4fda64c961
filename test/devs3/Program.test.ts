/** The program: its flags, and what SIGKILL leaves behind. */
import { type ChildProcess, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const program = join(import.meta.dirname, "../../src/programs/dev-s3.ts")

const run = (...args: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...args], {
    stdio: ["ignore", "pipe", "pipe"]
  })

const listening = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`exit ${code}`)))
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const url = /listens on (\S+),/.exec(line)?.[1]
      if (url !== undefined) resolve(url)
    })
  })

const ended = (child: ChildProcess): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((resolve) => {
    let output = ""
    child.stdout!.on("data", (piece: Buffer) => (output += piece.toString()))
    child.stderr!.on("data", (piece: Buffer) => (output += piece.toString()))
    child.once("close", (code) => resolve({ code, output }))
  })

/** Contents that say themselves whether they are whole. */
const contents = (seed: number): Buffer => {
  const size = seed % 5 === 0 ? 1_500_000 : 1 + ((seed * 7919) % 20_000)
  const body = Buffer.alloc(size, `object ${seed} `)
  return Buffer.concat([createHash("sha256").update(body).digest(), body])
}
const isWhole = (bytes: Buffer): boolean =>
  createHash("sha256").update(bytes.subarray(32)).digest().equals(bytes.subarray(0, 32))

describe("the program dev-s3", () => {
  it.live("refuses wrong flags with one sentence and says how it is used", () =>
    Effect.promise(async () => {
      for (const [flags, sentence] of [
        [["--latency", "soon"], "is not a duration"],
        [["--fail", "put"], "is not OPERATION:CHANCE"],
        [["--addr", "4566"], "is not HOST:PORT"],
        [["--policy", "package.json"], "--policy package.json: not an IAM policy"],
        [["--what"], "Unknown option"]
      ] as const) {
        const { code, output } = await ended(run(...flags))
        assert.strictEqual(code, 1)
        assert.include(output, sentence)
        assert.notInclude(output, "    at ")
      }
      const help = await ended(run("--help"))
      assert.strictEqual(help.code, 0)
      assert.include(help.output, "--lose-answer")
    })
  )

  it.live(
    "killed in the middle of writes it keeps every acknowledged object whole, and shows no half one",
    () =>
      Effect.gen(function* () {
        const dir = yield* temporaryFolder
        yield* Effect.promise(async () => {
          const acknowledged = new Map<string, string>()
          let seed = 0
          for (let round = 0; round < 3; round++) {
            const child = run("--addr", "127.0.0.1:0", "--dir", dir, "--bucket", "bucket")
            const url = await listening(child)
            let stop = false
            const writer = async (name: string): Promise<void> => {
              for (let i = 0; !stop; i++) {
                const key = `${name}/${i % 10}`
                const body = contents(seed++)
                try {
                  const answer = await fetch(`${url}/bucket/${key}`, { method: "PUT", body })
                  if (answer.status === 200) acknowledged.set(key, answer.headers.get("etag")!)
                  // What overwrites it from now on may or may not have landed when the kill comes.
                } catch {
                  acknowledged.delete(key)
                  return
                }
              }
            }
            const writers = ["x", "y", "z"].map((name) => writer(`${round}${name}`))
            const exit = new Promise((resolve) => child.once("exit", resolve))
            setTimeout(() => child.kill("SIGKILL"), 400)
            await exit
            stop = true
            await Promise.all(writers)
          }
          const child = run("--addr", "127.0.0.1:0", "--dir", dir, "--bucket", "bucket")
          const url = await listening(child)
          const listing = await (await fetch(`${url}/bucket?list-type=2`)).text()
          const keys = [...listing.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1]!)
          assert.isAbove(acknowledged.size, 30)
          for (const key of keys) {
            const answer = await fetch(`${url}/bucket/${key}`)
            const body = Buffer.from(await answer.arrayBuffer())
            assert.isTrue(isWhole(body), key)
            assert.strictEqual(answer.headers.get("etag"), `"${createHash("md5").update(body).digest("hex")}"`)
            if (acknowledged.has(key)) assert.strictEqual(answer.headers.get("etag"), acknowledged.get(key))
          }
          for (const key of acknowledged.keys()) assert.include(keys, key)
          child.kill("SIGTERM")
          assert.strictEqual(await new Promise((resolve) => child.once("exit", resolve)), 0)
        })
      }),
    60_000
  )
})
