/** Permission checks against a model that tries every key of a small key space. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  checkDeleteRange,
  checkLease,
  checkPut,
  checkRead,
  checkRoot,
  checkTxn,
  checkUser
} from "../../src/core/auth/checks.ts"
import { type AuthRole, type AuthState, noAuth } from "../../src/core/auth/state.ts"
import { type Permission, PermissionType } from "../../src/core/log/opAuth.ts"
import { type EtcdError, errors } from "../../src/core/wire/errors.ts"
import type { PutRequest, RequestOp, TxnRequest } from "../../src/core/wire/messages.ts"
import { rangeOf } from "../support/requests.ts"

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1")

/** Every key of up to two bytes out of these. */
const letters = ["\0", "a", "b", "c", "\xff"]
const keySpace = [...letters, ...letters.flatMap((first) => letters.map((second) => first + second))]

/** What "", "\0" and anything else mean as an end. */
const inside = (key: string, start: string, end: string): boolean =>
  end === "" ? key === start : key >= start && (end === "\0" || key < end)

const Key = Schema.Literals(["\0", "a", "b", "\xff", "aa", "ab", "ba", "bb", "a\0", "\xff\xff"])
const End = Schema.Literals(["", "\0", "a", "b", "c", "\xff", "aa", "ab", "ba", "bb", "a\0", "b\0", "\xff\xff"])
const Type = Schema.Literals([PermissionType.Read, PermissionType.Write, PermissionType.ReadWrite])
const Grant = Schema.Struct({ role: Schema.Literals(["r1", "r2", "other"]), type: Type, key: Key, end: End })
type Grant = typeof Grant.Type

const stateOf = (grants: ReadonlyArray<Grant>): AuthState => {
  const roles = new Map<string, AuthRole>()
  for (const name of ["r1", "r2", "other"]) {
    const permissions = grants
      .filter(({ role }) => role === name)
      .map(({ end, key, type }): Permission => ({ type, key: bytes(key), rangeEnd: bytes(end) }))
    roles.set(name, { name, permissions })
  }
  const user = { name: "user", passwordHash: new Uint8Array(0), noPassword: false, roles: ["r1", "r2"] }
  const root = { ...user, name: "root", roles: ["root"] }
  return { enabled: true, revision: 7, roles, users: new Map([user, root].map((one) => [one.name, one])) }
}

const user = { user: "user", authRevision: 7 }

/** Every key of the space that lies in the request is granted; an end above all bounds must be granted as such. */
const modelAllows = (grants: ReadonlyArray<Grant>, right: "read" | "write", start: string, end: string): boolean => {
  const wanted = right === "read" ? PermissionType.Read : PermissionType.Write
  const mine = grants.filter(
    ({ role, type }) => role !== "other" && (type === wanted || type === PermissionType.ReadWrite)
  )
  const probes = [
    ...keySpace,
    ...keySpace.map((key) => key + "\0"),
    ...keySpace.map((key) => key + "\xff"),
    "\xff\xff\xff\xff"
  ]
  const asked = probes.filter((key) => inside(key, start, end))
  if (asked.length === 0) return mine.some((grant) => inside(start, grant.key, grant.end))
  return asked.every((key) => mine.some((grant) => inside(key, grant.key, grant.end)))
}

const put = (key: string, more: Partial<PutRequest> = {}): PutRequest => ({
  key: bytes(key),
  value: bytes(""),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
  ...more
})
const range = (key: string, end = "") => ({ key: bytes(key), rangeEnd: bytes(end) })
const rangeOp = (key: string, end = ""): RequestOp => ({
  kind: "range",
  range: rangeOf(bytes(key), { rangeEnd: bytes(end) })
})
const compare = (key: string, end = "") => ({ result: 0, target: 0, ...range(key, end), targetUnion: undefined })
const txn = (parts: Partial<TxnRequest>): TxnRequest => ({ compare: [], success: [], failure: [], ...parts })

const leased: Readonly<Record<string, ReadonlyArray<string>>> = { "5": ["a", "b"] }
const leaseKeys = (lease: bigint): ReadonlyArray<string> => leased[String(lease)] ?? []

const verdict = (allowed: boolean): EtcdError | undefined => (allowed ? undefined : errors.permissionDenied)

