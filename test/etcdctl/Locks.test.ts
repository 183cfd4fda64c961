/** `etcdctl lock` and `elect`: recipes of the client, made of leases, transactions and watches. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { startEtcdctl } from "../support/etcdctl.ts"
import { type Commands, commands } from "./command.ts"

describe("etcdctl lock and elect", () => {
  let daemon: Daemon
  let ctl: Commands

  beforeAll(async () => {
    daemon = await startDaemon()
    ctl = commands(daemon)
  })
  afterAll(() => daemon?.release())

  it("lock: one holds it, the next has it when the first lets go", async () => {
    const first = startEtcdctl(daemon, ["lock", "mutex"])
    const [key] = await first.lines(1)
    assert.match(key!, /^mutex\/[0-9a-f]+$/)
    const second = startEtcdctl(daemon, ["lock", "mutex"])
    // Its key is there before it waits.
    while ((await ctl.run("get", "mutex/", "--prefix", "--keys-only")).split("\n").length < 5);
    assert.strictEqual(second.output(), "")
    first.stop()
    await first.ended
    const [other] = await second.lines(1)
    assert.match(other!, /^mutex\/[0-9a-f]+$/)
    assert.notStrictEqual(other, key)
    assert.strictEqual(await ctl.run("get", "mutex/", "--prefix", "--keys-only"), `${other}\n\n`)
    second.stop()
    await second.ended
    assert.strictEqual(await ctl.run("get", "mutex/", "--prefix"), "")
  })

  it("lock runs a command while it holds the lock", async () => {
    const output = await ctl.run("lock", "command", "env")
    assert.match(output, /^ETCD_LOCK_KEY=command\/[0-9a-f]+$/m)
    assert.match(output, /^ETCD_LOCK_REV=\d+$/m)
    assert.strictEqual(await ctl.run("get", "command", "--prefix"), "")
  })

  it("a lock whose holder is killed is free when its lease has run out", async () => {
    const holder = startEtcdctl(daemon, ["lock", "dead", "--ttl=2"])
    await holder.lines(1)
    holder.kill()
    await holder.ended
    const next = startEtcdctl(daemon, ["lock", "dead"])
    const [key] = await next.lines(1)
    assert.match(key!, /^dead\//)
    next.stop()
    await next.ended
  })

  it("elect: proposals are seen by who listens, the next candidate follows", async () => {
    const listener = startEtcdctl(daemon, ["elect", "-l", "office"])
    const first = startEtcdctl(daemon, ["elect", "office", "one"])
    const [key, value] = await first.lines(2)
    assert.match(key!, /^office\/[0-9a-f]+$/)
    assert.strictEqual(value, "one")
    assert.deepStrictEqual(await listener.lines(2), [key!, "one"])
    const second = startEtcdctl(daemon, ["elect", "office", "two"])
    while ((await ctl.run("get", "office/", "--prefix", "--keys-only")).split("\n").length < 5);
    assert.strictEqual(second.output(), "")
    first.stop()
    await first.ended
    const [other, proposal] = await second.lines(2)
    assert.strictEqual(proposal, "two")
    assert.deepStrictEqual(await listener.lines(4), [key!, "one", other!, "two"])
    second.stop()
    listener.stop()
    await Promise.all([second.ended, listener.ended])
  })
})
