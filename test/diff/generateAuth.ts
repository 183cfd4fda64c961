/** A stretch of random requests with users, roles and tokens: authentication is on for most of it, and off at its end. */
import type { Random } from "../wire/random.ts"
import { deleteRange, put, range, txn } from "./generateKv.ts"
import type { Plain } from "./messages.ts"
import type { Operation } from "./operations.ts"
import { givenLease, interval, key, pick, weighted } from "./space.ts"

const users = ["root", "ann", "bob", "eve"]
const roles = ["root", "readers", "writers", "all"]
const passwords: Readonly<Record<string, string>> = { root: "secret", ann: "a", bob: "b", eve: "e" }

const password = (random: Random, user: string): string => (random.chance(90) ? (passwords[user] ?? "x") : "wrong")

const call = (method: string, request: Plain, as?: string): Operation => ({
  kind: "call",
  method,
  request,
  ...(as === undefined ? {} : { as })
})

const permission = (random: Random): Plain => ({
  permType: pick(random, ["READ", "WRITE", "READWRITE"]),
  ...interval(random, 0)
})

/** Somebody changes users and roles, mostly root. */
const administration = (random: Random): Operation => {
  const as = random.chance(85) ? "root" : pick(random, [undefined, "ann", "bob", "eve", "!garbage"])
  const user = random.chance(95) ? pick(random, users.slice(1)) : pick(random, ["root", "", "nobody"])
  const role = random.chance(95) ? pick(random, roles.slice(1)) : pick(random, ["root", "", "nothing"])
  return weighted<() => Operation>(random, [
    [10, () => call("Auth.UserAdd", { name: user, password: password(random, user) }, as)],
    [2, () => call("Auth.UserAdd", { name: user, options: { no_password: true } }, as)],
    [3, () => call("Auth.UserDelete", { name: user }, as)],
    [10, () => call("Auth.UserGet", { name: user }, as)],
    [5, () => call("Auth.UserList", {}, as)],
    [4, () => call("Auth.UserChangePassword", { name: user, password: password(random, user) }, as)],
    [12, () => call("Auth.UserGrantRole", { user, role }, as)],
    [4, () => call("Auth.UserRevokeRole", { name: user, role }, as)],
    [10, () => call("Auth.RoleAdd", { name: role }, as)],
    [2, () => call("Auth.RoleDelete", { role }, as)],
    [10, () => call("Auth.RoleGet", { role }, as)],
    [5, () => call("Auth.RoleList", {}, as)],
    // Without a permission, etcd 3.4 dies of it.
    [16, () => call("Auth.RoleGrantPermission", { name: role, perm: permission(random) }, as)],
    [4, () => call("Auth.RoleRevokePermission", { role, ...interval(random, 0) }, as)],
    [1, () => call("Auth.AuthEnable", {}, as)]
  ])()
}

const request = (random: Random, stream: () => number): Operation => {
  const as = pick(random, ["root", "ann", "bob", "eve", "ann", "bob", "eve", undefined, "!garbage", "!x.1"])
  const lease = (): unknown => givenLease(random)
  return weighted<() => Operation>(random, [
    [25, () => call("KV.Range", range(random), as)],
    [20, () => call("KV.Put", put(random, lease), as)],
    [8, () => call("KV.DeleteRange", deleteRange(random), as)],
    [15, () => call("KV.Txn", txn(random, lease), as)],
    [3, () => ({ kind: "rangeStream", request: range(random, true), ...(as === undefined ? {} : { as }) })],
    [4, () => call("Lease.LeaseGrant", { ID: lease(), TTL: 900 }, as)],
    [4, () => call("Lease.LeaseRevoke", { ID: lease() }, as)],
    [3, () => call("Lease.LeaseTimeToLive", { ID: lease(), keys: random.chance(50) }, as)],
    [2, () => call("Lease.LeaseLeases", {}, as)],
    [3, () => ({ kind: "keepAlive", ids: [lease()], ...(as === undefined ? {} : { as }) })],
    [2, () => call("Cluster.MemberList", {}, as)],
    [2, () => call("Maintenance.Status", {}, as)],
    [2, () => call("Maintenance.Alarm", { action: "GET" }, as)],
    [1, () => call("Maintenance.Alarm", { action: "DEACTIVATE", alarm: "NOSPACE" }, as)],
    [1, () => call("Maintenance.Defragment", {}, as)],
    [1, () => call("Maintenance.HashKV", { revision: 0 }, as)],
    [1, () => call("KV.Compact", { revision: 1 }, as)],
    [4, () => ({ kind: "open", stream: stream(), ...(as === undefined ? {} : { as }) })],
    [6, () => ({ kind: "watch", stream: stream(), create: { ...interval(random), prev_kv: random.chance(30) } })]
  ])()
}

export const authPhase = (random: Random, operations: number, number: number): ReadonlyArray<Operation> => {
  const login = (user: string): Operation => ({ kind: "login", user, password: password(random, user) })
  const begin: ReadonlyArray<Operation> = [
    login("root"),
    call("Auth.AuthDisable", {}),
    call("Auth.AuthEnable", {}),
    call("Auth.UserAdd", { name: "root", password: "secret" }),
    call("Auth.AuthEnable", {}),
    call("Auth.RoleAdd", { name: "root" }),
    call("Auth.UserGrantRole", { user: "root", role: "root" }),
    ...roles.slice(1).map((name) => call("Auth.RoleAdd", { name })),
    ...users.slice(1).map((name) => call("Auth.UserAdd", { name, password: passwords[name]! })),
    call("Auth.UserGrantRole", { user: "ann", role: "readers" }),
    call("Auth.UserGrantRole", { user: "bob", role: "writers" }),
    call("Auth.RoleGrantPermission", { name: "readers", perm: { permType: "READ", key: "a", range_end: "c" } }),
    call("Auth.RoleGrantPermission", { name: "writers", perm: { permType: "READWRITE", key: key(random) } }),
    call("Auth.AuthEnable", {}),
    { kind: "login", user: "root", password: "secret" },
    ...users.slice(1).map(login)
  ]
  const end: ReadonlyArray<Operation> = [
    { kind: "login", user: "root", password: "secret" },
    call("Auth.AuthDisable", {}, "ann"),
    call("Auth.AuthDisable", {}, "root"),
    ...[0, 1, 2, 3].map((stream): Operation => ({ kind: "open", stream }))
  ]
  const stream = (): number => random.int(4)
  const middle = Array.from({ length: Math.max(0, operations - begin.length - end.length) }, () =>
    weighted<() => Operation>(random, [
      [70, () => request(random, stream)],
      [22, () => administration(random)],
      [14, () => login(pick(random, users))]
    ])()
  )
  return number % 2 === 0 ? [...begin, ...middle, ...end] : [...begin, ...middle.toReversed(), ...end]
}