describe("permission checks", () => {
  it.prop(
    "allow exactly what the union of the user's grants holds",
    [Schema.Array(Grant), Key, End],
    ([grants, key, end]) => {
      const state = stateOf(grants)
      const reads = modelAllows(grants, "read", key, end)
      const writes = modelAllows(grants, "write", key, end)
      assert.strictEqual(checkRead(state, user, range(key, end)), verdict(reads))
      assert.strictEqual(checkDeleteRange(state, user, { ...range(key, end), prevKv: false }), verdict(writes))
      assert.strictEqual(checkDeleteRange(state, user, { ...range(key, end), prevKv: true }), verdict(writes && reads))
      const single = modelAllows(grants, "write", key, "")
      assert.strictEqual(checkPut(state, user, put(key), leaseKeys), verdict(single))
    },
    { arbitrary: { runs: 2_000, seed: "grants" } }
  )

  const grants: ReadonlyArray<Grant> = [
    { role: "r1", type: PermissionType.ReadWrite, key: "a", end: "" },
    { role: "r2", type: PermissionType.Write, key: "b", end: "" },
    { role: "r2", type: PermissionType.Read, key: "\xff", end: "\0" }
  ]
  const state = stateOf(grants)

  it("let a put with prev_kv pass only where the key may be read too", () => {
    assert.strictEqual(checkPut(state, user, put("a", { prevKv: true }), leaseKeys), undefined)
    assert.strictEqual(checkPut(state, user, put("b"), leaseKeys), undefined)
    assert.strictEqual(checkPut(state, user, put("b", { prevKv: true }), leaseKeys), errors.permissionDenied)
  })

  it("let a lease be used only by who may write, or read, every key attached to it", () => {
    const narrow = stateOf(grants.slice(0, 1))
    assert.strictEqual(checkPut(state, user, put("a", { lease: 5n }), leaseKeys), undefined)
    assert.strictEqual(checkPut(narrow, user, put("a", { lease: 5n }), leaseKeys), errors.permissionDenied)
    assert.strictEqual(checkPut(narrow, user, put("a", { lease: 6n }), leaseKeys), undefined)
    assert.strictEqual(checkLease(state, user, "write", 5n, leaseKeys), undefined)
    assert.strictEqual(checkLease(state, user, "read", 5n, leaseKeys), errors.permissionDenied)
    assert.strictEqual(checkLease(state, { user: "root", authRevision: 7 }, "read", 5n, leaseKeys), undefined)
  })

  it("look at every comparison and both branches of a transaction, also of those inside", () => {
    const allowed = txn({ compare: [compare("a")], success: [rangeOp("a")], failure: [{ kind: "put", put: put("b") }] })
    const refused: ReadonlyArray<TxnRequest> = [
      txn({ compare: [compare("a"), compare("b")] }),
      txn({ compare: [compare("a", "b")] }),
      txn({ success: [rangeOp("a"), rangeOp("b")] }),
      txn({ failure: [rangeOp("a", "aa"), rangeOp("b")] }),
      txn({ failure: [{ kind: "put", put: put("b", { prevKv: true }) }] }),
      txn({ success: [{ kind: "put", put: put("ab") }] }),
      txn({ success: [{ kind: "deleteRange", deleteRange: { ...range("b"), prevKv: true } }] }),
      txn({ success: [{ kind: "deleteRange", deleteRange: { ...range("a", "b"), prevKv: false } }] })
    ]
    const inner = (request: TxnRequest): TxnRequest =>
      txn({ failure: [{ kind: "none" }, { kind: "txn", txn: request }, rangeOp("a")] })
    assert.strictEqual(checkTxn(state, user, allowed, leaseKeys), undefined)
    assert.strictEqual(checkTxn(state, user, inner(inner(allowed)), leaseKeys), undefined)
    for (const request of refused) {
      assert.strictEqual(checkTxn(state, user, request, leaseKeys), errors.permissionDenied)
      assert.strictEqual(checkTxn(state, user, inner(inner(request)), leaseKeys), errors.permissionDenied)
      assert.strictEqual(checkTxn(state, { user: "root", authRevision: 7 }, request, leaseKeys), undefined)
    }
  })

  it("tell an old revision before anything else, and a user that is gone", () => {
    const old = { user: "user", authRevision: 6 }
    const gone = { user: "gone", authRevision: 7 }
    assert.strictEqual(checkRead(state, old, range("a")), errors.authOldRevision)
    assert.strictEqual(checkRead(state, { ...old, user: "gone" }, range("a")), errors.authOldRevision)
    assert.strictEqual(checkLease(state, old, "write", 5n, leaseKeys), errors.authOldRevision)
    // Administration asks for nothing but the role of this moment.
    assert.strictEqual(checkUser(state, old), undefined)
    assert.strictEqual(checkRoot(state, { user: "root", authRevision: 6 }), undefined)
    assert.strictEqual(checkRead(state, gone, range("a")), errors.permissionDenied)
    assert.strictEqual(checkUser(state, gone), errors.permissionDenied)
    assert.strictEqual(checkRoot(state, gone), errors.userNotFound)
    assert.strictEqual(checkRoot(state, user), errors.permissionDenied)
    assert.strictEqual(checkUser(state, user), undefined)
    assert.strictEqual(checkRoot(state, { user: "root", authRevision: 7 }), undefined)
  })

  it("give nothing for a role that does not exist or a permission of no known type", () => {
    const odd: AuthState = {
      ...noAuth,
      users: new Map([["user", { ...state.users.get("user")!, roles: ["missing", "odd"] }]]),
      roles: new Map([["odd", { name: "odd", permissions: [{ type: 9, ...range("a", "\0") }] }]])
    }
    assert.strictEqual(checkRead(odd, user, range("a")), errors.permissionDenied)
    assert.strictEqual(checkPut(odd, user, put("a"), leaseKeys), errors.permissionDenied)
  })

  it("cost little enough to be asked with every request", () => {
    const many = stateOf(
      Array.from({ length: 1_000 }, (_, i): Grant => {
        const key = `k${String(i).padStart(4, "0")}` as Grant["key"]
        return { role: "r1", type: PermissionType.ReadWrite, key, end: `${key}z` as Grant["end"] }
      })
    )
    const request = range("k0500m")
    const round = (): number => {
      let refused = 0
      const start = process.hrtime.bigint()
      for (let i = 0; i < 100_000; i++) if (checkRead(many, user, request) !== undefined) refused++
      const nanos = Number(process.hrtime.bigint() - start) / 100_000
      assert.strictEqual(refused, 0)
      return nanos
    }
    round()
    // 2 µs is the target; a slow and busy machine is allowed ten times that.
    assert.isBelow(Math.min(round(), round(), round()), 20_000)
  })
})
