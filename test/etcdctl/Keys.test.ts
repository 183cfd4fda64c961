/** Debian's etcdctl against the server: what a person types first. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, isEtcd, startDaemon } from "../support/daemon.ts"
import { etcdctl, startEtcdctl } from "../support/etcdctl.ts"

describe.each([
  ["plain text", false],
  ["TLS", true]
])("etcdctl over %s", (_, tls) => {
  let daemon: Daemon

  beforeAll(async () => {
    daemon = await startDaemon({ tls })
  })
  afterAll(() => daemon?.release())

  /** Output of a command that succeeds. */
  const run = async (...args: ReadonlyArray<string>): Promise<string> => {
    const { code, stderr, stdout } = await etcdctl(daemon, args)
    assert.strictEqual(code, 0, stderr)
    return stdout
  }
  /** Message of a command that fails. */
  const fail = async (...args: ReadonlyArray<string>): Promise<string> => {
    const { code, stderr, stdout } = await etcdctl(daemon, args)
    assert.notStrictEqual(code, 0, stdout)
    return stderr
  }
  const revision = async (): Promise<number> => {
    const answer = JSON.parse(await run("get", "no such key", "-w", "json")) as { header: { revision: number } }
    return answer.header.revision
  }

  it("put, get, del", async () => {
    assert.strictEqual(await run("put", "a", "1"), "OK\n")
    assert.strictEqual(await run("get", "a"), "a\n1\n")
    assert.strictEqual(await run("put", "a", "2", "--prev-kv"), "OK\na\n1\n")
    assert.strictEqual(await run("get", "a", "--print-value-only"), "2\n")
    assert.strictEqual(await run("del", "a", "--prev-kv"), "1\na\n2\n")
    assert.strictEqual(await run("del", "a"), "0\n")
    assert.strictEqual(await run("get", "a"), "")
    const piped = await etcdctl(daemon, ["put", "piped"], "from standard input")
    assert.strictEqual(piped.stdout, "OK\n")
    assert.strictEqual(await run("get", "piped", "-w", "simple"), "piped\nfrom standard input\n")
  })

  it("get with --prefix, --from-key, --keys-only, --limit, --sort-by, --order, --rev, --consistency", async () => {
    for (const [key, value] of [
      ["s/b", "1"],
      ["s/a", "3"],
      ["s/c", "2"],
      ["s/a", "0"]
    ])
      await run("put", key!, value!)
    const now = await revision()
    assert.strictEqual(await run("get", "s/", "--prefix"), "s/a\n0\ns/b\n1\ns/c\n2\n")
    assert.strictEqual(await run("get", "s/", "--prefix", "--keys-only"), "s/a\n\ns/b\n\ns/c\n\n")
    assert.strictEqual(await run("get", "s/", "--prefix", "--limit=2"), "s/a\n0\ns/b\n1\n")
    assert.strictEqual(await run("get", "s/", "--prefix", "--order=DESCEND"), "s/c\n2\ns/b\n1\ns/a\n0\n")
    assert.strictEqual(
      await run("get", "s/", "--prefix", "--sort-by=VALUE", "--order=DESCEND", "--limit=1"),
      "s/c\n2\n"
    )
    assert.strictEqual(await run("get", "s/", "--prefix", "--sort-by=CREATE"), "s/b\n1\ns/a\n0\ns/c\n2\n")
    assert.strictEqual(await run("get", "s/", "--prefix", "--sort-by=MODIFY"), "s/b\n1\ns/c\n2\ns/a\n0\n")
    assert.strictEqual(await run("get", "s/", "--prefix", "--sort-by=VERSION"), "s/b\n1\ns/c\n2\ns/a\n0\n")
    assert.strictEqual(await run("get", "s/a", `--rev=${now - 1}`), "s/a\n3\n")
    assert.strictEqual(await run("get", "s/", "--prefix", `--rev=${now - 3}`), "s/b\n1\n")
    assert.strictEqual(await run("get", "s/a", "--consistency=s"), "s/a\n0\n")
    assert.strictEqual(await run("get", "s/b", "s/d"), "s/b\n1\ns/c\n2\n")
    assert.strictEqual(await run("get", "s/b", "--from-key", "--limit=1"), "s/b\n1\n")
    assert.include(await run("get", "s/", "--prefix", "-w", "fields", "--limit=1"), `"More" : true\n"Count" : 3\n`)
    assert.include(await run("get", "", "--prefix", "--keys-only"), "s/a\n")
    assert.include(
      await fail("get", "s/a", `--rev=${now + 1000}`),
      "etcdserver: mvcc: required revision is a future revision"
    )
  })

  it("txn", async () => {
    await run("del", "t", "--prefix")
    const script = 'ver("t/a") = "0"\n\nput t/a 1\nput t/b 1\nget t/a\n\nget t/a\ndel t/b\n\n'
    const first = await etcdctl(daemon, ["txn"], script)
    assert.strictEqual(first.stdout, "SUCCESS\n\nOK\n\nOK\n\nt/a\n1\n")
    const second = await etcdctl(daemon, ["txn"], script)
    assert.strictEqual(second.stdout, "FAILURE\n\nt/a\n1\n\n1\n")
    const twice = await etcdctl(daemon, ["txn"], "\n\nput t/a 1\nput t/a 2\n\n\n")
    assert.include(twice.stderr, "etcdserver: duplicate key given in txn request")
  })

  it("watch: live, by prefix, with --prev-kv, and from an old revision", async () => {
    await run("put", "w/a", "1")
    const start = await revision()
    const live = startEtcdctl(daemon, ["watch", "w/", "--prefix", "--prev-kv"])
    const old = startEtcdctl(daemon, ["watch", "w/a", `--rev=${start}`])
    assert.deepStrictEqual(await old.lines(3), ["PUT", "w/a", "1"])
    // The first watch says nothing when it is ready: write until it has seen something.
    let writes = 1
    while (live.output() === "") await run("put", "w/a", `${++writes}`)
    const seen = await live.lines(5)
    assert.deepStrictEqual(seen.slice(0, 3), ["PUT", "w/a", seen[2]!])
    assert.strictEqual(Number(seen[4]), Number(seen[2]) + 1)
    await run("del", "w/a")
    const all = await old.lines(3 * writes + 3)
    assert.deepStrictEqual(all, [
      ...Array.from({ length: writes }, (_, i) => ["PUT", "w/a", `${i + 1}`]).flat(),
      "DELETE",
      "w/a",
      ""
    ])
    live.stop()
    old.stop()
    await Promise.all([live.ended, old.ended])
  })

  it("compact: the past is refused, a watch from there is cancelled, the present stays", async () => {
    await run("put", "c", "1")
    await run("put", "c", "2")
    const now = await revision()
    assert.strictEqual(await run("compact", String(now)), `compacted revision ${now}\n`)
    assert.include(await fail("get", "c", `--rev=${now - 1}`), "etcdserver: mvcc: required revision has been compacted")
    assert.include(await fail("compact", String(now)), "etcdserver: mvcc: required revision has been compacted")
    assert.include(await fail("compact", String(now + 100)), "etcdserver: mvcc: required revision is a future revision")
    const watch = startEtcdctl(daemon, ["watch", "c", `--rev=${now - 1}`])
    assert.notStrictEqual(await watch.ended, 0)
    assert.include(watch.output(), "watch was canceled (etcdserver: mvcc: required revision has been compacted)")
    assert.strictEqual(await run("get", "c", `--rev=${now}`), "c\n2\n")
    await run("put", "c", "3")
    assert.strictEqual(await run("compact", String(now + 1), "--physical"), `compacted revision ${now + 1}\n`)
    assert.strictEqual(await run("get", "c"), "c\n3\n")
  })

  it("endpoint status, endpoint health, member list, alarm list", async () => {
    const table = await run("endpoint", "status", "-w", "table")
    assert.include(table, "| IS LEADER |")
    const cells = table
      .split("\n")[3]!
      .split("|")
      .map((cell) => cell.trim())
    assert.include(cells[1], daemon.endpoint)
    assert.match(cells[2]!, /^[0-9a-f]+$/)
    if (!isEtcd) assert.strictEqual(cells[3], "3.7.1")
    assert.strictEqual(cells[5], "true")
    assert.strictEqual(cells[6], "false")
    assert.isAtLeast(Number(cells[7]), 1)
    assert.strictEqual(cells[10], "")

    const [status] = JSON.parse(await run("endpoint", "status", "-w", "json")) as ReadonlyArray<{
      readonly Status: {
        readonly header: { readonly member_id: number }
        readonly leader: number
        readonly dbSize: number
      }
    }>
    assert.strictEqual(status!.Status.leader, status!.Status.header.member_id)
    assert.isAbove(status!.Status.dbSize, 0)

    // etcdctl 3.4 prints health on standard error.
    const health = await etcdctl(daemon, ["endpoint", "health"])
    assert.strictEqual(health.code, 0)
    assert.match(health.stdout + health.stderr, /is healthy: successfully committed proposal/)

    const members = JSON.parse(await run("member", "list", "-w", "json")) as {
      readonly members: ReadonlyArray<{
        readonly name: string
        readonly ID: number
        readonly clientURLs: ReadonlyArray<string>
      }>
    }
    assert.strictEqual(members.members.length, 1)
    assert.strictEqual(members.members[0]!.name, tls && !isEtcd ? "dev-node-1" : "node-1")
    assert.strictEqual(members.members[0]!.ID, status!.Status.header.member_id)
    assert.include(members.members[0]!.clientURLs[0], daemon.endpoint)
    assert.include(await run("member", "list", "-w", "table"), "| started |")
    assert.strictEqual(await run("alarm", "list"), "")
  })

  it("keeps everything over a stop and a start, history for watches included", async () => {
    const start = (await revision()) + 1
    await run("put", "kept", "first")
    await run("put", "kept", "yes")
    const before = await revision()
    assert.strictEqual(await daemon.stop(), isEtcd ? null : 0)
    await daemon.start()
    assert.strictEqual(await run("get", "kept"), "kept\nyes\n")
    assert.strictEqual(await revision(), before)
    const watch = startEtcdctl(daemon, ["watch", "kept", `--rev=${start}`, "--prev-kv"])
    const first = ["PUT", "kept", "first"]
    assert.deepStrictEqual(await watch.lines(8), [...first, "PUT", "kept", "first", "kept", "yes"])
    await run("del", "kept")
    assert.deepStrictEqual((await watch.lines(13)).slice(8), ["DELETE", "kept", "yes", "kept", ""])
    watch.stop()
    await watch.ended
  })
})
