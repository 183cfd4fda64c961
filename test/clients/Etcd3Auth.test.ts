/** npm's `etcd3`: users, roles, and what they may do. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  type Etcd3,
  EtcdAuthenticationFailedError,
  EtcdPermissionDeniedError,
  EtcdRoleExistsError,
  EtcdRoleNotFoundError,
  EtcdRoleNotGrantedError,
  EtcdUserExistsError,
  EtcdUserNotFoundError,
  Range
} from "etcd3"
import { type Daemon, isEtcd, startDaemon } from "../support/daemon.ts"
import { connect, events, failure } from "./etcd3.ts"

describe("etcd3 with authentication", () => {
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

  it("makes users and roles, and knows their errors", async () => {
    const reader = client.role("reader")
    await reader.create()
    assert.instanceOf(await failure(reader.create()), EtcdRoleExistsError)
    await reader.grant({ permission: "Read", range: Range.prefix("shared/") })
    await reader.grant({ permission: "Readwrite", key: "mine" })
    const permissions = await reader.permissions()
    assert.deepStrictEqual(
      permissions.map(({ permission, range }) => [permission, range.start.toString(), range.end.toString()]),
      [
        ["Readwrite", "mine", ""],
        ["Read", "shared/", "shared0"]
      ]
    )
    const kim = client.user("kim")
    await kim.create("word")
    assert.instanceOf(await failure(kim.create("word")), EtcdUserExistsError)
    assert.instanceOf(await failure(kim.addRole("none")), EtcdRoleNotFoundError)
    assert.instanceOf(await failure(client.user("none").roles()), EtcdUserNotFoundError)
    assert.instanceOf(await failure(kim.removeRole("reader")), EtcdRoleNotGrantedError)
    await kim.addRole("reader")
    assert.deepStrictEqual(
      (await kim.roles()).map(({ name }) => name),
      ["reader"]
    )
    assert.deepStrictEqual(
      (await client.getRoles()).map(({ name }) => name),
      ["reader"]
    )
    await client.role("root").create()
    const root = client.user("root")
    await root.create("secret")
    await root.addRole("root")
    assert.deepStrictEqual(
      (await client.getUsers()).map(({ name }) => name),
      ["kim", "root"]
    )
  })

  it("lets a user do what the role says, over a restart too", async () => {
    await client.put("shared/a").value("1")
    await client.put("other").value("1")
    await client.auth.authEnable()
    assert.include((await failure(client.get("other").string())).message, "etcdserver: user name is empty")
    const wrong = connect(daemon, { auth: { username: "kim", password: "wrong" } })
    assert.instanceOf(await failure(wrong.get("mine").string()), EtcdAuthenticationFailedError)
    wrong.close()

    const kim = connect(daemon, { auth: { username: "kim", password: "word" } })
    const root = connect(daemon, { auth: { username: "root", password: "secret" } })
    await kim.put("mine").value("1")
    assert.strictEqual(await kim.get("shared/a").string(), "1")
    assert.instanceOf(await failure(kim.get("other").string()), EtcdPermissionDeniedError)
    assert.instanceOf(await failure(Promise.resolve(kim.put("shared/a").value("2"))), EtcdPermissionDeniedError)
    const branch = kim.if("mine", "Value", "==", "1").then(kim.put("mine").value("2")).else(kim.get("other"))
    assert.instanceOf(await failure(branch.commit()), EtcdPermissionDeniedError)
    assert.instanceOf(await failure(kim.getRoles()), EtcdPermissionDeniedError)

    const watcher = await kim.watch().prefix("shared/").create()
    const seen = events(watcher, 1)
    await root.put("shared/b").value("seen")
    assert.strictEqual((await seen)[0]![1].value.toString(), "seen")
    await watcher.cancel()

    // Tokens are gone with the process; the client asks for another when it is told so.
    await daemon.stop()
    await daemon.start()
    assert.strictEqual(await kim.get("mine").string(), "1")
    await root.user("kim").removeRole("reader")
    assert.instanceOf(await failure(kim.get("mine").string()), EtcdPermissionDeniedError)
    if (!isEtcd) {
      const status = await root.auth.authEnable()
      assert.isDefined(status.header)
    }
    await root.auth.authDisable()
    assert.strictEqual(await client.get("other").string(), "1")
    kim.close()
    root.close()
  })
})
