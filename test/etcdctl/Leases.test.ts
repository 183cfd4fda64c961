/** `etcdctl lease …`: what it prints, and that keys live as long as their lease. */
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { startEtcdctl } from "../support/etcdctl.ts"
import { type Commands, commands, grant } from "./command.ts"

describe("etcdctl lease", () => {
  let daemon: Daemon
  let ctl: Commands

  beforeAll(async () => {
    daemon = await startDaemon()
    ctl = commands(daemon)
  })
  afterAll(() => daemon?.release())

  const hold = async (lease: string, ...keys: ReadonlyArray<string>): Promise<void> => {
    for (const key of keys) assert.strictEqual(await ctl.run("put", key, "held", `--lease=${lease}`), "OK\n")
  }

  it("grant, timetolive, list, keep-alive --once, revoke", async () => {
    assert.strictEqual(await ctl.run("lease", "list"), "found 0 leases\n")
    const one = await grant(ctl, 100)
    const other = await grant(ctl, 300)
    await hold(one, "a", "b")
    const left = new RegExp(`^lease ${one} granted with TTL\\(100s\\), remaining\\((\\d+)s\\)`)
    const seconds = Number(left.exec(await ctl.run("lease", "timetolive", one))?.[1])
    assert.isAtMost(seconds, 100)
    assert.isAtLeast(seconds, 60)
    assert.match(await ctl.run("lease", "timetolive", one, "--keys"), /, attached keys\(\[(a b|b a)\]\)\n$/)
    assert.deepStrictEqual(
      new Set((await ctl.run("lease", "list")).split("\n")),
      new Set(["found 2 leases", one, other, ""])
    )
    assert.strictEqual(await ctl.run("lease", "keep-alive", "--once", one), `lease ${one} keepalived with TTL(100)\n`)

    const before = await ctl.revision()
    assert.strictEqual(await ctl.run("lease", "revoke", one), `lease ${one} revoked\n`)
    assert.strictEqual(await ctl.revision(), before + 1)
    assert.strictEqual(await ctl.run("get", "a", "c"), "")
    assert.strictEqual(await ctl.run("lease", "timetolive", one), `lease ${one} already expired\n`)
    assert.include(await ctl.fail("lease", "revoke", one), "etcdserver: requested lease not found")
    assert.include(await ctl.fail("lease", "keep-alive", "--once", one), "etcdserver: requested lease not found")
    assert.include(await ctl.fail("put", "a", "1", `--lease=${one}`), "etcdserver: requested lease not found")
    assert.strictEqual(await ctl.run("lease", "revoke", other), `lease ${other} revoked\n`)
    assert.strictEqual(await ctl.revision(), before + 1)
  })

  it("all keys of a lease that runs out are deleted in one revision, which a watch sees", async () => {
    const lease = await grant(ctl, 1)
    const start = await ctl.revision()
    await hold(lease, "x/b", "x/a", "x/c")
    await ctl.run("put", "x/b", "free")
    const watch = startEtcdctl(daemon, ["watch", "x/", "--prefix", `--rev=${start + 5}`, "-w", "json"])
    const [line] = await watch.lines(1)
    const seen = JSON.parse(line!) as {
      readonly Events: ReadonlyArray<{ type: number; kv: { key: string; mod_revision: number } }>
    }
    assert.deepStrictEqual(
      seen.Events.map(({ kv, type }) => [type, Buffer.from(kv.key, "base64").toString(), kv.mod_revision]),
      [
        [1, "x/a", start + 5],
        [1, "x/c", start + 5]
      ]
    )
    watch.stop()
    await watch.ended
    assert.strictEqual(await ctl.run("get", "x/", "--prefix", "--keys-only"), "x/b\n\n")
    assert.strictEqual(await ctl.run("lease", "timetolive", lease), `lease ${lease} already expired\n`)
  })

  it("keep-alive holds a lease over its time, and no longer", { timeout: 60_000 }, async () => {
    const lease = await grant(ctl, 3)
    await hold(lease, "kept")
    const alive = startEtcdctl(daemon, ["lease", "keep-alive", lease], 50_000)
    await alive.lines(5)
    assert.strictEqual(await ctl.run("get", "kept", "--print-value-only"), "held\n")
    alive.stop()
    await alive.ended
    assert.strictEqual(await ctl.run("get", "kept", "--print-value-only"), "held\n")
    for (let i = 0; (await ctl.run("get", "kept")) !== ""; i++) {
      assert.isBelow(i, 100, "the key outlives its lease")
      await sleep(200)
    }
  })

  it("leases and what is attached to them are there after a restart, with their full time", async () => {
    const lease = await grant(ctl, 200)
    await hold(lease, "restart")
    await daemon.kill9()
    await daemon.start()
    const left = await ctl.run("lease", "timetolive", lease, "--keys")
    assert.match(left, /granted with TTL\(200s\), remaining\((200|19\d)s\), attached keys\(\[restart\]\)/)
    assert.strictEqual(await ctl.run("lease", "revoke", lease), `lease ${lease} revoked\n`)
    assert.strictEqual(await ctl.run("get", "restart"), "")
  })
})
