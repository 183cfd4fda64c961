/** `netsy restore` after a mistake, as an operator does it, and what it refuses. */
import { execFile } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { carryOut, exitCodeOf } from "../../src/programs/restore.ts"
import { readOptions } from "../../src/programs/restore/options.ts"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"

const netsy = process.env["NETSY_TEST_PROGRAM"] ?? new URL("../../bin/netsy", import.meta.url).pathname

describe("netsy restore", () => {
  let daemon: Daemon
  let bucket: string
  let before = 0
  const at = (name: string): string => join(daemon.directory, name)
  const told = async (...args: ReadonlyArray<string>): Promise<string> => {
    const { code, stderr, stdout } = await etcdctl(daemon, args)
    assert.strictEqual(code, 0, stderr)
    return stdout
  }
  /** As a program of its own. */
  const restore = (
    ...args: ReadonlyArray<string>
  ): Promise<{ readonly code: number; readonly out: string; readonly err: string }> =>
    new Promise((resolve) => {
      execFile(netsy, ["restore", ...args], { env: { PATH: process.env["PATH"] } }, (error, out, err) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err })
      )
    })
  const now = Date.parse("2026-11-21T12:00:00Z")
  /** In this process: what it would say, and with which exit code it would end. */
  const refused = async (...args: ReadonlyArray<string>): Promise<string> => {
    try {
      const options = readOptions(args, now)
      const error = await Effect.runPromise(Effect.flip(carryOut(options)))
      return `${exitCodeOf(error)}: ${error.message}`
    } catch (error) {
      return `2: ${(error as Error).message}`
    }
  }
  const here = (): ReadonlyArray<string> => ["--storage", `dir:${bucket}`]
  const contents = (): string =>
    readdirSync(bucket, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".netsy") && !name.startsWith("."))
      .sort()
      .map((name) => `${name} ${readFileSync(join(bucket, name)).toString("base64")}`)
      .join("\n")

  beforeAll(async () => {
    daemon = await startDaemon({ program: "netsy", env: { NETSY_SNAPSHOT_THRESHOLD_RECORDS: "10" } })
    bucket = at("bucket")
    for (let i = 0; i < 8; i++) await told("put", `app/k${i % 4}`, `v${i}`)
    before = Number(
      (JSON.parse(await told("get", "app/k3", "-w", "json")) as { header: { revision: number } }).header.revision
    )
    await told("del", "--prefix", "app/")
    for (let i = 0; i < 4; i++) await told("put", "later", `v${i}`)
  }, 60_000)
  afterAll(() => daemon?.release())

  it("brings back what was deleted, in a store beside the one that goes on, which it leaves as it is", async () => {
    const untouched = contents()
    const { code, err, out } = await restore(...here(), "--revision", String(before), "--to", `dir:${at("again")}`)
    assert.strictEqual(code, 0, err)
    assert.match(out, new RegExp(`^Restored {2}revision ${before} \\(index \\d+, term 1\\), last write 20.*Z$`, "m"))
    assert.match(out, /^Holds {5}4 keys, 0 leases, 0 users$/m)
    assert.include(out, `start a node with --storage dir:${at("again")}`)
    assert.strictEqual(contents(), untouched)
    const again = await startDaemon({ program: "netsy", storage: `dir:${at("again")}` })
    try {
      const found = await etcdctl(again, ["get", "app/", "--prefix"])
      assert.strictEqual(found.stdout.trim(), "app/k0\nv4\napp/k1\nv5\napp/k2\nv6\napp/k3\nv7")
      const older = await etcdctl(again, ["get", "app/k3", "--rev", String(before - 1), "--print-value-only"])
      assert.strictEqual(older.stdout.trim(), "v3")
    } finally {
      await again.release()
    }
    assert.strictEqual((await told("get", "app/", "--prefix")).trim(), "")
  }, 60_000)

  it("writes a file that is what another bucket would begin with, and overwrites none", async () => {
    const file = at("moment.netsy")
    const options = readOptions([...here(), "--revision", String(before), "--file", file], now)
    const { keys, revision } = await Effect.runPromise(carryOut(options))
    assert.deepStrictEqual([keys, revision], [4, before])
    assert.isFalse(existsSync(`${file}.partial`))
    const whole = readFileSync(file)
    const second = await restore(...here(), "--file", file)
    assert.deepStrictEqual([second.code, second.err], [2, `netsy restore: ${file} is there already\n`])
    assert.deepStrictEqual(readFileSync(file), whole)
  }, 60_000)

  it("refuses a target that is the source or holds anything of a cluster", async () => {
    assert.match(
      await refused(...here(), "--to", `dir:${bucket}/`),
      /^2: .* is the source; nothing is restored into itself/
    )
    const chunk = "chunks/0001/0000000000000000001.netsy"
    for (const key of ["members.json", "bootstrap.netsy", chunk, "snapshots/0000000000000000001.netsy"]) {
      const target = at("full")
      mkdirSync(join(target, key, ".."), { recursive: true })
      writeFileSync(join(target, key), "{}")
      assert.strictEqual(
        await refused(...here(), "--to", `dir:${target}`),
        `2: dir:${target} is not empty: it has ${key}`
      )
      rmSync(target, { recursive: true })
    }
  })

  it("says what the bucket does not have, and which object is damaged", async () => {
    const target = ["--to", `dir:${at("none")}`]
    const newer = await restore(...here(), "--revision", "9999", ...target)
    assert.strictEqual(newer.code, 1)
    assert.match(newer.err, /^netsy restore: revision 9999 is newer than the newest, revision \d+ \(index \d+\)$/m)
    assert.match(
      await refused(...here(), "--at", "2001-01-01T00:00:00Z", ...target),
      /^1: 2001-01-01T00:00:00.000Z is older than what the bucket keeps: the oldest to be had is revision 1 /
    )
    mkdirSync(at("empty"))
    assert.strictEqual(await refused("--storage", `dir:${at("empty")}`, ...target), "1: the bucket holds no data")
    const damaged = at("damaged")
    cpSync(bucket, damaged, { recursive: true, filter: (name) => !basename(name).startsWith(".") })
    const chunk = join(damaged, "chunks/0002/0000000000000000002.netsy")
    const body = readFileSync(chunk)
    body[body.length - 9]! ^= 1
    writeFileSync(chunk, body)
    assert.match(
      await refused("--storage", `dir:${damaged}`, "--revision", "3", ...target),
      /^1: chunks\/0002\/0000000000000000002\.netsy: .* at byte \d+/
    )
    assert.isFalse(existsSync(join(at("none"), "bootstrap.netsy")))
  }, 60_000)

  it("explains what is wrong with the command line", async () => {
    for (const [args, words] of [
      [[...here()], /where to\? Give --to WORD or --file PATH/],
      [[...here(), "--to", "dir:a", "--file", "b"], /where to\?/],
      [[...here(), "--file", "b", "--revision", "2", "--at", "2001-01-01T00:00:00Z"], /give one of them/],
      [[...here(), "--file", "b", "--revision", "-1"], /./],
      [[...here(), "--file", "b", "--revision", "1e3"], /--revision is "1e3"; allowed: a whole number/],
      [[...here(), "--file", "b", "--index", "0"], /--index is "0"; allowed: a whole number from 1 on/],
      [[...here(), "--file", "b", "--at", "yesterday"], /--at is "yesterday"; allowed: a time like/],
      [[...here(), "--file", "b", "--at", "2026-11-21T12:00:01Z"], /which is in the future/],
      [[...here(), "--to", "nowhere"], /--to: .*nowhere/s],
      [["--storage", `dir:${at("nothing")}`, "--file", "b"], /there is no directory/],
      [[...here(), "--file", "b", "--help-me"], /--help-me/]
    ] as const) {
      assert.match(await refused(...args), words)
      assert.match(await refused(...args), /^2: /)
    }
  })
})
