/** `netsy verify` on a running node: silent about a whole store, clear about each kind of damage. */
import { execFile } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { findingsTable, isClean } from "../../src/core/verify/findings.ts"
import { changeDigest, type KeyChange, Revisions } from "../../src/core/verify/Revisions.ts"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"

const launcher = new URL("../../src/programs/netsy.ts", import.meta.url).pathname

const bytes = (text: string): Uint8Array => Buffer.from(text)
const put = (key: string, value: string, more: Partial<KeyChange> = {}): KeyChange => ({
  key: bytes(key),
  deleted: false,
  value: bytes(value),
  createRevision: 2,
  version: 1,
  lease: 0n,
  ...more
})

describe("the digest of a change", () => {
  it("differs where key, value, creation, version or lease differ, and of a delete only the key counts", () => {
    const all = [
      put("a", "1"),
      put("a1", ""),
      put("", "a1"),
      put("a", "2"),
      put("a", "1", { createRevision: 3 }),
      put("a", "1", { version: 2 }),
      put("a", "1", { lease: 7n }),
      put("a", "1", { deleted: true })
    ].map(changeDigest)
    assert.strictEqual(new Set(all).size, all.length)
    assert.strictEqual(
      changeDigest(put("a", "1", { deleted: true })),
      changeDigest(put("a", "", { deleted: true, createRevision: 0, version: 0 }))
    )
  })
})

describe("two tellings of a history", () => {
  const telling = (...changes: ReadonlyArray<readonly [number, string, string]>): Revisions => {
    const revisions = new Revisions()
    for (const [revision, key, value] of changes) revisions.add(revision, put(key, value))
    return revisions
  }

  it("are equal whatever the order inside a revision, and differ from the first other revision on", () => {
    const one = telling([2, "a", "1"], [3, "b", "1"], [3, "c", "1"], [4, "a", "2"])
    assert.isUndefined(one.difference(telling([2, "a", "1"], [3, "c", "1"], [3, "b", "1"], [4, "a", "2"]), 2, 4))
    assert.strictEqual(one.difference(telling([2, "a", "1"], [3, "b", "1"], [4, "a", "2"]), 2, 4), 3)
    assert.strictEqual(one.difference(telling([2, "a", "1"]), 2, 4), 3)
    assert.isUndefined(one.hole(2, 4))
    assert.strictEqual(telling([2, "a", "1"], [4, "a", "2"]).hole(2, 4), 3)
    assert.deepStrictEqual([one.first, one.last, one.size], [2, 4, 3])
  })
})

describe("the table of findings", () => {
  it("marks what is bad and counts it", () => {
    const good = { subject: "bucket", check: "is whole", ok: true, detail: "3 chunks" }
    const text = findingsTable([good, { ...good, ok: false, detail: "broken" }])
    assert.match(text, /^ok +bucket +is whole +3 chunks$/m)
    assert.match(text, /^BAD +bucket +is whole +broken$/m)
    assert.match(text, /2 checks, 1 BAD$/)
    assert.isTrue(isClean([good]))
  })
})

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

  it("says which node does not answer", async () => {
    const { code, out } = await verify(...here(), "--endpoints", `${daemon.endpoint},127.0.0.1:1`)
    assert.strictEqual(code, 1)
    assert.match(out, /^BAD +127.0.0.1:1 +the node answers/m)
  })

  it("says in a sentence what is missing on the command line", async () => {
    const { code, err } = await verify("--storage", `dir:${bucket}`)
    assert.strictEqual(code, 1)
    assert.include(err, "--cacert, --cert and --key are needed")
  })
})
