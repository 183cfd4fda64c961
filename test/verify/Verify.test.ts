/** `netsy verify` on running nodes: silent about a whole store, clear about each kind of damage and about a node that differs. */
import { execFile } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"

const launcher = new URL("../../src/programs/netsy.ts", import.meta.url).pathname

describe("netsy verify", () => {
  let daemon: Daemon
  let bucket: string
  beforeAll(async () => {
    daemon = await startDaemon({ program: "netsy", env: { NETSY_SNAPSHOT_THRESHOLD_RECORDS: "20" } })
    bucket = join(daemon.directory, "bucket")
    for (let i = 0; i < 30; i++) assert.strictEqual((await etcdctl(daemon, ["put", `k${i % 4}`, `v${i}`])).code, 0)
    await etcdctl(daemon, ["del", "k1"])
    await etcdctl(daemon, ["compact", "9"])
    for (let i = 0; i < 5; i++) await etcdctl(daemon, ["put", "late", `v${i}`])
  })
  afterAll(() => daemon?.release())

  const verify = (
    ...args: ReadonlyArray<string>
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> =>
    new Promise((resolve) => {
      const all = ["--disable-warning=ExperimentalWarning", launcher, "verify", ...args]
      execFile(process.execPath, all, { env: { PATH: process.env["PATH"] } }, (error, out, err) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err })
      )
    })
  const here = (): ReadonlyArray<string> => ["--storage", `dir:${bucket}`, "--insecure"]

  const lastChunks = (): ReadonlyArray<string> =>
    readdirSync(join(bucket, "chunks"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".netsy"))
      .map((name) => join(bucket, "chunks", name))
      .sort((a, b) => (a.slice(-25) < b.slice(-25) ? -1 : 1))

  it("finds nothing wrong with a node that was written to, and names what it looked at", async () => {
    const { code, out } = await verify(...here())
    assert.strictEqual(code, 0, out)
    assert.include(out, "nothing wrong")
    assert.match(out, /a watch tells the history +every revision of 10 … /)
    assert.match(out, /and the bucket tells the same/)
    assert.match(out, /HashKV is that of the bucket's history +revision \d+, compacted 9, hash/)
    assert.match(out, /serializable reads show the bucket's contents +4 keys at revision/)
  })

  it("names a damaged object, and a hole where an object is gone", async () => {
    const chunk = lastChunks().at(-2)!
    const whole = readFileSync(chunk)
    const damaged = Buffer.from(whole)
    damaged[60] = damaged[60]! ^ 1
    writeFileSync(chunk, damaged)
    const broken = await verify(...here())
    assert.strictEqual(broken.code, 1)
    assert.match(broken.out, /^BAD +bucket +every object is readable +1 of \d+ are not, first chunks\//m)
    rmSync(chunk)
    const holed = await verify(...here(), "--bucket-only")
    assert.strictEqual(holed.code, 1)
    assert.match(holed.out, /^BAD +bucket +a reader finds the history .* no object holds index/m)
    writeFileSync(chunk, whole)
    assert.strictEqual((await verify(...here(), "--bucket-only")).code, 0)
  })

  it("says which node does not answer, with the exit code for what could not be looked at", async () => {
    const { code, out } = await verify(...here(), "--endpoints", `${daemon.endpoint},127.0.0.1:1`)
    assert.strictEqual(code, 2, out)
    assert.match(out, /^\? +127.0.0.1:1 +the node answers/m)
    const gone = await verify("--storage", `dir:${bucket}/nothing`, "--insecure")
    assert.strictEqual(gone.code, 2)
    assert.match(gone.err, /there is no directory/)
  })

  it("prints one line of JSON when asked to", async () => {
    const { code, out } = await verify(...here(), "--json")
    assert.strictEqual(code, 0, out)
    assert.deepInclude(JSON.parse(out) as object, { verdict: "ok", bad: 0, unknown: 0 })
  })

  it("finds a node whose store is not the bucket's", async () => {
    const other = await startDaemon({ program: "netsy" })
    try {
      for (let i = 0; i < 35; i++) await etcdctl(other, ["put", `k${i % 4}`, i === 20 ? "other" : `v${i}`])
      const { code, out } = await verify(...here(), "--endpoints", other.endpoint)
      assert.strictEqual(code, 1, out)
      assert.match(out, /^BAD +nodes +HashKV is that of the bucket's history +.*the nodes have \d+, the bucket \d+/m)
      assert.match(out, /^BAD +\S+ +serializable reads show the bucket's contents/m)
      assert.match(out, /^BAD +\S+ +and the bucket tells the same +they differ at revision \d+/m)
      const both = await verify(...here(), "--endpoints", `${daemon.endpoint},${other.endpoint}`)
      assert.strictEqual(both.code, 1, both.out)
      assert.match(both.out, /^BAD +nodes +HashKV is equal at one revision/m)
    } finally {
      await other.release()
    }
  })

  it("says in a sentence what is missing on the command line", async () => {
    const { code, err } = await verify("--storage", `dir:${bucket}`)
    assert.strictEqual(code, 2)
    assert.include(err, "--cacert, --cert and --key are needed")
  })
})
