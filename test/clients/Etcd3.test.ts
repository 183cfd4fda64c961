/** The npm client `etcd3` against the server, in plain text and over TLS. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Etcd3, type IWatchResponse, Range } from "etcd3"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { connect, events, failure, show } from "./etcd3.ts"

describe.each([
  ["plain text", false],
  ["TLS", true]
])("etcd3 over %s", (_, tls) => {
  let daemon: Daemon
  let client: Etcd3

  beforeAll(async () => {
    daemon = await startDaemon({ tls })
    client = connect(daemon)
  })
  afterAll(async () => {
    client?.close()
    await daemon?.release()
  })

  it("puts, gets and deletes", async () => {
    const first = await client.put("basic/a").value("1")
    const second = await client.put("basic/a").value("2").getPrevious()
    assert.strictEqual(second.value.toString(), "1")
    assert.strictEqual(second.mod_revision, first.header.revision)
    const got = await client.get("basic/a").exec()
    assert.strictEqual(got.kvs[0]!.value.toString(), "2")
    assert.strictEqual(got.kvs[0]!.version, "2")
    assert.strictEqual(got.kvs[0]!.create_revision, first.header.revision)
    assert.strictEqual(got.header.revision, String(Number(first.header.revision) + 1))
    assert.strictEqual(await client.get("basic/none").string(), null)
    const old = await client.get("basic/a").revision(first.header.revision).string()
    assert.strictEqual(old, "1")
    const deleted = await client.delete().key("basic/a").getPrevious()
    assert.deepStrictEqual(
      deleted.map((kv) => kv.value.toString()),
      ["2"]
    )
    assert.strictEqual((await client.delete().key("basic/a").exec()).deleted, "0")
    assert.strictEqual(await client.get("basic/a").string(), null)
  })

  it("runs transactions: compares, both branches, several keys at one revision", async () => {
    const swap = (from: string, to: string) =>
      client
        .if("txn/a", "Value", "==", from)
        .then(client.put("txn/a").value(to), client.put("txn/b").value(to))
        .else(client.get("txn/a"))
        .commit()
    assert.strictEqual((await swap("0", "1")).succeeded, false)
    await client.put("txn/a").value("0")
    const won = await swap("0", "1")
    assert.strictEqual(won.succeeded, true)
    const all = await client.getAll().prefix("txn/").exec()
    assert.deepStrictEqual(
      all.kvs.map((kv) => [kv.key.toString(), kv.value.toString(), kv.mod_revision]),
      [
        ["txn/a", "1", won.header.revision],
        ["txn/b", "1", won.header.revision]
      ]
    )
    const lost = await swap("0", "2")
    assert.strictEqual(lost.succeeded, false)
    assert.strictEqual(lost.responses[0]!.response_range.kvs[0]!.value.toString(), "1")
    const created = await client.if("txn/new", "Create", "==", 0).then(client.put("txn/new").value("x")).commit()
    assert.strictEqual(created.succeeded, true)
  })

  it("keeps keys and values of any bytes, in byte order", async () => {
    const keys = [
      Buffer.from([0x01, 0x00]),
      Buffer.from([0x01, 0x00, 0x00]),
      Buffer.from([0x01, 0x7f]),
      Buffer.from([0x01, 0x80, 0xc0]),
      Buffer.from([0x01, 0xff]),
      Buffer.from([0x01, 0xff, 0xff])
    ]
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    for (const key of keys.toReversed()) await client.put(key).value(Buffer.concat([key, everyByte]))
    const all = await client
      .getAll()
      .inRange(Range.prefix(Buffer.from([0x01])))
      .exec()
    assert.deepStrictEqual(
      all.kvs.map((kv) => kv.key.toString("hex")),
      keys.map((key) => key.toString("hex"))
    )
    for (const [i, kv] of all.kvs.entries()) assert.isTrue(kv.value.equals(Buffer.concat([keys[i]!, everyByte])))
    const high = await client
      .getAll()
      .inRange(Range.prefix(Buffer.from([0x01, 0xff])))
      .count()
    assert.strictEqual(high, 2)
  })

  it("stores values of 1.4 MiB and shows them to a watch with what they replaced", async () => {
    const value = Buffer.alloc(1_468_006, "netsy ")
    const other = Buffer.alloc(1_468_006, "other ")
    const watcher = await client.watch().key("large").withPreviousKV().create()
    const two = events(watcher, 2)
    await client.put("large").value(value)
    await client.put("large").value(other)
    assert.isTrue((await client.get("large").buffer())!.equals(other))
    const [first, second] = await two
    assert.isTrue(first![1].value.equals(value))
    assert.isTrue(second![1].value.equals(other))
    await watcher.cancel()
    const revision = first![1].mod_revision
    assert.isTrue((await client.get("large").revision(revision).buffer())!.equals(value))
  })

  it("lists 10,000 keys by prefix, whole, limited, counted and sorted", { timeout: 60_000 }, async () => {
    const name = (i: number) => `list/${String(i).padStart(5, "0")}`
    for (let start = 0; start < 10_000; start += 1000) {
      await Promise.all(
        Array.from({ length: 10 }, (_, part) =>
          client
            .if("list", "Version", "==", 0)
            .then(
              ...Array.from({ length: 100 }, (_, i) =>
                client.put(name(start + part * 100 + i)).value(`v${start + part * 100 + i}`)
              )
            )
            .commit()
        )
      )
    }
    const all = await client.getAll().prefix("list/").exec()
    assert.strictEqual(all.count, "10000")
    assert.strictEqual(all.more, false)
    assert.deepStrictEqual(
      all.kvs.map((kv) => [kv.key.toString(), kv.value.toString()]),
      Array.from({ length: 10_000 }, (_, i) => [name(i), `v${i}`])
    )
    const page = await client.getAll().prefix("list/").limit(500).exec()
    assert.deepStrictEqual([page.kvs.length, page.more, page.count], [500, true, "10000"])
    assert.strictEqual(await client.getAll().prefix("list/").count(), 10_000)
    const last = await client.getAll().prefix("list/").sort("Key", "Descend").limit(3).keys()
    assert.deepStrictEqual(last, [name(9999), name(9998), name(9997)])
    const deleted = await client.delete().prefix("list/").exec()
    assert.strictEqual(deleted.deleted, "10000")
  })

  it("watches from an old revision: all history, then live, each event once", async () => {
    const start = Number((await client.put("old/0").value("0")).header.revision)
    for (let i = 1; i <= 300; i++) await client.put(`old/${i % 7}`).value(`${i}`)
    await client.delete().key("old/0").exec()
    const watcher = await client.watch().prefix("old/").startRevision(String(start)).create()
    const seen = events(watcher, 312)
    for (let i = 0; i < 10; i++) await client.put("old/live").value(`${i}`)
    const got = (await seen).map(show)
    assert.deepStrictEqual(
      got.slice(0, 301),
      Array.from({ length: 301 }, (_, i) => `put old/${i % 7}=${i}@${start + i}`)
    )
    assert.strictEqual(got[301], `delete old/0=@${start + 301}`)
    assert.deepStrictEqual(
      got.slice(302),
      Array.from({ length: 10 }, (_, i) => `put old/live=${i}@${start + 302 + i}`)
    )
    await watcher.cancel()
  })

  it("serves many watches on one stream, and cancels one without the others", async () => {
    const watchers = await Promise.all(Array.from({ length: 50 }, (_, i) => client.watch().key(`many/${i}`).create()))
    const each = watchers.map((watcher) => events(watcher, 2))
    for (let i = 0; i < 50; i++) await client.put(`many/${i}`).value("first")
    const first = watchers[0]!
    await client.put("many/0").value("second")
    await each[0]
    await first.cancel()
    for (let i = 1; i < 50; i++) await client.put(`many/${i}`).value("second")
    const all = await Promise.all(each)
    assert.deepStrictEqual(
      all.map((seen) => seen.map(([, kv]) => kv.value.toString())),
      all.map(() => ["first", "second"])
    )
    for (const watcher of watchers.slice(1)) await watcher.cancel()
  })

  it("ends a watch from a compacted revision with the compact revision, and refuses reads below it", async () => {
    const start = Number((await client.put("compact/a").value("1")).header.revision)
    await client.put("compact/a").value("2")
    await client.put("compact/a").value("3")
    await client.kv.compact({ revision: String(start + 2), physical: true })

    const stream = await client.watchClient.watch()
    const messages: Array<IWatchResponse> = []
    const ended = new Promise<void>((resolve) => {
      stream.on("data", (message: IWatchResponse) => {
        messages.push(message)
        if (message.canceled) resolve()
      })
    })
    stream.write({
      create_request: {
        key: Buffer.from("compact/a"),
        start_revision: String(start),
        progress_notify: false,
        prev_kv: false
      }
    })
    await ended
    stream.cancel()
    assert.deepStrictEqual(
      messages.map(({ canceled, compact_revision, created }) => [created, canceled, compact_revision]),
      [
        [true, false, "0"],
        [false, true, String(start + 2)]
      ]
    )

    const refused = await failure(client.get("compact/a").revision(String(start)).string())
    assert.include(refused.message, "etcdserver: mvcc: required revision has been compacted")
    const again = await failure(client.kv.compact({ revision: String(start) }))
    assert.include(again.message, "etcdserver: mvcc: required revision has been compacted")
    const future = await failure(client.kv.compact({ revision: "1000000000" }))
    assert.include(future.message, "etcdserver: mvcc: required revision is a future revision")

    const watcher = await client
      .watch()
      .key("compact/a")
      .startRevision(String(start + 2))
      .create()
    assert.deepStrictEqual((await events(watcher, 1)).map(show), [`put compact/a=3@${start + 2}`])
    await watcher.cancel()
  })

  it("counts exactly with compare-and-swap from 50 clients at once", { timeout: 120_000 }, async () => {
    const clients = Array.from({ length: 50 }, () => connect(daemon))
    const perClient = 4
    await client.put("counter").value("0")
    const before = (await client.get("counter").exec()).kvs[0]!
    let attempts = 0
    await Promise.all(
      clients.map(async (one) => {
        let current = before
        for (let done = 0; done < perClient;) {
          attempts++
          const next = String(Number(current.value.toString()) + 1)
          const answer = await one
            .if("counter", "Mod", "==", Number(current.mod_revision))
            .then(one.put("counter").value(next), one.get("counter"))
            .else(one.get("counter"))
            .commit()
          if (answer.succeeded) done++
          current = answer.responses.at(-1)!.response_range.kvs[0]!
        }
      })
    )
    for (const one of clients) one.close()
    const end = (await client.get("counter").exec()).kvs[0]!
    assert.strictEqual(end.value.toString(), String(50 * perClient))
    assert.strictEqual(Number(end.mod_revision) - Number(before.mod_revision), 50 * perClient)
    assert.isAtLeast(attempts, 50 * perClient)
  })
})
