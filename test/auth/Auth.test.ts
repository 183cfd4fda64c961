/** etcdserverpb.Auth and what it does to the other services, on a whole node. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MemberListRequest, MemberListResponse } from "../../src/core/wire/codec/cluster.ts"
import { AlarmRequest, AlarmResponse, StatusRequest, StatusResponse } from "../../src/core/wire/codec/maintenance.ts"
import { Code, type EtcdError, errors } from "../../src/core/wire/errors.ts"
import { AlarmAction } from "../../src/core/wire/messages.ts"
import { Snapshotter } from "../../src/services/Snapshotter.ts"
import { MemoryDisk } from "../node/world.ts"
import { client, makeAuthWorld, startApi, withRoot, withUser } from "./world.ts"

const refused = <A>(effect: Effect.Effect<A, EtcdError>, error: EtcdError) =>
  Effect.map(Effect.flip(effect), (found) => assert.deepStrictEqual(found, error))

const Read = 0
const Write = 1
const ReadWrite = 2

describe("authentication", () => {
  it.live("is off at first: everything is open, tokens and all", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const nobody = client(api)
      yield* nobody.put("a")
      yield* client(api, { token: "nonsense" }).put("b")
      yield* refused(nobody.logIn("root", "pw"), errors.authNotEnabled)
      const status = yield* nobody.status
      assert.deepInclude(status, { enabled: false, authRevision: 1 })
      assert.strictEqual(status.header!.revision, 3)
      yield* nobody.disable
      assert.strictEqual((yield* nobody.status).authRevision, 1)
      yield* node.stop
    })
  )

  it.live("needs root with its role to be turned on, counts changes, and moves no revision of keys", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const nobody = client(api)
      yield* refused(nobody.enable, errors.rootUserNotFound)
      assert.strictEqual((yield* nobody.userAdd("root", "pw")).header!.revision, 1)
      yield* refused(nobody.enable, errors.rootRoleNotGranted)
      yield* nobody.roleAdd("root")
      yield* nobody.grantRole("root", "root")
      yield* nobody.grantRole("root", "root")
      assert.strictEqual((yield* nobody.status).authRevision, 4)
      assert.strictEqual((yield* nobody.enable).header!.revision, 1)
      assert.deepInclude(yield* nobody.status, { enabled: true, authRevision: 4 })
      const root = client(api, { token: yield* nobody.logIn("root", "pw") })
      yield* root.enable
      assert.strictEqual((yield* root.put("a")).header!.revision, 2)
      assert.strictEqual((yield* root.disable).header!.revision, 2)
      assert.deepInclude(yield* nobody.status, { enabled: false, authRevision: 5 })
      yield* nobody.put("a")
      yield* node.stop
    })
  )

  it.live("refuses as etcd does: nobody, a bad token, a wrong password", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      const nobody = client(api)
      yield* refused(nobody.put("a"), errors.userEmpty)
      yield* refused(nobody.range("a"), errors.userEmpty)
      yield* refused(nobody.userList, errors.userEmpty)
      yield* refused(nobody.disable, errors.userEmpty)
      yield* refused(client(api, { commonName: "root" }).put("a"), errors.userEmpty)
      yield* refused(client(api, { token: "abcdefghijklmnop.7" }).put("a"), errors.invalidAuthToken)
      yield* refused(client(api, { token: "" }).put("a"), errors.invalidAuthToken)
      yield* refused(nobody.logIn("root", "wrong"), errors.authFailed)
      yield* refused(nobody.logIn("nobody", "pw"), errors.authFailed)
      yield* refused(nobody.logIn("", ""), errors.authFailed)
      yield* root.userAdd("cert", "", true)
      const noPassword = yield* Effect.flip(nobody.logIn("cert", "pw"))
      assert.deepInclude(noPassword, {
        code: Code.Unknown,
        message: "auth: authentication failed, password was given for no password user"
      })
      const token = yield* nobody.logIn("root", "pw")
      assert.match(token, /^[A-Za-z]{16}\.\d+$/)
      yield* client(api, { authorization: token }).put("a")
      yield* client(api, { authorization: `Bearer ${token}` }).put("a")
      yield* client(api, { token: `bearer ${token}` }).put("a")
      yield* node.stop
    })
  )

  it.live("keeps users to what their roles allow", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      const alice = yield* withUser(api, root, "alice", [
        [ReadWrite, "a", "b"],
        [Read, "b", "c"],
        [Write, "x"]
      ])
      yield* alice.put("a1")
      yield* alice.put("x")
      assert.strictEqual((yield* alice.range("a", "c")).count, 1)
      yield* refused(alice.put("b"), errors.permissionDenied)
      yield* refused(alice.range("a", "d"), errors.permissionDenied)
      yield* refused(alice.range("a", "\0"), errors.permissionDenied)
      yield* refused(alice.range("x"), errors.permissionDenied)
      yield* refused(alice.deleteRange("a", "c"), errors.permissionDenied)
      assert.strictEqual((yield* alice.deleteRange("a", "b")).deleted, 1)
      yield* refused(alice.compact(2), errors.permissionDenied)
      yield* root.put("zzz")
      yield* root.compact(2)
      yield* node.stop
    })
  )

  it.live("leaves administration to root; users see themselves and their own roles", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      const alice = yield* withUser(api, root, "alice", [[Read, "a"]])
      const forRoot: ReadonlyArray<Effect.Effect<unknown, EtcdError>> = [
        alice.enable,
        alice.disable,
        alice.userAdd("bob", "pw"),
        alice.userList,
        alice.userGet("root"),
        alice.userGet("nobody"),
        alice.userDelete("alice"),
        alice.changePassword("alice", "pw"),
        alice.grantRole("alice", "root"),
        alice.revokeRole("root", "root"),
        alice.roleAdd("r"),
        alice.roleList,
        alice.roleGet("root"),
        alice.roleGet("nothing"),
        alice.roleDelete("role of alice"),
        alice.grant("role of alice", ReadWrite, "a", "\0"),
        alice.revoke("role of alice", "a")
      ]
      for (const call of forRoot) yield* refused(call, errors.permissionDenied)
      assert.deepStrictEqual((yield* alice.userGet("alice")).roles, ["role of alice"])
      assert.strictEqual((yield* alice.roleGet("role of alice")).perm.length, 1)
      assert.deepStrictEqual((yield* root.userList).users, ["alice", "root"])
      assert.deepStrictEqual((yield* root.roleList).roles, ["role of alice", "root"])

      const members = (who: typeof alice) =>
        who.call("/etcdserverpb.Cluster/MemberList", MemberListRequest.encode, MemberListResponse.decode, {
          linearizable: true
        })
      const status = (who: typeof alice) =>
        who.call("/etcdserverpb.Maintenance/Status", StatusRequest.encode, StatusResponse.decode, {})
      const alarm = (who: typeof alice, action: number) =>
        who.call("/etcdserverpb.Maintenance/Alarm", AlarmRequest.encode, AlarmResponse.decode, {
          action,
          memberId: 0n,
          alarm: 0
        })
      yield* members(alice)
      yield* status(alice)
      yield* alarm(alice, AlarmAction.Get)
      yield* refused(alarm(alice, AlarmAction.Deactivate), errors.permissionDenied)
      yield* refused(members(client(api)), errors.userEmpty)
      yield* refused(status(client(api)), errors.userEmpty)
      yield* refused(alarm(client(api), AlarmAction.Get), errors.userEmpty)
      yield* node.stop
    })
  )

  it.live("lets a lease be used by who may write, and shown to who may read, every key attached to it", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      const alice = yield* withUser(api, root, "alice", [
        [ReadWrite, "a", "b"],
        [Read, "b", "c"]
      ])
      const nobody = client(api)
      for (const call of [nobody.leaseGrant(1n), nobody.leaseRevoke(1n), nobody.leaseTimeToLive(1n), nobody.leases]) {
        yield* refused<unknown>(call, errors.userEmpty)
      }
      for (const id of [1n, 2n, 3n]) yield* alice.leaseGrant(id)
      yield* alice.put("a1", "v", 1n)
      yield* root.put("b1", "v", 2n)
      yield* root.put("x1", "v", 3n)
      assert.deepStrictEqual(
        (yield* alice.leaseTimeToLive(2n)).keys.map((key) => Buffer.from(key).toString()),
        ["b1"]
      )
      yield* refused(alice.leaseTimeToLive(3n), errors.permissionDenied)
      yield* refused(alice.leases, errors.permissionDenied)
      yield* refused(alice.put("a2", "v", 2n), errors.permissionDenied)
      yield* refused(alice.leaseRevoke(2n), errors.permissionDenied)
      yield* alice.put("a2", "v", 1n)
      yield* root.leaseRevoke(3n)
      assert.deepStrictEqual(
        (yield* alice.leases).leases.map(({ id }) => id),
        [1n, 2n]
      )
      yield* alice.leaseRevoke(1n)
      assert.strictEqual((yield* alice.range("a", "b")).count, 0)
      yield* node.stop
    })
  )

  it.live("refuses requests that are too large", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld({ NETSY_LIMITS_MAX_REQUEST_BYTES: "10000" }))
      yield* refused(client(api).roleAdd("r".repeat(10_000)), errors.requestTooLarge)
      yield* client(api).roleAdd("r".repeat(9_900))
      yield* node.stop
    })
  )

  it.live("answers mistakes with etcd's errors", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      yield* refused(root.userAdd("", "pw"), errors.userEmpty)
      yield* refused(root.userAdd("root", "pw"), errors.userExists)
      yield* refused(root.userAdd("root", "pw", true), errors.userExists)
      assert.strictEqual(
        (yield* Effect.flip(root.userAdd("long", "x".repeat(73)))).message,
        "bcrypt: password length exceeds 72 bytes"
      )
      yield* refused(root.userGet("nobody"), errors.userNotFound)
      yield* refused(root.userDelete("nobody"), errors.userNotFound)
      yield* refused(root.userDelete("root"), errors.invalidAuthManagement)
      yield* refused(root.changePassword("nobody", "pw"), errors.userNotFound)
      yield* refused(root.grantRole("nobody", "root"), errors.userNotFound)
      yield* refused(root.grantRole("root", "nothing"), errors.roleNotFound)
      yield* refused(root.revokeRole("root", "root"), errors.invalidAuthManagement)
      yield* refused(root.revokeRole("root", "nothing"), errors.roleNotGranted)
      yield* refused(root.roleAdd(""), errors.roleEmpty)
      yield* refused(root.roleAdd("root"), errors.roleExists)
      yield* refused(root.roleGet("nothing"), errors.roleNotFound)
      yield* refused(root.roleDelete("nothing"), errors.roleNotFound)
      yield* refused(root.roleDelete("root"), errors.invalidAuthManagement)
      yield* refused(root.grantWith({ name: "root", perm: undefined }), errors.permissionNotGiven)
      yield* refused(root.grant("root", Read, "b", "a"), errors.invalidAuthManagement)
      yield* refused(root.grant("root", Read, "", ""), errors.invalidAuthManagement)
      yield* refused(root.grant("nothing", Read, "a"), errors.roleNotFound)
      yield* refused(root.revoke("nothing", "a"), errors.roleNotFound)
      yield* refused(root.revoke("root", "a"), errors.permissionNotGranted)
      const { perm } = yield* root.roleGet("root")
      assert.deepStrictEqual(
        perm.map(({ key, permType, rangeEnd }) => [permType, [...key], [...rangeEnd]]),
        [[ReadWrite, [], [0]]]
      )
      yield* node.stop
    })
  )

  it.live("drops a user's tokens with another password, with the user, and all when it is turned off", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      const alice = yield* withUser(api, root, "alice", [[ReadWrite, "a"]])
      yield* alice.put("a")
      yield* root.changePassword("alice", "new")
      yield* refused(alice.put("a"), errors.invalidAuthToken)
      yield* refused(client(api).logIn("alice", "pw of alice"), errors.authFailed)
      const again = client(api, { token: yield* client(api).logIn("alice", "new") })
      // Simple tokens follow the store: they need not be made anew when something changes.
      yield* root.roleAdd("another")
      yield* again.put("a")
      yield* root.revoke("role of alice", "a")
      yield* refused(again.put("a"), errors.permissionDenied)
      yield* root.userDelete("alice")
      yield* refused(again.put("a"), errors.invalidAuthToken)
      yield* root.disable
      yield* client(api).enable
      yield* refused(root.put("a"), errors.invalidAuthToken)
      yield* node.stop
    })
  )

  it.live("takes a hash in the place of a password where a password is changed, and nowhere else", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      // The bcrypt text of "pw" at cost 4.
      const hash = "$2a$04$KN2oEa7lQc/3QC1f2XAEUOUwWfJTz6S5eMIGTTTgpB2tDW.DK/hTm"
      const encoded = Buffer.from(hash).toString("base64")
      yield* root.userAddWith({ name: "alice", password: "own", hashedPassword: encoded, options: undefined })
      yield* client(api).logIn("alice", "own")
      yield* root.changePassword("alice", "", encoded)
      yield* client(api).logIn("alice", "pw")
      yield* refused(client(api).logIn("alice", "own"), errors.authFailed)
      const notBase64 = yield* Effect.flip(root.changePassword("alice", "", "§"))
      assert.strictEqual(notBase64.code, Code.Unknown)
      yield* root.changePassword("alice", "again", encoded)
      yield* client(api).logIn("alice", "again")
      yield* node.stop
    })
  )

  it.live("is the same after a restart, a kill, and from a snapshot alone; only simple tokens are gone", () =>
    Effect.gen(function* () {
      const dataDir = mkdtempSync(join(tmpdir(), "netsy-auth-"))
      const world = makeAuthWorld({ NETSY_DATA_DIR: dataDir })
      let { api, node } = yield* startApi(world)
      const first = yield* withRoot(api)
      yield* withUser(api, first, "alice", [
        [ReadWrite, "a", "b"],
        [Read, "c", "\0"]
      ])
      yield* first.userAdd("cert", "", true)
      const { authRevision } = yield* first.status
      for (const end of ["stop", "kill", "snapshot"] as const) {
        if (end === "snapshot") yield* node.use(Snapshotter.use((snapshotter) => snapshotter.take))
        yield* end === "kill" ? node.kill : node.stop
        if (end === "snapshot") world.disk = new MemoryDisk()
        ;({ api, node } = yield* startApi(world))
        const nobody = client(api)
        assert.deepInclude(yield* nobody.status, { enabled: true, authRevision })
        yield* refused(nobody.put("a"), errors.userEmpty)
        const alice = client(api, { token: yield* nobody.logIn("alice", "pw of alice") })
        yield* alice.put("a")
        yield* refused(alice.put("c"), errors.permissionDenied)
        const root = client(api, { token: yield* nobody.logIn("root", "pw") })
        assert.deepStrictEqual((yield* root.userList).users, ["alice", "cert", "root"])
        assert.deepStrictEqual((yield* root.userGet("alice")).roles, ["role of alice"])
        assert.strictEqual((yield* root.roleGet("role of alice")).perm.length, 2)
        assert.strictEqual((yield* Effect.flip(nobody.logIn("cert", ""))).code, Code.Unknown)
      }
      yield* node.stop
      rmSync(dataDir, { recursive: true })
    })
  )

  it.live(
    "with signed tokens wants a new one for keys after every change, and knows the old ones after a restart",
    () =>
      Effect.gen(function* () {
        const folder = mkdtempSync(join(tmpdir(), "netsy-auth-"))
        const secret = join(folder, "secret")
        writeFileSync(secret, "a secret")
        const world = makeAuthWorld({ NETSY_AUTH_TOKEN: `jwt,sign-method=HS256,priv-key=${secret},ttl=1h` })
        let { api, node } = yield* startApi(world)
        const root = yield* withRoot(api)
        yield* root.put("a")
        yield* root.roleAdd("r")
        yield* refused(root.put("a"), errors.authOldRevision)
        yield* root.roleAdd("s")
        const token = yield* client(api).logIn("root", "pw")
        assert.strictEqual(token.split(".").length, 3)
        yield* client(api, { token }).put("a")
        yield* node.stop
        ;({ api, node } = yield* startApi(world))
        yield* client(api, { token }).put("a")
        yield* refused(client(api, { token: token.slice(0, -3) }).put("a"), errors.invalidAuthToken)
        yield* node.stop
        rmSync(folder, { recursive: true })
      })
  )

  it.live("takes the common name of a certificate for the user where the settings say so", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld({ NETSY_AUTH_CLIENT_CERT_AUTH: "true" }))
      const root = yield* withRoot(api)
      yield* root.userAdd("cert", "", true)
      const cert = client(api, { commonName: "cert" })
      yield* refused(cert.put("a"), errors.permissionDenied)
      yield* root.roleAdd("r")
      yield* root.grant("r", ReadWrite, "a")
      yield* root.grantRole("cert", "r")
      yield* cert.put("a")
      yield* client(api, { commonName: "root" }).put("b")
      yield* refused(client(api, { commonName: "stranger" }).put("a"), errors.permissionDenied)
      yield* refused(client(api, { commonName: "" }).put("a"), errors.userEmpty)
      // A token says more than the certificate.
      yield* refused(client(api, { commonName: "root", token: "x" }).put("a"), errors.invalidAuthToken)
      yield* node.stop
    })
  )

  it.live("checks a password again when users change while it is hashed", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld({ NETSY_AUTH_BCRYPT_COST: "6" }))
      const root = yield* withRoot(api)
      yield* root.userAdd("alice", "old")
      const [outcome] = yield* Effect.all(
        [Effect.result(client(api).logIn("alice", "old")), root.userDelete("alice")],
        { concurrency: 2 }
      )
      assert.deepInclude(outcome, { _tag: "Failure", failure: errors.authFailed })
      yield* node.stop
    })
  )

  it.live("adds users at the same time", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld())
      const root = yield* withRoot(api)
      const names = Array.from({ length: 10 }, (_, i) => `u${i}`)
      yield* Effect.all(
        names.map((name) => root.userAdd(name, "pw")),
        { concurrency: 10 }
      )
      assert.deepStrictEqual((yield* root.userList).users, ["root", ...names])
      const twice = yield* Effect.all(
        [Effect.result(root.userAdd("twin", "pw")), Effect.result(root.userAdd("twin", "pw"))],
        { concurrency: 2 }
      )
      assert.deepStrictEqual(twice.map(({ _tag }) => _tag).toSorted(), ["Failure", "Success"])
      yield* node.stop
    })
  )

  it.live("does not add a user for somebody who is no longer root when the password is hashed", () =>
    Effect.gen(function* () {
      const { api, node } = yield* startApi(makeAuthWorld({ NETSY_AUTH_BCRYPT_COST: "6" }))
      const root = yield* withRoot(api)
      yield* root.userAdd("deputy", "pw")
      yield* root.grantRole("deputy", "root")
      const deputy = client(api, { token: yield* client(api).logIn("deputy", "pw") })
      const [outcome] = yield* Effect.all(
        [Effect.result(deputy.userAdd("late", "pw")), root.revokeRole("deputy", "root")],
        { concurrency: 2 }
      )
      assert.deepInclude(outcome, { _tag: "Failure", failure: errors.permissionDenied })
      assert.deepStrictEqual((yield* root.userList).users, ["deputy", "root"])
      yield* node.stop
    })
  )
})
