/** etcdctl and the npm client `etcd3` with users, against the server as a process. */
import { execFile } from "node:child_process"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Etcd3, EtcdAuthenticationFailedError, EtcdPermissionDeniedError, Range } from "etcd3"
import { type Daemon, isEtcd, startDaemon } from "../support/daemon.ts"

describe("real clients with authentication", () => {
  let daemon: Daemon
  beforeAll(async () => {
    daemon = await startDaemon({ env: { NETSY_AUTH_BCRYPT_COST: "4" } })
  })
  afterAll(() => daemon?.release())

  /** What etcdctl prints, errors included; its own log lines left out. */
  const etcdctl = (...args: ReadonlyArray<string>): Promise<string> =>
    new Promise((resolve) =>
      execFile(
        "etcdctl",
        args,
        { env: { PATH: process.env["PATH"], ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: daemon.endpoint } },
        (_error, out, err) =>
          resolve(
            `${out}${err}`
              .split("\n")
              .filter((line) => line !== "" && !line.startsWith("{"))
              .join("\n")
          )
      )
    )
  const asRoot = (...args: ReadonlyArray<string>): Promise<string> => etcdctl("--user", "root:pw", ...args)
  const asAlice = (...args: ReadonlyArray<string>): Promise<string> => etcdctl("--user", "alice:secret", ...args)

  /** Debian's etcd shows what was granted to it: nothing. */
  const rights = isEtcd ? "" : "\n\t[, <open ended> (prefix )"
  const rootRole = `Role root\nKV Read:${rights}\nKV Write:${rights}`

  it("etcdctl turns it on and administers users and roles", async () => {
    assert.strictEqual(await etcdctl("auth", "enable"), "Error: etcdserver: root user does not exist")
    assert.strictEqual(await etcdctl("user", "add", "root:pw"), "User root created")
    // It makes the role root by itself when that is missing.
    assert.strictEqual(await etcdctl("auth", "enable", "--user", "root:pw"), "Authentication Enabled")
    assert.strictEqual(await asRoot("role", "list"), "root")
    assert.strictEqual(await asRoot("role", "get", "root"), rootRole)
    assert.strictEqual(await etcdctl("put", "a", "1"), "Error: etcdserver: user name is empty")
    assert.strictEqual(
      await etcdctl("--user", "root:wrong", "put", "a", "1"),
      "Error: etcdserver: authentication failed, invalid user ID or password"
    )
    assert.strictEqual(await asRoot("put", "a", "1"), "OK")
    assert.strictEqual(await asRoot("role", "add", "app"), "Role app created")
    await asRoot("role", "grant-permission", "app", "readwrite", "app/", "--prefix")
    await asRoot("role", "grant-permission", "app", "read", "a")
    assert.strictEqual(
      await asRoot("role", "get", "app"),
      ["Role app", "KV Read:", "\ta", "\t[app/, app0) (prefix app/)", "KV Write:", "\t[app/, app0) (prefix app/)"].join(
        "\n"
      )
    )
    await asRoot("user", "add", "alice:secret")
    assert.strictEqual(await asRoot("user", "grant-role", "alice", "app"), "Role app is granted to user alice")
    assert.strictEqual(await asRoot("user", "get", "alice"), "User: alice\nRoles: app")
    assert.strictEqual(await asRoot("user", "list"), "alice\nroot")
    assert.strictEqual(await asRoot("user", "delete", "root"), "Error: etcdserver: invalid auth management")
  })

  it("etcdctl as a user may do what the role says", async () => {
    const refused = "Error: etcdserver: permission denied"
    assert.strictEqual(await asAlice("put", "app/1", "x"), "OK")
    assert.strictEqual(await asAlice("get", "app/", "--prefix", "--keys-only"), "app/1")
    assert.strictEqual(await asAlice("get", "a"), "a\n1")
    assert.strictEqual(await asAlice("put", "a", "2"), refused)
    assert.strictEqual(await asAlice("get", "", "--prefix"), refused)
    if (!isEtcd) assert.strictEqual(await asAlice("compaction", "2"), refused)
    assert.strictEqual(await asAlice("user", "list"), refused)
    assert.strictEqual(await asAlice("user", "get", "alice"), "User: alice\nRoles: app")
    assert.strictEqual(
      await asAlice("watch", "b"),
      "watch was canceled (rpc error: code = PermissionDenied desc = etcdserver: permission denied)\nError: watch is canceled by the server"
    )
    assert.strictEqual(await asAlice("del", "app/", "--prefix"), "1")
  })

  it("etcd3 logs in, is refused what it may not do, and watches", async () => {
    const client = new Etcd3({
      hosts: `http://${daemon.endpoint}`,
      auth: { username: "alice", password: "secret" }
    })
    const failed = async (call: () => PromiseLike<unknown>): Promise<unknown> => {
      try {
        await call()
        return undefined
      } catch (error) {
        return error
      }
    }
    const watcher = await client.watch().prefix("app/").create()
    const event = new Promise<string>((resolve) => watcher.on("put", (kv) => resolve(kv.value.toString())))
    await client.put("app/2").value("seen")
    assert.strictEqual(await event, "seen")
    assert.strictEqual(await client.get("app/2").string(), "seen")
    assert.instanceOf(await failed(() => client.put("b").value("1").exec()), EtcdPermissionDeniedError)
    assert.instanceOf(await failed(() => client.getAll().all().strings()), EtcdPermissionDeniedError)
    // A token ends with another password: the client logs in again by itself, as long as its password is right.
    await asRoot("user", "add", "bob:one")
    await asRoot("user", "grant-role", "bob", "app")
    const bob = new Etcd3({ hosts: `http://${daemon.endpoint}`, auth: { username: "bob", password: "one" } })
    assert.strictEqual(await bob.get("app/2").string(), "seen")
    const root = new Etcd3({ hosts: `http://${daemon.endpoint}`, auth: { username: "root", password: "pw" } })
    await root.user("bob").setPassword("one")
    assert.strictEqual(await bob.get("app/2").string(), "seen")
    await root.user("bob").setPassword("two")
    assert.instanceOf(await failed(() => bob.get("app/2").string()), EtcdAuthenticationFailedError)
    const role = await root.role("made").create()
    await role.grant([
      { permission: "Read", range: Range.prefix("m/") },
      { permission: "Readwrite", key: "n" }
    ])
    assert.deepStrictEqual(
      (await role.permissions()).map(({ permission, range }) => [permission, String(range.start), String(range.end)]),
      [
        ["Read", "m/", "m0"],
        ["Readwrite", "n", ""]
      ]
    )
    await role.revoke({ permission: "Read", range: Range.prefix("m/") })
    await role.addUser("bob")
    assert.deepStrictEqual(
      (await root.user("bob").roles()).map(({ name }) => name),
      ["app", "made"]
    )
    await role.delete()
    assert.deepStrictEqual(
      (await root.getRoles()).map(({ name }) => name),
      ["app", "root"]
    )
    await watcher.cancel()
    for (const one of [client, bob, root]) one.close()
  })

  it("etcdctl turns it off again", async () => {
    assert.strictEqual(await asAlice("auth", "disable"), "Error: etcdserver: permission denied")
    assert.strictEqual(await asRoot("auth", "disable"), "Authentication Disabled")
    assert.strictEqual(await etcdctl("get", "a"), "a\n1")
  })
})
