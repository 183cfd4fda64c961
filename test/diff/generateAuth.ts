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

/** Two that live as long as the run, with keys and without; their time to live is never asked for. */
const [keptLease, emptyLease, unknownLease] = [996, 997, 777]

/** Without what only newer versions ask rights for: nested transactions, previous values and leases of puts. */
const flat = (request: Plain): Plain => {
  const ops = (name: string): ReadonlyArray<Plain> =>
    ((request[name] ?? []) as ReadonlyArray<Plain>)
      .filter((op) => op["request_txn"] === undefined)
      .map((op) => {
        if (op["request_put"] === undefined) return op
        const { lease: _lease, prev_kv: _previous, ...rest } = op["request_put"] as Plain
        return { request_put: rest }
      })
  return { ...request, success: ops("success"), failure: ops("failure") }
}

/** Where ann watches what she may not; nothing else uses it. */
const strangerStream = 30

const ofStrangers = (as: string | undefined): boolean => as === undefined || as.startsWith("!")

const call = (method: string, request: Plain, as?: string): Operation => ({
  kind: "call",
  method,
  request,
  ...(as === undefined ? {} : { as })
})

/** Never one that ends before it begins. */
const fullInterval = (random: Random): Plain => {
  const { key: begin, range_end: end } = interval(random, 0)
  const right = end === undefined || end === "\0" || String(begin) < String(end)
  return { key: begin, ...(right ? { range_end: end } : {}) }
}

/** Of an endless watch etcd 3.4 asks for the right on the first key only. */
const closedInterval = (random: Random): Plain => {
  const { key: begin, range_end: end } = fullInterval(random)
  return { key: begin, ...(end === undefined || end === "\0" ? {} : { range_end: end }) }
}

/** etcd overlooks that an interval is granted already when its key has grants with other ends: every key has one end. */
const grantedOn = (begin: string): Plain => {
  const ends = ["", "", "c", "b0", "\u00ff\u00ff\u00ff", "\0"]
  const end = ends[(begin.length + begin.charCodeAt(0)) % ends.length]!
  return { key: begin, ...(end === "" || (end !== "\0" && end <= begin) ? {} : { range_end: end }) }
}

const permission = (random: Random): Plain => ({
  permType: pick(random, ["READ", "WRITE", "READWRITE"]),
  ...grantedOn(key(random))
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
    [4, () => call("Auth.RoleRevokePermission", { role, ...grantedOn(key(random)) }, as)],
    [1, () => call("Auth.AuthEnable", {}, as)]
  ])()
}

/** Whether an interval in it is empty: the rights that etcd asks for then are those its tree happens to find. */
const hasEmptyInterval = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.some(hasEmptyInterval)
  if (typeof value !== "object" || value === null) return false
  const { key: begin, range_end: end } = value as Plain
  if (typeof end === "string" && end !== "\0" && end !== "" && String(begin) >= end) return true
  return Object.values(value).some(hasEmptyInterval)
}

const request = (random: Random, stream: () => number): Operation => {
  const made = anyRequest(random, stream)
  return "as" in made && made.as !== "root" && hasEmptyInterval(made) ? request(random, stream) : made
}

