/** `etcdctl check`: its own judgement of speed and memory. The minute of `check perf` is in `make test-etcdctl` only. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"
import { commands } from "./command.ts"

const withPerf = process.env["NETSY_ETCDCTL_PERF"] === "true"

describe("etcdctl check", () => {
  let daemon: Daemon

  beforeAll(async () => {
    daemon = await startDaemon()
  })
  afterAll(() => daemon?.release())

  it(
    "datascale: 10,000 keys of 1 KiB are held, then deleted, compacted and defragmented",
    { timeout: 120_000 },
    async () => {
      const { code, stderr, stdout } = await etcdctl(daemon, [
        "check",
        "datascale",
        "--load=s",
        "--auto-compact",
        "--auto-defrag"
      ])
      process.stdout.write(`${stdout.slice(stdout.lastIndexOf("PASS"))}\n`)
      assert.strictEqual(code, 0, stderr + stdout)
      assert.match(stdout, /PASS: Approximate system memory used : [\d.]+ MB\./)
      assert.strictEqual(await commands(daemon).run("get", "/etcdctl-check-datascale/", "--prefix", "--keys-only"), "")
    }
  )

  if (!withPerf) return
  it("perf: a minute of 150 writes/s", { timeout: 180_000 }, async () => {
    const { code, stderr, stdout } = await etcdctl(daemon, ["check", "perf", "--load=s"])
    const verdict = stdout.slice(stdout.search(/(PASS|FAIL)/))
    process.stdout.write(`${verdict}\n`)
    assert.strictEqual(code, 0, stderr + stdout)
    assert.match(verdict, /^PASS: Throughput is \d+ writes\/s/m)
    assert.match(verdict, /^PASS: Slowest request took/m)
    assert.match(verdict, /^PASS: Stddev is/m)
    assert.notInclude(verdict, "FAIL")
  })
})
