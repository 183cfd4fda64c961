/** Every example is run as a program of its own, in an empty directory, and says what the documentation says it says. */
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { startDevS3 } from "../../src/programs/dev-s3/server.ts"

const examples = fileURLToPath(new URL("../../examples", import.meta.url))
const source = fileURLToPath(new URL("source.ts", import.meta.url))
const directory = mkdtempSync(join(tmpdir(), "netsy-examples-"))
const exec = promisify(execFile)
const millisMax = 60_000
const run = new Set<string>()

afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Lines on standard output, when it ends with 0 and has nothing to say on standard error. */
const outputOf = async (
  name: string,
  cwd: string,
  env: Readonly<Record<string, string>> = {}
): Promise<ReadonlyArray<string>> => {
  run.add(name)
  const { stderr, stdout } = await exec(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--import", source, join(examples, name)],
    { cwd, env: { ...process.env, ...env }, timeout: millisMax }
  )
  assert.strictEqual(stderr, "")
  return stdout.trimEnd().split("\n")
}

const place = (): string => mkdtempSync(join(directory, "run-"))

describe.concurrent("an example", () => {
  it("keeps a count in a directory", { timeout: millisMax }, async () => {
    const cwd = place()
    assert.deepStrictEqual(await outputOf("directory.ts", cwd), ["run 1, revision 2"])
    assert.deepStrictEqual(await outputOf("directory.ts", cwd), ["run 2, revision 3"])
  })
  it("keeps greetings in S3, and finds them again without its disk", { timeout: millisMax }, async () => {
    const server = await startDevS3({ dir: place(), bucket: ["greetings"], addr: "127.0.0.1:0", faults: {}, seed: 1 })
    const env = {
      BUCKET: "s3://greetings/example",
      AWS_ENDPOINT_URL_S3: server.url,
      AWS_S3_USE_PATH_STYLE: "true",
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any"
    }
    try {
      assert.deepStrictEqual(await outputOf("s3.ts", place(), env), ["2 greetings: hallo, hello"])
      assert.deepStrictEqual(await outputOf("s3.ts", place(), env), ["2 greetings: hallo, hello"])
    } finally {
      await server.close()
    }
  })
  it("runs three nodes in a process, and goes on without the Primary", { timeout: millisMax }, async () => {
    const lines = await outputOf("cluster.ts", place())
    const primary = /^(.) is active/m.exec(lines.join("\n"))?.[1]
    assert.ok(primary !== undefined)
    const others = ["a", "b", "c"].filter((id) => id !== primary)
    const counts = Object.fromEntries(["a", "b", "c"].map((id) => [id, id === primary ? "active" : "replica"]))
    assert.deepStrictEqual(lines, [
      ...Object.entries(counts).map(([id, role]) => `${id} is ${role} and sees 3 keys`),
      `${primary} is cut off`,
      ...others.map((id) => `${id} sees 4 keys`),
      `${primary} is back and sees 4 keys`
    ])
  })
  it("encrypts everything on its way to the bucket", { timeout: millisMax }, async () => {
    const [first, second] = await outputOf("customStore.ts", place())
    assert.strictEqual(first, "a secret")
    assert.match(second!, /^0 of [1-9]\d* files in the bucket can be read by others$/)
  })
  it("counts to thirty under a lock", { timeout: millisMax }, async () => {
    assert.deepStrictEqual(await outputOf("lock.ts", place()), ["counter: 30", "still locked: false"])
  })
  it("does every job, also that of a worker that died", { timeout: millisMax }, async () => {
    const lines = await outputOf("queue.ts", place())
    assert.strictEqual(lines[0], "worker 0 has claimed queue/jobs/000000000 and dies")
    assert.strictEqual(lines.at(-1), "0 jobs are left")
    const greeted = lines.slice(1, -1).map((line) => /^worker [12]: hello (\w+)$/.exec(line)?.[1])
    assert.deepStrictEqual([...greeted].sort(), ["Ada", "Alan", "Barbara", "Edsger", "Grace", "Leslie"])
    assert.strictEqual(greeted.at(-1), "Ada")
  })
})

describe("the examples", () => {
  it("begin with the one that docs/embedding.md begins with", () => {
    const [, shown] = /```ts\n(.*?)```/s.exec(readFileSync(join(examples, "../docs/embedding.md"), "utf8")) ?? []
    const program = readFileSync(join(examples, "directory.ts"), "utf8")
    assert.strictEqual(program.slice(program.indexOf("import")), shown)
  })
  it("have all been run", () => {
    const programs = readdirSync(examples).filter((name) => name.endsWith(".ts"))
    assert.deepStrictEqual([...run].sort(), programs.sort())
  })
})