const anyRequest = (random: Random, stream: () => number): Operation => {
  const as = pick(random, ["root", "ann", "bob", "eve", "ann", "bob", "eve", undefined, "!garbage", "!x.1"])
  const lease = (): unknown => givenLease(random)
  return weighted<() => Operation>(random, [
    [25, () => call("KV.Range", range(random), as)],
    [20, () => call("KV.Put", put(random, lease), as)],
    [8, () => call("KV.DeleteRange", deleteRange(random), as)],
    [15, () => call("KV.Txn", as === "root" ? txn(random, lease) : flat(txn(random, lease)), as)],
    [3, () => ({ kind: "rangeStream", request: range(random, true), ...(as === undefined ? {} : { as }) })],
    // What only one of the two would let through must change nothing.
    [4, () => call("Lease.LeaseGrant", { ID: ofStrangers(as) ? emptyLease : lease(), TTL: 900 }, as)],
    [4, () => call("Lease.LeaseRevoke", { ID: ofStrangers(as) ? unknownLease : lease() }, as)],
    [3, () => call("Lease.LeaseTimeToLive", { ID: lease(), keys: random.chance(50) }, as)],
    [2, () => call("Lease.LeaseLeases", {}, as)],
    [
      3,
      () => ({
        kind: "keepAlive",
        ids: [pick(random, [keptLease, emptyLease, unknownLease])],
        ...(as === undefined ? {} : { as })
      })
    ],
    [2, () => call("Cluster.MemberList", {}, as)],
    [2, () => call("Maintenance.Status", {}, as)],
    [2, () => call("Maintenance.Alarm", { action: "GET" }, as)],
    [1, () => call("Maintenance.Alarm", { action: "DEACTIVATE", alarm: "NOSPACE" }, as)],
    [1, () => call("Maintenance.Defragment", {}, as)],
    [1, () => call("Maintenance.HashKV", { revision: 0 }, ofStrangers(as) ? as : "!garbage")],
    [1, () => call("KV.Compact", { revision: 1 }, as)],
    [4, () => ({ kind: "open", stream: stream(), ...(as === undefined ? {} : { as }) })],
    [6, () => ({ kind: "watch", stream: stream(), create: { ...closedInterval(random), prev_kv: random.chance(30) } })]
  ])()
}

export const authPhase = (random: Random, operations: number, number: number): ReadonlyArray<Operation> => {
  const login = (user: string): Operation => ({ kind: "login", user, password: password(random, user) })
  const begin: ReadonlyArray<Operation> = [
    call("Lease.LeaseGrant", { ID: keptLease, TTL: 9000 }),
    call("Lease.LeaseGrant", { ID: emptyLease, TTL: 9000 }),
    call("KV.Put", { key: "kept", value: "", lease: keptLease }),
    login("root"),
    call("Auth.AuthDisable", {}),
    // What an earlier stretch left would give more rights than the steps below count on.
    ...users.map((name) => call("Auth.UserDelete", { name })),
    ...roles.map((role) => call("Auth.RoleDelete", { role })),
    call("Auth.AuthEnable", {}),
    call("Auth.UserAdd", { name: "root", password: "secret" }),
    call("Auth.AuthEnable", {}),
    call("Auth.RoleAdd", { name: "root" }),
    call("Auth.RoleGet", { role: "root" }),
    call("Auth.UserGrantRole", { user: "root", role: "root" }),
    ...roles.slice(1).map((name) => call("Auth.RoleAdd", { name })),
    ...users.slice(1).map((name) => call("Auth.UserAdd", { name, password: passwords[name]! })),
    call("Auth.UserGrantRole", { user: "ann", role: "readers" }),
    call("Auth.UserGrantRole", { user: "bob", role: "writers" }),
    call("Auth.RoleGrantPermission", { name: "readers", perm: { permType: "READ", key: "b", range_end: "b0" } }),
    call("Auth.RoleGrantPermission", { name: "writers", perm: permission(random) }),
    call("Auth.RoleGrantPermission", { name: "writers", perm: { permType: "WRITE", key: "write only" } }),
    call("Auth.AuthEnable", {}),
    ...users.map((user): Operation => ({ kind: "login", user, password: passwords[user]! })),
    call("Auth.AuthDisable", {}, "eve"),
    // Every intended difference once.
    call("Maintenance.HashKV", {}, "ann"),
    call(
      "KV.Txn",
      {
        success: [{ request_txn: { compare: [{ key: "zz", version: 9 }], success: [{ request_put: { key: "zz" } }] } }]
      },
      "eve"
    ),
    call("KV.Txn", { failure: [{ request_put: { key: "write only", prev_kv: true } }] }, "bob"),
    { kind: "open", stream: strangerStream, as: "ann" },
    { kind: "watch", stream: strangerStream, create: { key: "b", range_end: "\0" } },

    call("Cluster.MemberList", {}),
    call("Lease.LeaseGrant", { ID: emptyLease, TTL: 900 }),
    call("KV.Compact", { revision: 1 }, "ann"),
    call("Lease.LeaseTimeToLive", { ID: unknownLease })
  ]
  const end: ReadonlyArray<Operation> = [
    { kind: "login", user: "root", password: "secret" },
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
