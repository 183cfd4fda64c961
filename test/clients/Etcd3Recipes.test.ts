/** npm's `etcd3`: namespaces, leases, locks, elections, software transactions, and watches as it builds them. */
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Election, EtcdLockFailedError, type Etcd3, type ISTMOptions, type Lease } from "etcd3"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { connect, events, failure, show } from "./etcd3.ts"

describe("etcd3's recipes", () => {
  let daemon: Daemon
  let client: Etcd3

  beforeAll(async () => {
    daemon = await startDaemon()
    client = connect(daemon)
  })
  afterAll(async () => {
    client?.close()
    await daemon?.release()
  })

  const untilGone = async (key: string): Promise<void> => {
    for (const until = Date.now() + 20_000; (await client.get(key).string()) !== null; await sleep(100)) {
      assert.isBelow(Date.now(), until, `${key} is still there`)
    }
  }

  it("namespaces: every kind of request stays below its prefix", async () => {
    const team = client.namespace("team/")
    const inner = team.namespace("inner/")
    await team.put("a").value("1")
    await inner.put("b").value("2")
    await client.put("teamwork").value("not theirs")
    assert.strictEqual(await client.get("team/inner/b").string(), "2")
    assert.deepStrictEqual(await team.getAll().strings(), { a: "1", "inner/b": "2" })
    assert.deepStrictEqual(await inner.getAll().keys(), ["b"])
    const watcher = await team.watch().prefix("inner/").create()
    const seen = events(watcher, 2)
    const done = await team.if("a", "Value", "==", "1").then(inner.put("b").value("3")).commit()
    assert.isTrue(done.succeeded)
    await inner.delete().all()
    assert.deepStrictEqual(
      (await seen).map(([type, kv]) => `${type} ${kv.key.toString()}`),
      ["put inner/b", "delete inner/b"]
    )
    await watcher.cancel()
    await team.delete().all()
    assert.strictEqual(await client.get("teamwork").string(), "not theirs")
  })

  it("leases: kept alive by themselves, gone when let go, with an event when they are lost", async () => {
    const lease = client.lease(2)
    await lease.put("leased/a").value("1")
    const other = client.lease(2, { autoKeepAlive: false })
    await other.put("leased/b").value("1")
    const id = await lease.grant()
    assert.match(id, /^\d+$/)
    await untilGone("leased/b")
    await once(lease, "keepaliveSucceeded")
    assert.strictEqual(await client.get("leased/a").string(), "1")
    const { TTL, grantedTTL, keys } = await client.leaseClient.leaseTimeToLive({ ID: id, keys: true })
    assert.strictEqual(grantedTTL, "2")
    assert.isAtMost(Number(TTL), 2)
    assert.deepStrictEqual(
      keys.map((key) => key.toString()),
      ["leased/a"]
    )
    const listed = await client.leaseClient.leaseLeases()
    assert.include(
      listed.leases.map((one) => one.ID),
      id
    )
    const lost = new Promise<Error>((resolve) => lease.on("lost", resolve))
    await client.leaseClient.leaseRevoke({ ID: id })
    assert.strictEqual(await client.get("leased/a").string(), null)
    assert.include((await lost).message, "is expired or revoked")

    const third: Lease = client.lease(60)
    await third.put("leased/c").value("1")
    await third.keepaliveOnce()
    await third.revoke()
    assert.strictEqual(await client.get("leased/c").string(), null)
  })

  it("a lease lives on over a restart of the server", async () => {
    const lease = client.lease(5)
    await lease.put("restart").value("1")
    await daemon.kill9()
    await daemon.start()
    await sleep(6000)
    assert.strictEqual(await client.get("restart").string(), "1")
    await lease.revoke()
  })

  it("locks: one holder, a second one fails or waits its turn", async () => {
    const lock = client.lock("lock").ttl(5)
    await lock.acquire()
    const refused = await failure(client.lock("lock").acquire())
    assert.instanceOf(refused, EtcdLockFailedError)
    await lock.release()
    let inside = 0
    let most = 0
    let done = 0
    const work = async (): Promise<void> => {
      inside++
      most = Math.max(most, inside)
      await sleep(2)
      inside--
      done++
    }
    const clients = Array.from({ length: 5 }, () => connect(daemon))
    await Promise.all(
      clients.map(async (one) => {
        for (let mine = 0; mine < 4;) {
          try {
            await one.lock("lock").do(work)
            mine++
          } catch (error) {
            if (!(error instanceof EtcdLockFailedError)) throw error
            await sleep(5)
          }
        }
      })
    )
    for (const one of clients) one.close()
    assert.deepStrictEqual([done, most], [20, 1])
  })

  it("elections: one leader, observers see proclamations and the next one", async () => {
    const other = connect(daemon)
    const office: Election = client.election("office", 5)
    assert.strictEqual(await office.leader(), undefined)
    const first = office.campaign("one")
    await first.wait()
    assert.strictEqual(await other.election("office").leader(), "one")
    const observer = await other.election("office").observe()
    const changes: Array<string | undefined> = []
    const change = (wanted: string): Promise<void> =>
      new Promise((resolve) => {
        observer.on("change", (leader) => {
          changes.push(leader)
          if (leader === wanted) resolve()
        })
        if (observer.leader() === wanted) resolve()
      })
    await change("one")
    const seen = change("one again")
    await first.proclaim("one again")
    await seen
    const second = other.election("office", 5).campaign("two")
    const next = change("two")
    await first.resign()
    await second.wait()
    await next
    assert.strictEqual(await office.leader(), "two")
    await second.resign()
    await observer.cancel()
    other.close()
  })

  it.each([
    ["serializable snapshots", 0],
    ["serializable", 1],
    ["repeatable reads", 2]
  ] as ReadonlyArray<readonly [name: string, isolation: ISTMOptions["isolation"]]>)(
    "software transactions: a counter loses nothing with %s",
    async (name, isolation) => {
      const key = `stm/${name}`
      await client.put(key).value("0")
      const clients = Array.from({ length: 4 }, () => connect(daemon))
      await Promise.all(
        clients.map(async (one) => {
          for (let n = 0; n < 5; n++) {
            await one.stm({ isolation, retries: 1000 }).transact(async (tx) => {
              const value = Number(await tx.get(key).string())
              await tx.put(key).value(String(value + 1))
              await tx.put(`${key}/copy`).value(String(value + 1))
            })
          }
        })
      )
      for (const one of clients) one.close()
      assert.strictEqual(await client.get(key).string(), "20")
      assert.strictEqual(await client.get(`${key}/copy`).string(), "20")
      await client.stm().transact(async (tx) => {
        assert.strictEqual(await tx.get(key).string(), "20")
        await tx.delete().key(key)
        assert.strictEqual(await tx.get(key).string(), null)
      })
      assert.strictEqual(await client.get(key).string(), null)
    }
  )

  it("watch builders: ranges, filters, previous values, progress, and a reconnection", async () => {
    const range = await client.watch().inRange({ start: "b/1", end: "b/3" }).withPreviousKV().create()
    const onlyDeletes = await client.watch().prefix("b/").only("delete").create()
    const inRange = events(range, 4)
    const deletes = events(onlyDeletes, 2)
    for (const n of [0, 1, 2, 3]) await client.put(`b/${n}`).value("x")
    await client.delete().key("b/2")
    await client.delete().key("b/3")
    await client.put("b/1").value("y")
    assert.deepStrictEqual(
      (await inRange).map((one) => show(one).replace(/@.*/, "")),
      ["put b/1=x", "put b/2=x", "delete b/2=", "put b/1=y"]
    )
    assert.deepStrictEqual(
      (await deletes).map((one) => show(one).replace(/@.*/, "")),
      ["delete b/2=", "delete b/3="]
    )
    await onlyDeletes.cancel()

    const again = events(range, 2)
    const connected = once(range, "connected")
    await daemon.kill9()
    await daemon.start()
    await client.put("b/1").value("after")
    await connected
    await client.put("b/2").value("later")
    assert.deepStrictEqual(
      (await again).map((one) => show(one).replace(/@.*/, "")),
      ["put b/1=after", "put b/2=later"]
    )
    await range.cancel()
  })
})
