/** `etcdctl user`, `role` and `auth`. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type Daemon, isEtcd, startDaemon } from "../support/daemon.ts"
import { startEtcdctl } from "../support/etcdctl.ts"
import { type Commands, commands, grant } from "./command.ts"

describe("etcdctl user, role, auth", () => {
  let daemon: Daemon
  let ctl: Commands
  let root: Commands

  beforeAll(async () => {
    daemon = await startDaemon()
    ctl = commands(daemon)
    root = commands(daemon, ["--user=root:secret"])
  })
  afterAll(() => daemon?.release())

  it("users and roles are added, granted, listed and changed", async () => {
    assert.include(await ctl.fail("auth", "enable"), "etcdserver: root user does not exist")
    assert.strictEqual(await ctl.run("user", "add", "root:secret"), "User root created\n")
    assert.strictEqual(await ctl.run("user", "add", "nobody", "--no-password"), "User nobody created\n")
    assert.strictEqual(await ctl.feed("first\n", "user", "add", "kim", "--interactive=false"), "User kim created\n")
    assert.include(await ctl.fail("user", "add", "kim:x"), "etcdserver: user name already exists")
    assert.strictEqual(await ctl.run("user", "list"), "kim\nnobody\nroot\n")

    assert.strictEqual(await ctl.run("role", "add", "reader"), "Role reader created\n")
    assert.include(await ctl.fail("role", "add", "reader"), "etcdserver: role name already exists")
    for (const permission of [
      ["reader", "read", "a"],
      ["reader", "write", "b", "d"],
      ["--prefix", "reader", "readwrite", "p/"],
      ["--from-key", "reader", "read", "z"]
    ]) {
      assert.strictEqual(await ctl.run("role", "grant-permission", ...permission), "Role reader updated\n")
    }
    const permissions =
      "Role reader\nKV Read:\n\ta\n\t[p/, p0) (prefix p/)\n\t[z, <open ended>\n" +
      "KV Write:\n\t[b, d)\n\t[p/, p0) (prefix p/)\n"
    assert.strictEqual(await ctl.run("role", "get", "reader"), permissions)
    assert.strictEqual(await ctl.run("role", "list"), "reader\n")

    assert.strictEqual(await ctl.run("user", "grant-role", "kim", "reader"), "Role reader is granted to user kim\n")
    assert.include(await ctl.fail("user", "grant-role", "kim", "none"), "etcdserver: role name not found")
    assert.include(await ctl.fail("user", "get", "none"), "etcdserver: user name not found")
    assert.strictEqual(await ctl.run("user", "get", "kim"), "User: kim\nRoles: reader\n")
    assert.strictEqual(await ctl.run("user", "get", "kim", "--detail"), `User: kim\n\n${permissions}`)
    assert.strictEqual(
      await ctl.run("role", "revoke-permission", "reader", "b", "d"),
      "Permission of range [b, d) is revoked from role reader\n"
    )
    const again = await ctl.fail("role", "revoke-permission", "reader", "b", "d")
    assert.include(again, "etcdserver: permission is not granted to the role")
  })

  it("auth enable: who is nobody is refused, a user may do what his roles say, root everything", async () => {
    for (const key of ["a", "b", "p/1", "zz"]) await ctl.run("put", key, key.toUpperCase())
    // It makes the role root and grants it to the user root, being told that it is missing.
    assert.strictEqual(await ctl.run("auth", "enable"), "Authentication Enabled\n")
    assert.include(await ctl.fail("get", "a"), "etcdserver: user name is empty")
    // Up to 3.4 everybody may list the members, and every user may compact.
    if (!isEtcd) assert.include(await ctl.fail("member", "list"), "etcdserver: user name is empty")

    const kim = commands(daemon, ["--user=kim:first"])
    const wrong = await commands(daemon, ["--user=kim:wrong"]).fail("get", "a")
    assert.include(wrong, "etcdserver: authentication failed, invalid user ID or password")
    assert.strictEqual(await kim.run("get", "a"), "a\nA\n")
    assert.strictEqual(await kim.run("get", "p/", "--prefix"), "p/1\nP/1\n")
    assert.strictEqual(await kim.run("get", "zz", "--from-key"), "zz\nZZ\n")
    assert.strictEqual(await kim.run("put", "p/2", "2"), "OK\n")
    for (const refused of [
      ["put", "a", "1"],
      ["get", "b"],
      ["get", "a", "c"],
      ["get", "", "--prefix"],
      ["del", "p", "q"],
      ["user", "list"],
      ["role", "list"],
      ["compaction", "2"]
    ]) {
      if (refused[0] === "compaction" && isEtcd) continue
      assert.include(await kim.fail(...refused), "etcdserver: permission denied", refused.join(" "))
    }
    const txn = 'mod("a") > "0"\n\nput p/3 3\n\nput b 2\n\n'
    const outcome = await kim.feed(txn, "txn").then(
      () => "done",
      (error: Error) => error.message
    )
    assert.include(outcome, "etcdserver: permission denied")
    assert.strictEqual(await kim.run("get", "p/3"), "")
    assert.strictEqual(await kim.run("user", "get", "kim"), "User: kim\nRoles: reader\n")

    const watch = startEtcdctl(daemon, ["--user=kim:first", "watch", "p/", "--prefix", "--rev=1"])
    assert.deepStrictEqual((await watch.lines(6)).slice(0, 3), ["PUT", "p/1", "P/1"])
    watch.stop()
    await watch.ended
    const refused = startEtcdctl(daemon, ["--user=kim:first", "watch", "b"])
    await refused.ended
    assert.include(refused.output(), "permission denied")

    const lease = await grant(root, 100)
    assert.strictEqual(await root.run("put", "b", "leased", `--lease=${lease}`), "OK\n")
    assert.include(await kim.fail("lease", "revoke", lease), "etcdserver: permission denied")
    assert.include(await kim.fail("lease", "timetolive", lease, "--keys"), "etcdserver: permission denied")
    assert.strictEqual(await root.run("lease", "revoke", lease), `lease ${lease} revoked\n`)
  })

  it("a changed password and a taken role count at once, and after a restart", async () => {
    assert.strictEqual(
      await root.feed("second\n", "user", "passwd", "kim", "--interactive=false"),
      "Password updated\n"
    )
    const old = await commands(daemon, ["--user=kim:first"]).fail("get", "a")
    assert.include(old, "etcdserver: authentication failed, invalid user ID or password")
    const kim = commands(daemon, ["--user=kim:second"])
    assert.strictEqual(await kim.run("get", "a"), "a\nA\n")
    await daemon.stop()
    await daemon.start()
    assert.include(await ctl.fail("get", "a"), "etcdserver: user name is empty")
    assert.strictEqual(await kim.run("get", "a"), "a\nA\n")
    assert.strictEqual(await root.run("user", "revoke-role", "kim", "reader"), "Role reader is revoked from user kim\n")
    assert.include(await kim.fail("get", "a"), "etcdserver: permission denied")
    assert.include(
      await root.fail("user", "revoke-role", "kim", "reader"),
      "etcdserver: role is not granted to the user"
    )
  })

  it("root stays while auth is on; auth disable lets everybody in again", async () => {
    assert.include(await root.fail("user", "delete", "root"), "etcdserver: invalid auth management")
    assert.include(await root.fail("role", "delete", "root"), "etcdserver: invalid auth management")
    assert.strictEqual(await root.run("role", "delete", "reader"), "Role reader deleted\n")
    assert.strictEqual(await root.run("user", "delete", "kim"), "User kim deleted\n")
    assert.strictEqual(await root.run("auth", "disable"), "Authentication Disabled\n")
    assert.strictEqual(await ctl.run("get", "a"), "a\nA\n")
    assert.strictEqual(await ctl.run("user", "delete", "root"), "User root deleted\n")
    assert.strictEqual(await ctl.run("user", "list"), "nobody\n")
  })
})
