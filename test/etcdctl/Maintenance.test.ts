/** `etcdctl endpoint`, `member`, `alarm`, `defrag`, `move-leader`, and the quota behind the alarm. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, isEtcd, startDaemon } from "../support/daemon.ts"
import { etcdctl } from "../support/etcdctl.ts"
import { type Commands, commands, grant } from "./command.ts"

const quotaBytes = 2 ** 20 * 4
const quota = isEtcd
  ? { args: [`--quota-backend-bytes=${quotaBytes}`] }
  : { env: { NETSY_LIMITS_QUOTA_BYTES: `${quotaBytes}` } }

describe("etcdctl's commands about the server", () => {
  let daemon: Daemon
  let ctl: Commands

  beforeAll(async () => {
    daemon = await startDaemon(quota)
    ctl = commands(daemon)
  })
  afterAll(() => daemon?.release())

  const memberId = async (): Promise<string> => (await ctl.run("member", "list")).split(",")[0]!

  it("endpoint hashkv is the hash that etcd has for the same history", async () => {
    const other = await startDaemon({ program: "etcd" })
    try {
      const etcd = commands(other)
      // The same lease ids, which are part of what is hashed: none.
      for (const { feed, run } of [ctl, etcd]) {
        await run("put", "h/a", "1")
        await run("put", "h/b", "2")
        await run("del", "h/a")
        await feed("\n\nput h/b 3\nput h/c 4\ndel h/none\n\n\n", "txn")
        await run("del", "h/", "--prefix")
        await run("put", "h/a", "5")
      }
      const hash = async ({ run }: Commands): Promise<string> =>
        (await run("endpoint", "hashkv")).trim().split(", ")[1]!
      assert.match(await hash(ctl), /^\d+$/)
      assert.strictEqual(await hash(ctl), await hash(etcd))
      for (const one of [ctl, etcd]) await one.run("compaction", "4", "--physical")
      await ctl.run("put", "h/d", "6")
      assert.notStrictEqual(await hash(ctl), await hash(etcd))
      await etcd.run("put", "h/d", "6")
      // Since 3.4.34 a tombstone at the compact revision is kept and not hashed: nothing of that kind is in here.
      assert.strictEqual(await hash(ctl), await hash(etcd))
    } finally {
      await other.release()
    }
  })

  it("endpoint status and health with --cluster, which asks the addresses of the member list", async () => {
    const status = await ctl.run("endpoint", "status", "--cluster")
    assert.include(status, daemon.endpoint)
    assert.include(status, await memberId())
    const health = await etcdctl(daemon, ["endpoint", "health", "--cluster"])
    assert.strictEqual(health.code, 0)
    assert.match(health.stdout + health.stderr, /is healthy: successfully committed proposal/)
    assert.include(await ctl.run("endpoint", "hashkv", "--cluster"), daemon.endpoint)
    const fields = await ctl.run("endpoint", "status", "-w", "fields")
    for (const field of ["ClusterID", "MemberID", "Revision", "RaftTerm", "RaftIndex", "DBSize", "Leader"]) {
      assert.match(fields, new RegExp(`^"${field}" : [1-9]\\d*$`, "m"))
    }
  })

  it("member update, remove, promote and move-leader of a member that is not there say so", async () => {
    const none = "1234"
    const url = "--peer-urls=http://127.0.0.1:1"
    if (isEtcd) {
      for (const command of [
        ["update", none, url],
        ["remove", none],
        ["promote", none]
      ]) {
        assert.include(await ctl.fail("member", ...command), "etcdserver: member not found")
      }
    } else {
      for (const command of [
        ["add", "x", url],
        ["update", none, url],
        ["remove", none],
        ["promote", none]
      ]) {
        assert.match(await ctl.fail("member", ...command), /Error: (etcdserver|netsy): .+|Error: .*desc = /)
      }
    }
    assert.include(await ctl.fail("move-leader", none), "etcdserver: bad leader transferee")
    assert.strictEqual((await ctl.run("member", "list")).split("\n").length, 2)
  })

  it("defrag", async () => {
    assert.strictEqual(await ctl.run("defrag"), `Finished defragmenting etcd member[${daemon.endpoint}]\n`)
    assert.strictEqual(await ctl.run("get", "h/a"), "h/a\n5\n")
  })

  it("a full database takes no writes but deletes, until there is room and the alarm is disarmed", async () => {
    const value = "v".repeat(2 ** 20)
    let written = 0
    for (; ; written++) {
      const put = await etcdctl(daemon, ["put", `big/${written}`], value)
      if (put.code === 0) {
        assert.isBelow(written, 8)
        continue
      }
      assert.include(put.stderr, "etcdserver: mvcc: database space exceeded")
      break
    }
    assert.isAbove(written, 0)
    const id = await memberId()
    const alarm = `memberID:${BigInt(`0x${id}`)} alarm:NOSPACE \n`
    assert.strictEqual(await ctl.run("alarm", "list"), alarm)
    assert.include(await ctl.run("endpoint", "status"), "alarm:NOSPACE")
    assert.include(await ctl.fail("put", "small", "1"), "etcdserver: mvcc: database space exceeded")
    assert.include(await ctl.fail("lease", "grant", "60"), "etcdserver: mvcc: database space exceeded")
    assert.strictEqual(await ctl.run("get", "h/a"), "h/a\n5\n")

    assert.strictEqual(await ctl.run("del", "big/", "--prefix"), `${written}\n`)
    await ctl.run("compaction", String(await ctl.revision()), "--physical")
    await ctl.run("defrag")
    assert.include(await ctl.fail("put", "small", "1"), "etcdserver: mvcc: database space exceeded")
    assert.strictEqual(await ctl.run("alarm", "disarm"), alarm)
    assert.strictEqual(await ctl.run("alarm", "list"), "")
    assert.strictEqual(await ctl.run("put", "small", "1"), "OK\n")
    await grant(ctl, 60)
  })
})
