/** `etcdctl snapshot`: the way out. What is saved is restored into Debian's etcd, and everything is there. */
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, startDaemon } from "../support/daemon.ts"
import { type Commands, commands, grant } from "./command.ts"

/** Bytes of the checksum behind the database. */
const checksumBytes = 32
const pageBytes = 512

describe("etcdctl snapshot", () => {
  let daemon: Daemon
  let ctl: Commands
  let file: string

  beforeAll(async () => {
    daemon = await startDaemon()
    ctl = commands(daemon)
    file = join(daemon.directory, "saved.db")
  })
  afterAll(() => daemon?.release())

  /** Starts Debian's etcd on what `snapshot restore` makes of the file. */
  const restored = async <A>(use: (etcd: Commands, restarted: Daemon) => Promise<A>): Promise<A> => {
    const directory = join(daemon.directory, "restored")
    await ctl.run("snapshot", "restore", file, `--data-dir=${directory}`)
    const etcd = await startDaemon({ program: "etcd", args: [`--data-dir=${directory}`] })
    try {
      return await use(commands(etcd), etcd)
    } finally {
      await etcd.release()
      rmSync(directory, { recursive: true })
    }
  }
  const save = async (): Promise<void> => {
    rmSync(file, { force: true })
    assert.include(await ctl.run("snapshot", "save", file), `Snapshot saved at ${file}\n`)
    assert.strictEqual(statSync(file).size % pageBytes, checksumBytes)
  }
  const everything = ["get", "", "--prefix", "-w", "json"]
  const kvsOf = (output: string): unknown => (JSON.parse(output) as { readonly kvs: unknown }).kvs

  it("save and status, and an etcd that starts from it with every key, revision and lease", async () => {
    const lease = await grant(ctl, 1000)
    const empty = await grant(ctl, 500)
    for (let i = 0; i < 30; i++) await ctl.run("put", `k/${i % 10}`, `value ${i}`)
    await ctl.run("put", "leased/a", "1", `--lease=${lease}`)
    await ctl.run("put", "leased/b", "1", `--lease=${lease}`)
    const compacted = (await ctl.revision()) - 12
    await ctl.run("compaction", String(compacted), "--physical")
    await ctl.run("del", "k/3")
    await ctl.feed(`\n\nput t/1 ${"x".repeat(10_000)}\nput t/2 2\ndel k/4\n\n\n`, "txn")
    await save()
    const status = JSON.parse(await ctl.run("snapshot", "status", file, "-w", "json")) as Record<string, number>
    assert.strictEqual(status["revision"], await ctl.revision())
    assert.isAbove(status["totalKey"]!, 15)
    assert.isAtLeast(status["totalSize"]!, statSync(file).size - checksumBytes)

    const revision = await ctl.revision()
    const here = kvsOf(await ctl.run(...everything))
    const before = kvsOf(await ctl.run(...everything, `--rev=${revision - 2}`))
    const hash = (await ctl.run("endpoint", "hashkv")).split(", ")[1]
    await restored(async (etcd, server) => {
      assert.strictEqual(await etcd.revision(), revision)
      assert.deepStrictEqual(kvsOf(await etcd.run(...everything)), here)
      assert.deepStrictEqual(kvsOf(await etcd.run(...everything, `--rev=${revision - 2}`)), before)
      assert.strictEqual((await etcd.run("endpoint", "hashkv")).split(", ")[1], hash)
      const past = await etcd.fail("get", "k/1", `--rev=${compacted - 1}`)
      assert.include(past, "etcdserver: mvcc: required revision has been compacted")
      assert.deepStrictEqual(
        new Set((await etcd.run("lease", "list")).trim().split("\n").slice(1)),
        new Set([lease, empty])
      )
      assert.match(
        await etcd.run("lease", "timetolive", lease, "--keys"),
        /granted with TTL\(1000s\), remaining\(\d+s\), attached keys\(\[leased\/[ab] leased\/[ab]\]\)/
      )
      assert.strictEqual(await etcd.run("lease", "revoke", lease), `lease ${lease} revoked\n`)
      assert.strictEqual(await etcd.run("get", "leased/", "--prefix"), "")
      assert.strictEqual(await etcd.run("put", "new", "1"), "OK\n")
      await server.stop()
      await server.start()
      assert.strictEqual(await etcd.run("get", "new"), "new\n1\n")
      assert.strictEqual(await etcd.revision(), revision + 2)
    })
  })

  it("users, roles and the switch of authentication come with it", async () => {
    await ctl.run("user", "add", "root:secret")
    await ctl.run("user", "add", "kim:word")
    await ctl.run("role", "add", "reader")
    await ctl.run("role", "grant-permission", "--prefix", "reader", "read", "k/")
    await ctl.run("user", "grant-role", "kim", "reader")
    await ctl.run("auth", "enable")
    const root = commands(daemon, ["--user=root:secret"])
    rmSync(file, { force: true })
    await root.run("snapshot", "save", file)
    await restored(async (etcd, server) => {
      assert.include(await etcd.fail("get", "k/1"), "etcdserver: user name is empty")
      const kim = commands(server, ["--user=kim:word"])
      assert.strictEqual(await kim.run("get", "k/1"), "k/1\nvalue 21\n")
      assert.include(await kim.fail("put", "k/1", "1"), "etcdserver: permission denied")
      const chief = commands(server, ["--user=root:secret"])
      assert.strictEqual(await chief.run("user", "list"), "kim\nroot\n")
      assert.strictEqual(await chief.run("role", "list"), "reader\nroot\n")
    })
    await root.run("auth", "disable")
  })

  it("an etcd refuses a file that was changed on the way", async () => {
    await save()
    const bytes = readFileSync(file)
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(file, bytes)
    const said = await ctl.fail("snapshot", "restore", file, `--data-dir=${join(daemon.directory, "damaged")}`)
    assert.include(said, "expected sha256")
  })
})
