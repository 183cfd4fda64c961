/** The auth store as a state machine: what the log and a snapshot make of it again. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  authOp,
  checkUserAdd,
  disable,
  enable,
  type Outcome,
  permissionsOf,
  roleAdd,
  roleDelete,
  roleGrantPermission,
  roleRevokePermission,
  userChangePassword,
  userDelete,
  userGrantRole,
  userRevokeRole
} from "../../src/core/auth/changes.ts"
import { applyAuth, authOps, type AuthState, noAuth } from "../../src/core/auth/state.ts"
import { type AuthOp, type Permission, PermissionType } from "../../src/core/log/opAuth.ts"
import { decodeOp, encodeOp } from "../../src/core/log/op.ts"
import { type EtcdError, errors, isEtcdError } from "../../src/core/wire/errors.ts"

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1")

/** As it comes out of the log. */
const logged = (op: AuthOp): AuthOp => {
  const decoded = decodeOp(encodeOp({ kind: "auth", auth: op }))
  assert.ok(decoded.kind === "auth")
  return decoded.auth
}

const plain = (state: AuthState) => ({
  enabled: state.enabled,
  revision: state.revision,
  users: [...state.users.values()]
    .map(({ passwordHash, ...user }) => ({ ...user, passwordHash: Buffer.from(passwordHash).toString("latin1") }))
    .sort((a, b) => (a.name < b.name ? -1 : 1)),
  roles: [...state.roles.values()]
    .map(({ name, permissions }) => ({
      name,
      permissions: permissions.map(({ key, rangeEnd, type }) => [
        type,
        Buffer.from(key).toString("latin1"),
        Buffer.from(rangeEnd).toString("latin1")
      ])
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
})

const User = Schema.Literals(["root", "u1", "u2"])
const Role = Schema.Literals(["root", "r1", "r2"])
const Step = Schema.Union([
  Schema.TaggedStruct("Enable", {}),
  Schema.TaggedStruct("Disable", {}),
  Schema.TaggedStruct("UserAdd", { user: User, noPassword: Schema.Boolean }),
  Schema.TaggedStruct("UserDelete", { user: User }),
  Schema.TaggedStruct("Password", { user: User }),
  Schema.TaggedStruct("Grant", { user: User, role: Role }),
  Schema.TaggedStruct("Revoke", { user: User, role: Role }),
  Schema.TaggedStruct("RoleAdd", { role: Role }),
  Schema.TaggedStruct("RoleDelete", { role: Role }),
  Schema.TaggedStruct("Permit", {
    role: Role,
    type: Schema.Literals([0, 1, 2]),
    key: Schema.Literals(["a", "b"]),
    end: Schema.Literals(["", "\0", "c"])
  }),
  Schema.TaggedStruct("Forbid", { role: Role, key: Schema.Literals(["a", "b"]), end: Schema.Literals(["", "\0", "c"]) })
])
type Step = typeof Step.Type

const evaluate = (state: AuthState, step: Step): Outcome => {
  switch (step._tag) {
    case "Enable":
      return enable(state)
    case "Disable":
      return disable(state)
    case "UserAdd":
      return (
        checkUserAdd(state, step.user) ?? {
          kind: "userAdd",
          name: step.user,
          passwordHash: bytes(step.noPassword ? "" : "hash"),
          noPassword: step.noPassword
        }
      )
    case "UserDelete":
      return userDelete(state, step.user)
    case "Password":
      return userChangePassword(state, step.user, bytes("other"))
    case "Grant":
      return userGrantRole(state, step.user, step.role)
    case "Revoke":
      return userRevokeRole(state, step.user, step.role)
    case "RoleAdd":
      return roleAdd(state, step.role)
    case "RoleDelete":
      return roleDelete(state, step.role)
    case "Permit":
      return roleGrantPermission(state, step.role, { type: step.type, key: bytes(step.key), rangeEnd: bytes(step.end) })
    case "Forbid":
      return roleRevokePermission(state, step.role, bytes(step.key), bytes(step.end))
  }
}

const run = (state: AuthState, ...outcomes: ReadonlyArray<(state: AuthState) => Outcome>): AuthState => {
  for (const evaluate of outcomes) {
    const outcome = evaluate(state)
    assert.ok(outcome !== undefined && !isEtcdError(outcome))
    state = applyAuth(state, authOp(state, outcome))
  }
  return state
}

const addUser =
  (name: string) =>
  (state: AuthState): Outcome =>
    checkUserAdd(state, name) ?? { kind: "userAdd", name, passwordHash: bytes("hash"), noPassword: false }

const on = run(
  noAuth,
  addUser("root"),
  (state) => roleAdd(state, "root"),
  (state) => userGrantRole(state, "root", "root"),
  enable
)

describe("the auth store", () => {
  it.prop(
    "is the same again from its log and from a snapshot, and keeps its rules",
    [Schema.Array(Step)],
    ([steps]) => {
      let state = noAuth
      let replayed = noAuth
      for (const step of steps) {
        const outcome = evaluate(state, step)
        if (outcome === undefined || isEtcdError(outcome)) continue
        const op = authOp(state, outcome)
        const before = state
        state = applyAuth(state, op)
        replayed = applyAuth(replayed, logged(op))
        assert.strictEqual(state.revision, before.revision + (step._tag === "Enable" ? 0 : 1))
        if (state.enabled) assert.include(state.users.get("root")!.roles, "root")
        for (const user of state.users.values()) {
          for (const role of user.roles) assert.ok(role === "root" || state.roles.has(role))
        }
      }
      assert.deepStrictEqual(plain(replayed), plain(state))
      assert.deepStrictEqual(plain(authOps(state).map(logged).reduce(applyAuth, noAuth)), plain(state))
    },
    { arbitrary: { runs: 1_000, seed: "auth store" } }
  )

  it("refuses what etcd refuses, with its errors", () => {
    const refused: ReadonlyArray<readonly [Outcome, EtcdError]> = [
      [enable(noAuth), errors.rootUserNotFound],
      [enable(run(noAuth, addUser("root"))), errors.rootRoleNotGranted],
      [checkUserAdd(noAuth, ""), errors.userEmpty],
      [checkUserAdd(on, "root"), errors.userExists],
      [userDelete(on, "root"), errors.invalidAuthManagement],
      [userDelete(on, "nobody"), errors.userNotFound],
      [userChangePassword(on, "nobody", bytes("")), errors.userNotFound],
      [userGrantRole(on, "nobody", "root"), errors.userNotFound],
      [userGrantRole(on, "root", "nothing"), errors.roleNotFound],
      [userRevokeRole(on, "root", "root"), errors.invalidAuthManagement],
      [userRevokeRole(on, "root", "r1"), errors.roleNotGranted],
      [userRevokeRole(on, "nobody", "r1"), errors.userNotFound],
      [roleAdd(on, ""), errors.roleEmpty],
      [roleAdd(on, "root"), errors.roleExists],
      [roleDelete(on, "root"), errors.invalidAuthManagement],
      [roleDelete(on, "nothing"), errors.roleNotFound],
      [roleGrantPermission(on, "root", undefined), errors.permissionNotGiven],
      [roleGrantPermission(on, "nothing", permission("a", "")), errors.roleNotFound],
      [roleRevokePermission(on, "nothing", bytes("a"), bytes("")), errors.roleNotFound],
      [roleRevokePermission(on, "root", bytes("a"), bytes("")), errors.permissionNotGranted]
    ]
    for (const [at, [outcome, error]] of refused.entries()) assert.strictEqual(outcome, error, `case ${at}`)
    for (const [key, end] of [
      ["", ""],
      ["", "\0"],
      ["b", "a"],
      ["b", "b"],
      ["b\0", "b"]
    ]) {
      assert.strictEqual(roleGrantPermission(on, "root", permission(key!, end!)), errors.invalidAuthManagement)
    }
  })

  it("lets root go while authentication is off", () => {
    const off = run(on, disable)
    run(off, (state) => userRevokeRole(state, "root", "root"))
    run(off, (state) => roleDelete(state, "root"))
    run(off, (state) => userDelete(state, "root"))
  })

  it("takes being asked for what is so already as no change", () => {
    assert.strictEqual(enable(on), undefined)
    assert.strictEqual(disable(noAuth), undefined)
    assert.strictEqual(userGrantRole(on, "root", "root"), undefined)
  })

  it("replaces the grant of the same interval, and shows grants in order and root as everything", () => {
    const state = run(
      on,
      (now) => roleAdd(now, "r"),
      (now) => roleGrantPermission(now, "r", permission("b", "")),
      (now) => roleGrantPermission(now, "r", permission("a", "\0")),
      (now) => roleGrantPermission(now, "r", permission("a", "")),
      (now) => roleGrantPermission(now, "r", { ...permission("a", "\0"), type: PermissionType.ReadWrite }),
      (now) => roleGrantPermission(now, "root", permission("a", ""))
    )
    assert.deepStrictEqual(permissionsOf(state, "r"), [
      { ...permission("a", "\0"), type: PermissionType.ReadWrite },
      permission("a", ""),
      permission("b", "")
    ])
    const root = permissionsOf(state, "root")
    assert.ok(!isEtcdError(root))
    assert.deepStrictEqual(
      root.map(({ key, rangeEnd, type }) => [type, [...key], [...rangeEnd]]),
      [[PermissionType.ReadWrite, [], [0]]]
    )
  })

  it("takes names that etcd's database can hold as keys", () => {
    const longest = "é".repeat(16_384)
    assert.isUndefined(checkUserAdd(noAuth, longest))
    assert.deepStrictEqual(roleAdd(noAuth, longest), { kind: "roleAdd", name: longest })
    const message = (refused: Outcome | EtcdError): string => (isEtcdError(refused) ? refused.message : "")
    assert.strictEqual(message(checkUserAdd(noAuth, `${longest}x`)), "netsy: a user name has at most 32768 bytes")
    assert.strictEqual(message(roleAdd(noAuth, `${longest}x`)), "netsy: a role name has at most 32768 bytes")
  })

  it("keeps a user without password without one, and takes a deleted role from everybody", () => {
    const state = run(
      on,
      () => ({ kind: "userAdd", name: "cert", passwordHash: bytes(""), noPassword: true }),
      (now) => roleAdd(now, "r"),
      (now) => userGrantRole(now, "cert", "r"),
      (now) => userChangePassword(now, "cert", bytes("hash")),
      (now) => roleDelete(now, "r")
    )
    assert.deepStrictEqual(state.users.get("cert"), {
      name: "cert",
      passwordHash: new Uint8Array(0),
      noPassword: true,
      roles: []
    })
  })
})

const permission = (key: string, end: string): Permission => ({
  type: PermissionType.Read,
  key: bytes(key),
  rangeEnd: bytes(end)
})
